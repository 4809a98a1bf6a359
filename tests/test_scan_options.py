"""The options of ``scan``, as a user gives them."""

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, run_module

from edge_app.imaging import find_pictures
from edge_app.scan import Selection, read_rows, run_scan
from edge_app.scan.walk import resolve_roots


@pytest.fixture
def tree(samples, tmp_path):
    folder = tmp_path / "tree"
    for name in ("IMG_1.JPG", "other.jpg", "2019/IMG_2.jpg", "2019/thumbs/t.jpg", ".trash/x.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(samples / "coffee.jpg", folder / name)
    return folder


def scan(tmp_path, *arguments) -> list[str]:
    result = run_module("edge_app", "scan", "--db", tmp_path / "out.db", *arguments)
    assert result.returncode == 0, result.stderr
    return sorted(row.path.name for row in read_rows(tmp_path / "out.db"))


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], ["IMG_1.JPG", "IMG_2.jpg", "other.jpg", "t.jpg"]),
        (["--include", "img_*"], ["IMG_1.JPG", "IMG_2.jpg"]),
        (["--include", "2019/*"], ["IMG_2.jpg", "t.jpg"]),
        (["--exclude", "thumbs"], ["IMG_1.JPG", "IMG_2.jpg", "other.jpg"]),
        (["--exclude", "2019/thumbs", "--exclude", "o*"], ["IMG_1.JPG", "IMG_2.jpg"]),
        (["--include", "*.jpg", "--exclude", "2019"], ["IMG_1.JPG", "other.jpg"]),
    ],
)
def test_include_and_exclude(tree, tmp_path, arguments, found):
    assert scan(tmp_path, tree, *arguments) == found


def test_since_leaves_older_files_out(tree, tmp_path):
    os.utime(tree / "other.jpg", (0, 0))
    assert "other.jpg" not in scan(tmp_path, tree, "--since", "2001-01-01")
    result = run_module("edge_app", "scan", tree, "--since", "yesterday")
    assert result.returncode == 2
    assert "yesterday" in result.stderr


def test_several_folders_and_what_lies_in_another_only_once(tree, samples, tmp_path):
    roots = [samples, tree, tree / "2019", tree / "other.jpg", tree]
    found = scan(tmp_path, *roots)
    assert len(found) == len(list(find_pictures(samples))) + 4
    assert sorted(resolve_roots(roots, Selection())) == sorted(map(str, (samples, tree)))


def test_rescan_does_all_anew(tree, tmp_path, classifier):
    db = tmp_path / "out.db"
    run_scan(tree, db, classifier.info)
    before = {row.path: row.scanned_at for row in read_rows(db)}
    assert run_scan(tree, db, classifier.info).unchanged == 4
    summary = run_scan(tree, db, classifier.info, rescan=True)
    assert (summary.scanned, summary.unchanged) == (4, 0)
    assert all(row.scanned_at > before[row.path] for row in read_rows(db))


def test_results_of_files_that_are_gone_stay_until_they_are_pruned(tree, tmp_path, classifier):
    db = tmp_path / "out.db"
    elsewhere = shutil.copytree(tree, tmp_path / "tree2")
    run_scan([tree, elsewhere], db, classifier.info)
    shutil.rmtree(tree / "2019")
    (elsewhere / "other.jpg").unlink()
    run_scan(tree, db, classifier.info)
    assert len(list(read_rows(db))) == 8
    assert run_scan(tree, db, classifier.info, prune=True).pruned == 2
    assert len(list(read_rows(db))) == 6  # nothing of a folder that was not scanned
    result = run_module("edge_app", "scan", elsewhere, "--prune", "--db", db)
    assert "1 result removed" in result.stdout


def test_results_of_files_that_cannot_be_looked_at_are_not_pruned(tree, tmp_path, classifier):
    """A drive that fails is not one that was emptied."""
    run_scan(tree, tmp_path / "out.db", classifier.info)
    shutil.rmtree(tree / "2019")
    (tree / "2019").symlink_to("2019")  # any path below it is an error that is not "no such file"
    assert run_scan(tree, tmp_path / "out.db", classifier.info, prune=True).pruned == 0
    assert len(list(read_rows(tmp_path / "out.db"))) == 4


def test_other_files_are_counted_and_false_pictures_are_named(tree, tmp_path, samples):
    (tree / "notes.txt").write_text("no picture")
    (tree / "false.png").write_text("no picture")
    shutil.copy(samples / "coffee.jpg", tree / "without_ending")
    result = run_module("edge_app", "scan", tree, "--db", tmp_path / "out.db")
    assert result.returncode == 1
    assert "5 pictures scanned" in result.stdout
    assert "1 unreadable, 0 unchanged since an earlier scan, 1 other file\n" in result.stdout
    assert result.stderr.splitlines() == [f"{tree / 'false.png'}: is no picture in a known format"]


def test_rows_come_by_score_when_asked(samples, tmp_path, classifier):
    tree = shutil.copytree(samples, tmp_path / "tree")
    (tree / "empty.jpg").touch()
    run_scan(tree, tmp_path / "out.db", classifier.info)
    scores = [row.smoking for row in read_rows(tmp_path / "out.db", by_score=True)]
    assert scores[:-1] == sorted(scores[:-1], reverse=True)
    assert scores[-1] is None


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo terminal")
def test_on_a_terminal_there_is_a_bar_and_elsewhere_there_are_lines(samples, tmp_path):
    import fcntl
    import pty
    import termios

    tree = tmp_path / "many"
    tree.mkdir()
    for number in range(200):
        os.link(samples / "coffee.jpg", tree / f"{number}.jpg")
    command = [sys.executable, "-m", "edge_app", "scan", tree, "--db", tmp_path / "out.db"]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    process = subprocess.Popen(command, cwd=ROOT, stderr=theirs, stdout=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    while part := _read(ours):
        shown += part
    assert process.wait() == 0
    for text in (b"200/200", b"picture/s", b"0 Smoking, 0 unreadable"):
        assert text in shown

    code = (
        "import sys; from pathlib import Path; from edge_app import Classifier; "
        "from edge_app.cli import progress; from edge_app.scan import run_scan; "
        "progress._LINE_SECONDS = 0; shown = progress.ScanProgress(); "
        "run_scan(sys.argv[1], Path(sys.argv[2]), Classifier().info, rescan=True, progress=shown)"
    )
    lines = subprocess.run(
        [sys.executable, "-c", code, tree, tmp_path / "out.db"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stderr.splitlines()
    assert len(lines) > 1
    assert "pictures of 200, " in lines[-1] and "0 unreadable" in lines[-1]


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def test_a_selection_shows_what_it_takes():
    selection = Selection(include=("*.jpg", "raw/*"), exclude=("thumbs", "2019/*.png"))
    assert selection.takes("a.JPG")
    assert selection.takes("raw/b.tif")
    assert not selection.takes("b.tif")
    assert not selection.takes("x/thumbs/a.jpg")
    assert not selection.takes(str(Path(".hidden", "a.jpg")))
