"""Recordings: at the right speed, bounded, and closed while they can still be played."""

import os
import subprocess

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from live_files import write_video  # noqa: E402

from edge_app.live import Outputs, run_live  # noqa: E402
from edge_app.live.recorder import Recorder  # noqa: E402


def test_a_recording_never_takes_the_place_of_another_or_of_its_source(
    tmp_path, samples, classifier
):
    video = write_video(tmp_path / "video.avi", [samples / "cameraman.jpg"], seconds=1)
    before = video.read_bytes()
    for _ in range(2):
        run_live(str(video), classifier, display="none", outputs=Outputs(recorder=Recorder(video)))
    assert video.read_bytes() == before
    assert (tmp_path / "video-2.avi").stat().st_size > 1000
    assert (tmp_path / "video-3.avi").stat().st_size > 1000


@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_a_recording_plays_at_the_speed_of_the_source(tmp_path, name):
    recorder = Recorder(tmp_path / name, fps=10)
    for when in np.arange(0, 4, 0.25):  # slower than the file
        recorder.add(np.zeros((48, 64, 3), np.uint8), 100 + when)
    recorder.add(np.zeros((48, 64, 3), np.uint8), 10_000)  # a long gap is left out
    recorder.close()
    video = cv2.VideoCapture(str(tmp_path / name))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == pytest.approx(40, abs=3)
    video.release()


def noise(number):
    return np.random.default_rng(number).integers(0, 255, (240, 320, 3), np.uint8)


def record_all(recorder, count=100):
    """Adds frames until the recording is over; returns what it said."""
    said = []
    for number in range(count):
        try:
            recorder.add(noise(number), number * 0.7)  # seven frames of the file each
        except OSError as error:
            said.append(str(error))
    return said


def test_a_recording_stops_at_its_size_and_says_so_once(tmp_path):
    recorder = Recorder(tmp_path / "out.avi", fps=10, max_bytes=200_000)
    (said,) = record_all(recorder)
    assert "the recording ends" in said
    assert recorder.is_over
    recorder.close()
    assert (tmp_path / "out.avi").stat().st_size < 200_000 + 57 * 120_000
    assert cv2.VideoCapture(str(tmp_path / "out.avi")).read()[0]


@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_on_a_disk_that_fills_up_the_recording_is_closed_while_it_can_be_played(tiny_disk, name):
    subprocess.run(["mount", "-o", "remount,size=30m", tiny_disk], check=True)
    recorder = Recorder(tiny_disk / name, fps=10, free_bytes=8_000_000)
    said = record_all(recorder, 400)
    recorder.close()
    assert len(said) == 1
    assert "the disk has less than 8 MB left; the recording ends" in said[0]
    video = cv2.VideoCapture(str(tiny_disk / name))
    count = 0
    while video.read()[0]:
        count += 1
    video.release()
    assert count >= 50


def test_where_the_disk_is_full_from_the_start_nothing_is_left_behind(tiny_disk):
    (said,) = record_all(Recorder(tiny_disk / "out.avi"))
    assert "0 MB are free, 50 MB are needed" in said
    assert list(tiny_disk.iterdir()) == []


def test_a_writer_that_cannot_open_is_said_once_and_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "VideoWriter_fourcc", lambda *_: 0x21212121)  # no such codec
    (said,) = record_all(Recorder(tmp_path / "out.avi"))
    assert "OpenCV cannot write it" in said
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_on_when_its_recording_cannot(tiny_disk, samples, classifier, caplog, tmp_path):
    video = write_video(tmp_path / "video.avi", [samples / "cameraman.jpg"], seconds=1)
    outputs = Outputs(recorder=Recorder(tiny_disk / "out.avi"))
    summary = run_live(str(video), classifier, display="none", outputs=outputs)
    assert summary.classified == 10
    assert caplog.text.count("The recording (") == 1


@pytest.mark.parametrize("ending", [".gif", ""])
def test_a_recording_needs_a_known_ending(tmp_path, ending):
    with pytest.raises(ValueError, match=r"ends with \.mp4 or \.avi"):
        Recorder(tmp_path / f"out{ending}")


def test_a_recording_with_a_name_that_is_not_utf8_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is not UTF-8"):
        Recorder(tmp_path / os.fsdecode(b"caf\xe9.avi"))
