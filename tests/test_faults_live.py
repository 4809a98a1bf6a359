"""`live` and `web` on machines where something is missing or goes wrong."""

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT, small_disk

pytest.importorskip("cv2", reason="needs opencv-python")

from live_files import records, write_video

from edge_app import Prediction
from edge_app.live import Outputs, run_live
from edge_app.live.archive import read_archive
from edge_app.live.clips import Clips
from edge_app.live.event_detector import Event
from edge_app.live.event_log import EventLog
from edge_app.live.frames import Frame, Lost
from edge_app.live.pictures import Snapshots

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


@pytest.fixture
def video(tmp_path, samples):
    """Some seconds with smoking between some without."""
    shown = [samples / f"{name}.jpg" for name in ("coffee", "smoking", "coffee")]
    return write_video(tmp_path / "video.avi", shown, seconds=2.5)


def live(video, *options, **environment):
    return subprocess.run(
        [
            *(sys.executable, "-m", "edge_app", "live", "--source", video, "--display", "none"),
            *("--fps", "5", *map(str, options)),
        ],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_on_a_full_disk_each_output_says_so_once_and_watching_goes_on(video, tmp_path):
    pytest.importorskip("av", reason="needs requirements-live.txt")
    with small_disk(tmp_path / "disk", "64k") as disk:
        (disk / "ballast").write_bytes(b"x" * 65_536)
        places = ["--events", disk / "events.jsonl", "--snapshots", disk, "--clips", disk]
        done = live(video, *places, "--record", disk / "film.mp4")
        left = sorted(path.name for path in disk.iterdir())
    assert done.returncode == 0, done.stderr
    assert "events: 1" in done.stdout
    for name in ("Events", "Best frames", "Clips"):
        assert done.stderr.count(f"{name} ({disk}") == 1, done.stderr
    assert done.stderr.count("cannot be written: the disk is full") == 3, done.stderr
    assert done.stderr.count("The recording (") == 1, done.stderr
    assert "Errno" not in done.stderr and ".partial" not in done.stderr
    assert "Traceback" not in done.stderr
    assert left == ["ballast", "events.jsonl"]  # the events file is opened, and empty


def test_a_disk_that_is_full_for_several_events_is_said_once_and_so_is_its_end(tmp_path, caplog):
    pytest.importorskip("av", reason="needs requirements-live.txt")
    caplog.set_level("INFO", "edge_app.live")
    prediction = Prediction("Smoking", 0.9, 0.9)
    with small_disk(tmp_path / "disk", "256k") as disk:
        outputs = Outputs(
            log=EventLog(disk / "events.jsonl"), snapshots=Snapshots(disk), clips=Clips(disk)
        )

        def happen(number):
            event = Event(number, None, 0.9, 0.8, 10, id=f"ab{number}")
            picture = Frame(np.zeros((48, 64, 3), np.uint8), number, number, number)
            outputs.frame(picture, prediction, in_event=True)
            outputs.event(event, 0.0, "")
            outputs.event(replace(event, ended=number + 0.5), 0.0, "over")
            outputs.frame(picture, prediction, in_event=False)
            outputs.clips.close()

        ballast = disk / "ballast"
        with contextlib.suppress(OSError):
            ballast.write_bytes(b"x" * 262_144)
        for number in range(3):
            happen(number)
        assert caplog.text.count("the disk is full") == 3, caplog.text
        ballast.unlink()
        happen(3)
        outputs.close()
        assert len(records(disk / "events.jsonl")) == 8  # those of the full disk, too
    assert caplog.text.count("can be written again") == 3, caplog.text


def test_a_read_only_disk_is_named_before_the_run(video, tmp_path):
    with small_disk(tmp_path / "disk", "64k") as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        done = live(video, "--archive", disk / "archive")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("cannot be written (Read-only file system)")


def test_no_home_and_no_network(video, tmp_path):
    done = live(video, "--archive", tmp_path / "archive", HOME="/nonexistent")
    assert done.returncode == 0, done.stderr
    assert len(records(tmp_path / "archive" / "events.jsonl")) == 2


def test_a_clock_that_is_set_back_during_an_event_changes_no_length(
    tmp_path, samples, classifier, monkeypatch
):
    import cv2

    real, back = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() - back[0])
    pictures = {name: cv2.imread(str(samples / f"{name}.jpg")) for name in ("coffee", "smoking")}

    def frames(_source, **_options):
        begun = time.monotonic()
        for number in range(100):
            back[0] = 3600.0 if number >= 50 else 0.0
            name = "smoking" if 30 <= number < 60 else "coffee"
            yield Frame(pictures[name], number, begun + number / 10, number / 10)
        yield Lost("unplugged")

    outputs = Outputs(log=EventLog(tmp_path / "events.jsonl"))
    run_live("0", classifier, display="none", outputs=outputs, frames=frames)
    start, end, lost = records(tmp_path / "events.jsonl")
    assert 2.5 < end["seconds"] < 4.5
    assert start["time"] > end["time"]  # as the clock said
    (event,) = [kept for kept in read_archive(tmp_path / "events.jsonl") if kept.is_event]
    assert event.seconds == end["seconds"]
    assert lost["event"] == "lost"


@pytest.mark.parametrize("ending", ["jpg", "mp4"])
def test_what_is_kept_under_a_clock_that_was_set_back_is_not_deleted_at_once(tmp_path, ending):
    """It sorts before all that is there, as if it were the oldest."""
    for number in range(3):
        (tmp_path / f"smoking-2099010{number + 1}T000000Z-0123456789ab.{ending}").touch()
    pixels, event = np.zeros((48, 64, 3), np.uint8), Event(0.0, 1.0, 0.9, 0.8, 10, id="ab12")
    if ending == "jpg":
        snapshots = Snapshots(tmp_path, keep=3)
        snapshots.watch(pixels, 0.9)
        name = snapshots.save(event).name
    else:
        pytest.importorskip("av", reason="needs requirements-live.txt")
        clips = Clips(tmp_path, keep=3)
        clips.add(Frame(pixels, 0, 0.0, 0.0))
        name = clips.begin(event)
        clips.close()
    assert (tmp_path / name).exists()
    assert len(os.listdir(tmp_path)) == 3


def web(*before, **environment):
    command = [sys.executable, "-m", "edge_app", "web", "--port", "1"]
    return subprocess.run(
        [*before, *command],
        cwd="/proc",  # where nobody can write
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_a_page_without_a_place_for_uploads_says_what_to_set():
    pytest.importorskip("gradio", reason="needs requirements-web.txt")
    hide = 'for d in /tmp /var/tmp; do mount -t tmpfs -o ro tmpfs $d || exit 77; done; exec "$@"'
    done = web("unshare", "--mount", "sh", "-c", hide, "sh")
    if done.returncode in (1, 77) and "Error" not in done.stderr:
        pytest.skip("needs the right to mount, as root has it")
    assert done.returncode == 3, done.stderr
    assert "Set TMPDIR to a folder that can be written" in done.stderr
    assert "Traceback" not in done.stderr
