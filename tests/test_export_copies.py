"""Copies of found pictures: complete, under free names, and nothing is overwritten."""

import errno
import json
import os
import re
import shutil

import pytest
from conftest import export, run_module

from edge_app.export import copy_pictures, read_results, selected
from edge_app.scan import run_scan


def test_copy_to_copies_the_found_and_says_so(result, tmp_path):
    done = export(result, "--copy-to", tmp_path / "found")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    assert f"2 copied: {tmp_path / 'found'}" in done.stderr
    assert sorted(os.listdir(tmp_path / "found")) == ["a.jpg", "c.jpg"]
    original = tmp_path / "pictures" / "a.jpg"
    copy = tmp_path / "found" / "a.jpg"
    assert copy.read_bytes() == original.read_bytes()
    assert copy.stat().st_mtime_ns == original.stat().st_mtime_ns
    assert copy.stat().st_ino != original.stat().st_ino


@pytest.mark.parametrize(
    ("found", "pictures", "warned"),
    [
        ("all/found", ["all/a.jpg", "all/x/b.jpg"], True),
        ("all/found", ["all/x/a.jpg", "all/y/b.jpg"], True),
        ("all", ["all/a.jpg"], True),
        ("found", ["all/x/a.jpg", "all/y/b.jpg"], False),
        ("all/x/found", ["all/x1/a.jpg"], False),
    ],
)
def test_copies_that_the_next_scan_would_find_are_warned_of(
    make_result, tmp_path, samples, found, pictures, warned
):
    for picture in pictures:
        (tmp_path / picture).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(samples / "coffee.jpg", tmp_path / picture)
    scores = {tmp_path / picture: n / 10 for n, picture in enumerate(pictures, 9 - len(pictures))}
    done = export(make_result(scores), "--copy-to", tmp_path / found)
    assert done.exit_code == 0, done.stderr
    assert ("the next scan will find the copies" in done.stderr) == warned


def test_copying_again_copies_nothing_twice(result, tmp_path):
    for expected in ("2 copied:", "0 copied, 2 there already:"):
        done = export(result, "--copy-to", tmp_path / "found")
        assert expected in done.stderr
    assert sorted(os.listdir(tmp_path / "found")) == ["a.jpg", "c.jpg"]


def test_filters_choose_what_is_copied(result, tmp_path):
    options = ("--copy-to", tmp_path / "rest", "--label", "NotSmoking")
    export(result, *options)
    assert os.listdir(tmp_path / "rest") == ["b.jpg"]


def test_a_threshold_of_zero_copies_all_that_was_read(result, tmp_path):
    export(result, "--copy-to", tmp_path / "all", "--min-score", "0")
    assert sorted(os.listdir(tmp_path / "all")) == ["a.jpg", "b.jpg", "c.jpg"]


def test_pictures_of_one_name_get_numbers_and_nothing_is_overwritten(make_result, tmp_path):
    paths = [tmp_path / folder / "a.jpg" for folder in ("x", "y", "z")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(b"\xff\xd8\xff" + path.parent.name.encode())
    target = tmp_path / "found"
    target.mkdir()
    (target / "a.jpg").write_text("mine")
    (target / "a-2.jpg").symlink_to("nowhere")
    result = make_result(dict.fromkeys(paths, 0.9))
    for _ in range(2):
        assert export(result, "--copy-to", target).exit_code == 0
    names = ("a.jpg", "a-3.jpg", "a-4.jpg", "a-5.jpg")
    assert [(target / name).read_bytes()[-1:] for name in names] == [b"e", b"x", b"y", b"z"]
    assert os.readlink(target / "a-2.jpg") == "nowhere"
    assert len(os.listdir(target)) == 5


def test_missing_originals_are_named_and_the_rest_is_copied(result, tmp_path):
    (tmp_path / "pictures" / "a.jpg").unlink()
    done = export(result, "--copy-to", tmp_path / "found")
    assert done.exit_code == 1
    assert "a.jpg: no longer exists" in done.stderr
    assert "1 copied, 1 missing" in done.stderr
    assert os.listdir(tmp_path / "found") == ["c.jpg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes as on Unix")
def test_a_pipe_in_place_of_a_picture_is_not_waited_for(make_result, tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    result = make_result({tmp_path / "pipe.jpg": 0.9})
    done = export(result, "--copy-to", tmp_path / "found")
    assert done.exit_code == 1
    assert "is no longer an ordinary file" in done.stderr


def test_hard_links_take_no_room(result, tmp_path):
    done = export(result, "--copy-to", tmp_path / "links", "--hard-link")
    assert "0 copied, 2 hard-linked" in done.stderr
    assert (tmp_path / "links" / "a.jpg").samefile(tmp_path / "pictures" / "a.jpg")


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="needs a second file system")
@pytest.mark.parametrize("options", [(), ("--hard-link",)])
def test_another_disk_gets_copies(result, tmp_path, options):
    target = f"/dev/shm/{os.getpid()}-found"
    try:
        done = export(result, "--copy-to", target, *options)
        assert done.exit_code == 0, done.stderr
        assert sorted(os.listdir(target)) == ["a.jpg", "c.jpg"]
    finally:
        shutil.rmtree(target)


@pytest.mark.parametrize("hard_link", [False, True])
def test_a_file_system_without_links_gets_copies(result, tmp_path, monkeypatch, hard_link):
    def no_links(*_):
        raise OSError(errno.EPERM, "Operation not permitted")  # as FAT says

    monkeypatch.setattr(os, "link", no_links)
    rows = list(selected(read_results(result), "Smoking"))
    for expected in ((2, 0), (0, 2)):
        summary = copy_pictures(rows, tmp_path / "found", hard_link)
        assert (summary.copied, summary.present) == expected
    assert sorted(os.listdir(tmp_path / "found")) == ["a.jpg", "c.jpg"]


def test_the_originals_own_folder_is_left_as_it_is(result, tmp_path):
    before = {p.name: p.read_bytes() for p in (tmp_path / "pictures").iterdir()}
    done = export(result, "--copy-to", tmp_path / "pictures")
    assert "0 copied, 2 there already" in done.stderr
    assert {p.name: p.read_bytes() for p in (tmp_path / "pictures").iterdir()} == before


def test_a_table_and_copies_can_be_had_at_once(result, tmp_path):
    options = ("--format", "jsonl", "--copy-to", tmp_path / "found")
    done = export(result, *options)
    assert len(done.stdout.splitlines()) == 4
    assert len(os.listdir(tmp_path / "found")) == 2


def test_a_picture_that_was_replaced_after_the_scan_is_said_to_be_another_one(
    tmp_path, samples, classifier
):
    tree, db = tmp_path / "tree", tmp_path / "out.db"
    tree.mkdir()
    for name in ("smoking.jpg", "hand.jpg"):
        shutil.copy(samples / name, tree)
    run_scan(tree, db, classifier.info)
    shutil.copyfile(samples / "coffee.jpg", tree / "smoking.jpg")
    os.utime(tree / "smoking.jpg", (1_600_000_000, 1_600_000_000))
    copied = run_module("edge_app", "export", db, "--copy-to", tmp_path / "copies")
    assert "2 copied, 1 changed since the scan" in copied.stderr
    assert copied.stderr.count("has changed since the scan") == 1
    assert (tmp_path / "copies" / "smoking.jpg").stat().st_mtime == 1_600_000_000
    run_module("edge_app", "export", db, "--out", tmp_path / "out.html")
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    marks = {name: marks for name, _, _, _, marks, *_ in data["pictures"]}
    assert marks["smoking.jpg"] & 8 and not marks["hand.jpg"] & 8
