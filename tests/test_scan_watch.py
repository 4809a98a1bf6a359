"""``scan --watch`` on a real file system, as a user runs it."""

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

from edge_app.imaging import find_pictures
from edge_app.scan import StoreError, read_rows
from edge_app.scan.scanner import Scan


def results(db: Path) -> dict[str, str | None]:
    with contextlib.suppress(StoreError):  # not made yet
        return {row.path.name: row.label or row.error for row in read_rows(db)}
    return {}


@pytest.fixture
def watched(samples, tmp_path):
    """A folder with one picture that is watched, and the database; checks that the end is clean."""
    folder, db = tmp_path / "folder", tmp_path / "out.db"
    folder.mkdir()
    shutil.copy(samples / "coffee.jpg", folder / "first.jpg")
    command = [sys.executable, "-m", "edge_app", "scan", folder, "--db", db]
    with (tmp_path / "output").open("w+") as output:
        process = subprocess.Popen(
            [*command, "--watch", "--prune", "--exclude", "*.part"],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

        def wait_for(condition, seconds=60):
            end = time.monotonic() + seconds
            while not condition():
                text = (tmp_path / "output").read_text()
                assert process.poll() is None and time.monotonic() < end, (results(db), text)
                time.sleep(0.1)

        wait_for(lambda: "Watching" in (tmp_path / "output").read_text())
        yield folder, db, wait_for
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        text = (tmp_path / "output").read_text()
        assert "Traceback" not in text
        assert "Results: " in text


def test_files_and_folders_that_arrive_are_scanned(samples, watched, tmp_path):
    folder, db, wait_for = watched
    assert results(db) == {"first.jpg": "NotSmoking"}
    shutil.copy(samples / "coffee.jpg", folder / "copied.jpg")
    (folder / "new" / "deep").mkdir(parents=True)
    shutil.copy(samples / "coffee.jpg", folder / "new" / "deep" / "made.jpg")
    outside = tmp_path / "outside"
    shutil.copytree(samples, outside / "inner")
    outside.rename(folder / "moved")
    shutil.copy(samples / "coffee.jpg", folder / "download.part")
    (folder / "notes.txt").write_text("no picture")
    wait_for(lambda: len(results(db)) == len(list(find_pictures(samples))) + 3)
    (folder / "download.part").rename(folder / "download.jpg")
    wait_for(lambda: "download.jpg" in results(db))
    assert results(db)["smoking.jpg"] == "Smoking"
    assert results(db)["made.jpg"] == results(db)["copied.jpg"] == "NotSmoking"
    assert not {"notes.txt", "download.part"} & set(results(db))


def test_a_file_that_is_written_slowly_is_scanned_once_it_is_whole(samples, watched):
    folder, db, wait_for = watched
    content = (samples / "coffee.jpg").read_bytes()
    with (folder / "slow.jpg").open("wb", buffering=0) as file:
        for place in range(0, len(content), len(content) // 3):
            file.write(content[place : place + len(content) // 3])
            time.sleep(2.5)
            if file.tell() < len(content):
                assert "slow.jpg" not in results(db)
    wait_for(lambda: results(db).get("slow.jpg") == "NotSmoking")


def test_what_goes_leaves_the_database_and_what_changes_is_scanned_again(samples, watched):
    folder, db, wait_for = watched
    (folder / "first.jpg").rename(folder / "second.jpg")
    wait_for(lambda: list(results(db)) == ["second.jpg"])
    before = next(read_rows(db)).scanned_at
    shutil.copy(samples / "astronaut.jpg", folder / "second.jpg")
    wait_for(lambda: [row.scanned_at for row in read_rows(db)] > [before])
    (folder / "second.jpg").unlink()
    wait_for(lambda: not results(db))


def test_a_folder_that_is_replaced_is_watched_again_and_keeps_its_results(
    samples, watched, tmp_path
):
    folder, db, wait_for = watched
    folder.rename(tmp_path / "elsewhere")
    wait_for(lambda: "is gone" in (tmp_path / "output").read_text())
    assert list(results(db)) == ["first.jpg"]
    (tmp_path / "elsewhere").rename(folder)
    shutil.copy(samples / "smoking.jpg", folder / "early.jpg")
    wait_for(lambda: "is back" in (tmp_path / "output").read_text())
    shutil.copy(samples / "smoking.jpg", folder / "late.jpg")
    wait_for(lambda: results(db).keys() == {"first.jpg", "early.jpg", "late.jpg"})


def test_waiting_for_pictures_is_not_time_of_the_scan(tmp_path, classifier):
    start = time.monotonic()
    with Scan(tmp_path / "out.db", classifier.info, 1) as scan:
        scan.wait(0.5)
    assert scan.summary.seconds <= time.monotonic() - start - 0.49
