"""What ``scan --watch`` watches when folders go, return, or are linked: without a model."""

import logging
import os
import shutil
import time

import pytest

pytest.importorskip("watchdog")

from edge_app.cli import progress
from edge_app.scan import folder_watch
from edge_app.scan.selection import Selection
from edge_app.scan.summary import Summary
from edge_app.scan.watch import Arrivals


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


class Watching:
    """What `edge_app.scan.watch.run_watch` does with them."""

    def __init__(self, arrivals: Arrivals):
        self.arrivals, self.seen, self.returned = arrivals, [], []

    def turn(self) -> None:
        self.returned += self.arrivals.take_returned()
        self.seen += [entry.path for entry in self.arrivals.take_whole()]

    def sees(self, path) -> bool:
        self.turn()
        return str(path) in self.seen


@pytest.fixture
def tree(tmp_path, samples):
    """A root, a folder beside it, and what puts a picture somewhere."""
    root, outside = tmp_path.resolve() / "root", tmp_path.resolve() / "outside"
    root.mkdir()
    outside.mkdir()
    return root, outside, lambda path: shutil.copy(samples / "coffee.jpg", path)


def rename(root):
    root.rename(root.with_name("elsewhere"))


@pytest.mark.parametrize("go", [rename, shutil.rmtree])
@pytest.mark.parametrize("at_once", [False, True])
def test_a_root_that_goes_and_returns_is_watched_again(tree, caplog, go, at_once):
    root, _, put = tree
    caplog.set_level(logging.WARNING)
    with Arrivals([str(root)], Selection()) as arrivals:
        watching = Watching(arrivals)
        go(root)
        if not at_once:
            wait_for(lambda: watching.turn() or "is gone" in caplog.text)
        root.mkdir()
        wait_for(lambda: watching.turn() or watching.returned == [str(root)])
        put(root / "new.jpg")
        wait_for(lambda: watching.sees(root / "new.jpg"))
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        f"{root} is gone; waiting until it is back.",
        f"{root} is back; watching it again.",
    ]


def test_a_root_that_goes_takes_no_results_with_it(tree):
    root, _, put = tree
    put(root / "old.jpg")
    with Arrivals([str(root)], Selection()) as arrivals:
        root.rename(root.with_name("elsewhere"))
        root.mkdir()
        watching = Watching(arrivals)
        wait_for(lambda: watching.turn() or watching.returned)
        assert arrivals.take_gone() == []


def test_the_empty_folder_of_a_disk_that_is_not_mounted_is_not_its_return(
    tree, caplog, monkeypatch
):
    root, _, put = tree
    mounts = {str(root)}  # which only root may change
    monkeypatch.setattr(os.path, "ismount", lambda path: os.fspath(path) in mounts)
    monkeypatch.setattr(folder_watch, "_CHECK_SECONDS", 0)
    with Arrivals([str(root)], Selection()) as arrivals:
        watching = Watching(arrivals)
        mounts.clear()
        wait_for(lambda: watching.turn() or "is gone" in caplog.text)
        for _ in range(5):
            watching.turn()
        assert "is back; watching" not in caplog.text
        mounts.add(str(root))
        wait_for(lambda: watching.turn() or watching.returned == [str(root)])
        put(root / "new.jpg")
        wait_for(lambda: watching.sees(root / "new.jpg"))


def test_a_linked_folder_is_watched_under_its_name_in_the_root(tree):
    root, outside, put = tree
    (outside / "deep").mkdir()
    (root / "link").symlink_to(outside, target_is_directory=True)
    with Arrivals([str(root)], Selection(follow_symlinks=True)) as arrivals:
        watching = Watching(arrivals)
        put(outside / "deep" / "new.jpg")
        wait_for(lambda: watching.sees(root / "link" / "deep" / "new.jpg"))
        (outside / "deep" / "new.jpg").unlink()
        gone = str(root / "link" / "deep" / "new.jpg")
        wait_for(lambda: gone in arrivals.take_gone())


def test_a_link_that_is_made_later_is_followed(tree):
    root, outside, put = tree
    put(outside / "old.jpg")
    with Arrivals([str(root)], Selection(follow_symlinks=True)) as arrivals:
        watching = Watching(arrivals)
        (root / "link").symlink_to(outside, target_is_directory=True)
        wait_for(lambda: watching.sees(root / "link" / "old.jpg"))
        put(outside / "new.jpg")
        wait_for(lambda: watching.sees(root / "link" / "new.jpg"))


def test_a_link_whose_folder_returns_is_followed_again(tree):
    root, outside, put = tree
    (root / "link").symlink_to(outside, target_is_directory=True)
    with Arrivals([str(root)], Selection(follow_symlinks=True)) as arrivals:
        watching = Watching(arrivals)
        outside.rename(outside.with_name("elsewhere"))
        outside.mkdir()
        put(outside / "first.jpg")
        wait_for(lambda: watching.sees(root / "link" / "first.jpg"))
        put(outside / "second.jpg")
        wait_for(lambda: watching.sees(root / "link" / "second.jpg"))


def test_links_into_the_root_and_in_a_circle_are_watched_once(tree):
    root, outside, put = tree
    (root / "real").mkdir()
    (root / "inner").symlink_to(root / "real", target_is_directory=True)
    (root / "link").symlink_to(outside, target_is_directory=True)
    (outside / "back").symlink_to(root, target_is_directory=True)
    with Arrivals([str(root)], Selection(follow_symlinks=True)) as arrivals:
        watching = Watching(arrivals)
        put(root / "real" / "new.jpg")
        put(outside / "new.jpg")
        wait_for(lambda: watching.sees(root / "link" / "new.jpg"))
        wait_for(lambda: watching.sees(root / "real" / "new.jpg"))
        assert len(set(watching.seen)) == 2


def test_links_are_not_followed_unless_asked(tree):
    root, outside, put = tree
    (root / "link").symlink_to(outside, target_is_directory=True)
    with Arrivals([str(root)], Selection()) as arrivals:
        watching = Watching(arrivals)
        put(outside / "linked.jpg")
        put(root / "new.jpg")
        wait_for(lambda: watching.sees(root / "new.jpg"))
        assert watching.seen == [os.fspath(root / "new.jpg")]


def test_while_watching_no_time_is_left(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "_LINE_SECONDS", -1)
    shown = progress.ScanProgress()
    shown.total = 30
    tally = Summary(db=tmp_path / "a.db", labels=("Smoking", "NotSmoking"))
    tally.scanned = 20
    shown.show(tally)
    assert " left, " in capsys.readouterr().err
    shown.watching, tally.scanned = True, 23
    shown.show(tally)
    assert capsys.readouterr().err == "23 pictures: 0 Smoking, 0 unreadable\n"
