"""Files are written whole, and nothing that is no ordinary file is replaced."""

import itertools
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from edge_app.files import numbered, printable, refuse_to_replace, whole_file

unix = pytest.mark.skipif(os.name == "nt", reason="needs a Unix file system")


def write(path: Path, text: str = "new") -> None:
    with whole_file(path) as partial:
        partial.write_text(text)


def test_a_file_appears_whole_and_missing_folders_are_made(tmp_path):
    write(tmp_path / "a" / "b.txt")
    assert (tmp_path / "a" / "b.txt").read_text() == "new"
    assert os.listdir(tmp_path / "a") == ["b.txt"]


def test_a_block_that_fails_changes_and_leaves_nothing(tmp_path):
    write(tmp_path / "a.txt", "old")
    with pytest.raises(OSError, match="full"), whole_file(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise OSError("full")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@unix
def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real/a.txt")
    (tmp_path / "new.txt").symlink_to("real/b.txt")
    write(tmp_path / "link.txt")
    write(tmp_path / "new.txt")
    assert (tmp_path / "link.txt").is_symlink() and (tmp_path / "new.txt").is_symlink()
    assert [(tmp_path / "real" / name).read_text() for name in ("a.txt", "b.txt")] == ["new"] * 2


@unix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path, mode):
    (tmp_path / "a.txt").touch()
    (tmp_path / "a.txt").chmod(mode)
    write(tmp_path / "a.txt")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode


@unix
def test_devices_are_written_and_not_replaced():
    before = os.stat("/dev/null")
    write(Path("/dev/null"))
    after = os.stat("/dev/null")
    assert stat.S_ISCHR(after.st_mode)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


@unix
def test_a_pipe_is_written(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        write(tmp_path / "pipe")
        assert reader.communicate(timeout=60)[0] == b"new"
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@unix
def test_standard_output_can_be_named_as_a_file(tmp_path):
    code = (
        "from edge_app.files import whole_file; from pathlib import Path\n"
        "with whole_file(Path('/dev/stdout')) as partial: partial.write_text('new')"
    )
    with (tmp_path / "out").open("w") as file:
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=file, check=True)
    assert (tmp_path / "out").read_text() == "new"


@unix
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    code = (
        "import os, sys; from edge_app.files import whole_file; from pathlib import Path\n"
        "with whole_file(Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('half'); os.kill(os.getpid(), 9)"
    )
    target = tmp_path / "a[1].txt"
    subprocess.run([sys.executable, "-c", code, target], cwd=ROOT)
    assert len(os.listdir(tmp_path)) == 1
    running = tmp_path / f".a[1].{os.getppid()}.partial.txt"
    running.touch()
    write(target)
    assert sorted(os.listdir(tmp_path)) == sorted(["a[1].txt", running.name])


def test_a_folder_is_not_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        write(tmp_path / "a")


@unix
def test_names_of_the_greatest_length_can_be_written(tmp_path):
    for name in ("x" * 251 + ".txt", "ü" * 125 + ".txt", "." + "y" * 250):
        write(tmp_path / name)
        assert (tmp_path / name).read_text() == "new"


def test_an_output_replaces_no_picture_no_video_and_no_database(tmp_path, samples):
    picture, db, text = (tmp_path / name for name in ("a.csv", "b.html", "c.jpg"))
    shutil.copy(samples / "coffee.jpg", picture)  # the content decides
    sqlite3.connect(db).execute("CREATE TABLE t (x)").connection.close()
    text.write_text("path,label")
    videos = [tmp_path / name for name in ("mp4.html", "avi.html", "webm.html")]
    heads = (b"\0\0\0\x18ftypmp42", b"RIFF\0\0\1\0AVI LIST", b"\x1a\x45\xdf\xa3\x9f")
    for path, head in zip(videos, heads, strict=True):
        path.write_bytes(head + bytes(100))
    kinds = ((picture, "picture"), (db, "database"), *((path, "video") for path in videos))
    for path, kind in kinds:
        with pytest.raises(ValueError, match=f"is a {kind}, which would be lost"):
            refuse_to_replace(path)
    for path in (text, tmp_path, tmp_path / "new.csv"):
        refuse_to_replace(path)


@pytest.mark.parametrize("stem", ["a" * 251, "\u00e9" * 125, "short"])
def test_a_number_fits_into_the_longest_name(stem, tmp_path):
    names = list(itertools.islice(numbered(tmp_path / f"{stem}.jpg"), 12))
    for path in names:
        path.touch()
    assert len(set(names)) == 12 and all(path.suffix == ".jpg" for path in names)
    assert names[11].name.startswith(stem[:100]) and names[11].name.endswith("-12.jpg")


def test_any_text_is_printable():
    assert printable("a\nb \ud800 \u00e9") == "a\\nb \\ud800 \u00e9"
    assert printable(os.fsdecode(b"caf\xe9")) == "caf\\xe9"
