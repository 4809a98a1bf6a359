"""Trees that hold more than pictures: pipes, sockets, devices, and names that break a line."""

import os
import shutil
import socket
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import export

from edge_app.cli import main
from edge_app.scan import read_rows

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes as on Unix")

NAMES = [
    *(b"new\nline", b"carriage\rreturn", b"tab\t", b"esc\x1b[31m", b"\xff\xfe", b"half \xc3", b" "),
    *(b"-rf", b"--help", b"=1+1", b"%s%n", b"$(id)", b"back\\slash", b"\\x0a", b"quote\"'"),
    *("\u202egnp".encode(), "e\u0301".encode(), "🚬".encode(), b"a" * 251),
]


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("command", ["classify", "scan"])
@pytest.mark.parametrize("name", ["pipe", "pipe.jpg"])
def test_a_pipe_is_not_opened_even_for_a_moment(tmp_path, command, name):
    """Its writer waits for a reader, and would lose what it writes."""
    tree = tmp_path / "tree"
    tree.mkdir()
    os.mkfifo(tree / name)
    opened = threading.Event()

    def write():
        with open(tree / name, "wb"):
            opened.set()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    result = run(command, tree, *(["--db", tmp_path / "out.db"] if command == "scan" else []))
    assert not opened.is_set()
    assert result.exit_code == (1 if name.endswith("jpg") else 0), result.output
    os.close(os.open(tree / name, os.O_RDONLY))
    writer.join(60)
    assert opened.is_set()


@pytest.mark.parametrize("command", ["classify", "scan"])
def test_devices_and_sockets_are_not_opened(tmp_path, command, monkeypatch):
    tree = tmp_path / "tree"
    tree.mkdir()
    monkeypatch.chdir(tree)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket.jpg")
    for device in ("null", "zero", "tty"):
        os.symlink(f"/dev/{device}", f"{device}.jpg")
    result = run(command, tree, *(["--db", tmp_path / "out.db"] if command == "scan" else []))
    assert result.exit_code == 1
    assert result.output.count(": is no ordinary file") == 4, result.output


def test_names_of_every_kind_are_scanned_exported_and_copied(tmp_path, samples):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in NAMES:
        shutil.copy(samples / "coffee.jpg", os.fsencode(tree) + b"/" + name + b".jpg")
    (tree / "folder\nof two lines").mkdir()
    shutil.copy(samples / "coffee.jpg", tree / "folder\nof two lines")
    listed = run("classify", tree)
    assert listed.exit_code == 0, listed.output
    assert len(listed.output.splitlines()) == len(NAMES) + 1
    assert "\x1b" not in listed.output and "\u202e" not in listed.output

    assert run("scan", tree, "--db", tmp_path / "out.db").exit_code == 0
    found = {row.path for row in read_rows(tmp_path / "out.db")}
    assert found == set(tree.rglob("*.jpg"))
    done = export(tmp_path / "out.db", "--copy-to", tmp_path / "copies", "--min-score", "0")
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "copies").iterdir()} == {path.name for path in found}


def test_links_in_a_circle_end(tmp_path, samples):
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    shutil.copy(samples / "coffee.jpg", tree / "a" / "b")
    (tree / "a" / "b" / "top").symlink_to(tree)
    (tree / "self").symlink_to("self")
    (tree / "self.jpg").symlink_to("self.jpg")
    for options in ([], ["--follow-symlinks"]):
        db = tmp_path / f"{len(options)}.db"
        result = run("scan", tree, "--db", db, *options)
        assert "1 picture scanned" in result.output
        (broken,) = [row for row in read_rows(db) if row.error]
        assert Path(broken.path).name == "self.jpg"
    assert run("classify", tree).exit_code == 1


def test_a_folder_without_pictures_is_said(tmp_path):
    result = run("classify", tmp_path)
    assert (result.exit_code, result.output) == (0, "No pictures found\n")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "notes.txt").touch()
    scan = run("scan", tmp_path / "tree", "--db", tmp_path / "out.db")
    assert scan.exit_code == 0
    assert "No pictures found, 1 other file\n" in scan.output


@pytest.mark.parametrize("command", ["classify", "scan"])
def test_a_tree_may_be_deeper_than_python_recurses(tmp_path, samples, command, monkeypatch):
    depth = 1100  # more than its limit of 1,000 calls
    tree = tmp_path / "tree"
    tree.mkdir()
    monkeypatch.chdir(tree)
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    shutil.copy(samples / "coffee.jpg", "coffee.jpg")
    try:
        options = ["--db", tmp_path / "out.db"] if command == "scan" else []
        result = run(command, tree, *options)
        assert result.exit_code == 0, result.output[-500:]
        assert "1 picture scanned" in result.output or result.output.startswith("NotSmoking")
    finally:  # what removes folders recurses, too
        os.remove("coffee.jpg")
        for _ in range(depth):
            os.chdir("..")
            os.rmdir("d")


def test_a_folder_of_many_files_is_listed_in_little_memory(tmp_path):
    import tracemalloc

    from edge_app.imaging import find_pictures

    for number in range(5_000):
        os.close(os.open(tmp_path / f"{number}.jpg", os.O_CREAT))
    tracemalloc.start()
    found = find_pictures(tmp_path)
    next(found)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak / 5_000 < 120  # bytes per file, so a million takes about 100 MB
