"""What a scan meets in real folders neither stops nor hangs it."""

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import pytest
from conftest import ROOT, run_module

from edge_app.scan import (
    Selection,
    StoreBusyError,
    StoreError,
    read_rows,
    run_scan,
    scanner,
)
from edge_app.scan.walk import walk

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a Unix file system")


def errors(db: Path) -> dict[str, str | None]:
    return {row.path.name: row.error for row in read_rows(db)}


def link_many(samples: Path, folder: Path, count: int, name: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        os.link(samples / "coffee.jpg", folder / f"{number}{name}.jpg")
    return folder


def test_pipes_sockets_loops_and_huge_files_are_named_or_passed_over(samples, tmp_path, classifier):
    tree = link_many(samples, tmp_path / "tree", 1)
    os.mkfifo(tree / "pipe")
    os.mkfifo(tree / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "socket"))
    (tree / "loop.jpg").symlink_to(tree / "loop.jpg")
    (tree / "gone.jpg").symlink_to(tree / "nowhere.jpg")
    (tree / "gone").symlink_to(tree / "nowhere")
    (tree / "up").symlink_to(tree)
    (tree / "empty.jpg").touch()
    (tree / "empty").touch()
    for name, head in (
        ("huge.bin", b""),
        ("huge.jpg", b""),
        # What decoders look for in vain: the next block of a JPEG and of a GIF, all of a WebP.
        ("cut.jpg", (samples / "coffee.jpg").read_bytes()[:300]),
        ("cut.gif", b"GIF89a\x10\0\x10\0\0\0\0!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"),
        ("cut.webp", b"RIFF\xff\xff\xff\xffWEBPVP8 "),
    ):
        with (tree / name).open("wb") as file:
            file.write(head)
            file.truncate(10_000_000_000)  # a hole: it takes no room
    summary = run_scan(tree, tmp_path / "out.db", classifier.info)
    assert summary.scanned == 1
    assert summary.other == 4  # pipe, socket, empty, huge.bin
    found = errors(tmp_path / "out.db")
    assert found.pop("0.jpg") is None
    assert found.pop("pipe.jpg") == "is no ordinary file"
    assert "symbolic links" in found.pop("loop.jpg")
    assert found.pop("gone.jpg") == "is a link to a file that does not exist"
    assert found.pop("empty.jpg") == "is empty"
    assert found.pop("huge.jpg") == "is no picture in a known format"
    assert sorted(found) == ["cut.gif", "cut.jpg", "cut.webp"]
    assert all("damaged" in error or "too large" in error for error in found.values())


def test_names_of_any_bytes_come_back_as_they_were(samples, tmp_path, classifier):
    tree = tmp_path / "tree"
    tree.mkdir()
    names = [b"\xff.jpg", rb"\xff.jpg", rb"\x5cxff.jpg", b"a\\b.jpg", "ü\n.jpg".encode()]
    for name in names:
        try:
            os.link(samples / "coffee.jpg", os.path.join(os.fsencode(tree), name))
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
    run_scan(tree, tmp_path / "out.db", classifier.info)
    found = [row.path for row in read_rows(tmp_path / "out.db")]
    assert sorted(os.fsencode(path.name) for path in found) == sorted(names)
    assert all(path.exists() for path in found)
    assert run_scan(tree, tmp_path / "out.db", classifier.info).unchanged == len(names)


def test_links_to_folders_are_followed_when_asked_and_each_is_entered_once(samples, tmp_path):
    inside = link_many(samples, tmp_path / "tree" / "a", 2)
    outside = link_many(samples, tmp_path / "outside", 3)
    for link, target in (("up", inside.parent), ("out", outside), ("out2", outside)):
        (inside / link).symlink_to(target)
    (outside / "back").symlink_to(inside)

    def count(follow: bool) -> int:
        return sum(1 for _ in walk([str(inside.parent)], Selection(follow_symlinks=follow)))

    assert count(False) == 2
    assert count(True) == 5


def test_what_vanishes_or_grows_meanwhile_is_no_error(samples, tmp_path, classifier):
    tree = link_many(samples, tmp_path / "tree", 300)
    for number in range(300):
        shutil.copy(samples / "coffee.jpg", tree / f"grows{number}.jpg")
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_app", "scan", tree, "--db", tmp_path / "out.db"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for number in reversed(range(300)):
        (tree / f"{number}.jpg").unlink()
        with (tree / f"grows{number}.jpg").open("ab") as file:
            file.write(b"\0")
        time.sleep(0.002)
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 0, messages
    assert "Traceback" not in messages
    # Files that grew after they were found are new to the next scan.
    run_scan(tree, tmp_path / "out.db", classifier.info)
    left = {row.path.name: row for row in read_rows(tmp_path / "out.db") if row.path.exists()}
    assert len(left) == 300
    assert all(row.size == os.path.getsize(row.path) for row in left.values())


def test_a_deep_tree_is_walked_with_few_open_files(tmp_path, samples):
    folder = tmp_path
    for _ in range(300):
        folder /= "d"
    link_many(samples, folder, 1)
    code = (
        "import resource, sys; from edge_app.scan.walk import *; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150)); "
        "print(*(entry.error for entry in walk([sys.argv[1]], Selection())))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True
    )
    assert result.stdout == "None\n", result.stderr


def test_a_folder_of_many_entries_is_not_held_in_memory(tmp_path):
    for number in range(20_000):
        (tmp_path / f"a_rather_long_name_{number}.jpg").touch()
    tracemalloc.start()
    assert sum(1 for _ in walk([str(tmp_path)], Selection())) == 20_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000


@pytest.fixture
def as_nobody(tmp_path):
    """Runs Python code as a user without rights, in a folder that everybody may enter."""
    if os.geteuid():
        pytest.skip("needs root, to become somebody else")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        model = folder / "model.tflite"
        shutil.copy(ROOT / "models" / "smoking_mobilenetv2_int8.tflite", model)

        def run(code: str) -> str:
            before = (
                "import os; from pathlib import Path; import PIL.JpegImagePlugin;"
                "from edge_app import Classifier; from edge_app.scan import *;"
                f"info = Classifier({str(model)!r}).info; folder = Path({name!r});"
                "os.setgroups([]); os.setgid(65534); os.setuid(65534);\n"
            )
            result = subprocess.run(
                [sys.executable, "-c", before + code], cwd=ROOT, capture_output=True, text=True
            )
            assert result.returncode == 0, result.stderr
            return result.stdout

        yield folder, run


def test_what_may_not_be_read_is_a_row_with_the_reason(samples, as_nobody):
    folder, run = as_nobody
    tree = folder / "tree"
    tree.mkdir()
    for name in ("open.jpg", "closed.jpg", "closed_without_ending"):
        shutil.copy(samples / "coffee.jpg", tree / name)
    (tree / "closed.jpg").chmod(0)
    (tree / "closed_without_ending").chmod(0)
    (tree / "inner").mkdir(mode=0)
    run("run_scan(folder / 'tree', folder / 'out.db', info)")
    assert errors(folder / "out.db") == {
        "open.jpg": None,
        "closed.jpg": "no permission to read it",
        "inner": "this folder cannot be listed (no permission)",
    }
    # The modification time is unchanged, but files that could not be read are retried.
    (tree / "closed.jpg").chmod(0o644)
    (tree / "inner").chmod(0o755)
    run("run_scan(folder / 'tree', folder / 'out.db', info)")
    assert errors(folder / "out.db")["closed.jpg"] is None


def test_a_database_that_cannot_be_written_is_named_and_can_be_read(samples, as_nobody):
    folder, run = as_nobody
    results = folder / "results"
    results.mkdir()
    link_many(samples, folder / "tree", 2)
    from edge_app import Classifier

    run_scan(folder / "tree", results / "out.db", Classifier().info)
    for path in (results, results / "out.db"):
        path.chmod(0o555)
    assert run("print(len(list(read_rows(folder / 'results' / 'out.db'))))") == "2\n"
    said = run(
        "for name in ('out.db', 'new.db'):\n"
        "    try: run_scan(folder / 'tree', folder / 'results' / name, info)\n"
        "    except StoreError as error: print(error)"
    )
    assert len(said.splitlines()) == 2
    assert all("may not be written" in line for line in said.splitlines())


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own of 300 kB, and what makes it larger."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk, as root has it")
    yield disk, lambda: subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_is_waited_for(samples, tmp_path, small_disk):
    disk, make_space = small_disk
    tree = link_many(samples, tmp_path / "tree", 700, name="x" * 200)
    with (tmp_path / "messages").open("w+") as messages:
        process = subprocess.Popen(
            [sys.executable, "-m", "edge_app", "scan", tree, "--db", disk / "out.db"],
            cwd=ROOT,
            stderr=messages,
            stdout=subprocess.DEVNULL,
        )
        while "the disk is full" not in (tmp_path / "messages").read_text():
            assert process.poll() is None
            time.sleep(0.1)
        make_space()
        assert process.wait(timeout=600) == 0
    assert "Writing again; nothing was lost" in (tmp_path / "messages").read_text()
    assert len(errors(disk / "out.db")) == 700


def test_a_disk_that_stays_full_ends_it_and_the_next_scan_goes_on(
    samples, tmp_path, small_disk, classifier, monkeypatch
):
    disk, make_space = small_disk
    tree = link_many(samples, tmp_path / "tree", 700, name="x" * 200)
    monkeypatch.setattr(scanner, "PATIENCE_SECONDS", 1)
    monkeypatch.setattr(scanner, "COMMIT_SECONDS", 0.05)
    with pytest.raises(StoreBusyError, match=r"out\.db: the disk is full"):
        run_scan(tree, disk / "out.db", classifier.info)
    before = {row.path: row.scanned_at for row in read_rows(disk / "out.db")}
    assert 0 < len(before) < 700
    make_space()
    summary = run_scan(tree, disk / "out.db", classifier.info)
    assert (summary.unchanged, summary.scanned) == (len(before), 700 - len(before))
    after = {row.path: row.scanned_at for row in read_rows(disk / "out.db")}
    assert {path: after[path] for path in before} == before
    with contextlib.closing(sqlite3.connect(disk / "out.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_two_scans_into_one_database_at_once(samples, tmp_path):
    tree = link_many(samples, tmp_path / "tree", 300)
    command = [sys.executable, "-m", "edge_app", "scan", tree, "--db", tmp_path / "out.db"]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in processes:
        _, messages = process.communicate(timeout=120)
        assert process.returncode == 0, messages
    assert list(errors(tmp_path / "out.db").values()) == [None] * 300


def test_a_database_that_stays_locked_is_named(samples, tmp_path, classifier, monkeypatch):
    tree = link_many(samples, tmp_path / "tree", 2)
    run_scan(tree / "0.jpg", tmp_path / "out.db", classifier.info)
    monkeypatch.setattr(scanner, "PATIENCE_SECONDS", 0)
    with contextlib.closing(sqlite3.connect(tmp_path / "out.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program holds it locked"):
            run_scan(tree, tmp_path / "out.db", classifier.info)
    assert run_scan(tree, tmp_path / "out.db", classifier.info).scanned == 1


def test_a_database_in_a_folder_that_is_not_there_is_named(samples, tmp_path):
    result = run_module("edge_app", "scan", samples, "--db", tmp_path / "nowhere" / "out.db")
    assert result.returncode == 2
    assert "there is no folder" in result.stderr
