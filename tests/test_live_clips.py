"""Clips of events: whole, playable, bounded."""

import os
import sys

import numpy as np
import pytest
from click.testing import CliRunner

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")
av = pytest.importorskip("av", reason="needs requirements-live.txt")

from live_servers import wait_for  # noqa: E402

from edge_app.cli.live import live  # noqa: E402
from edge_app.live import Camera, Outputs, run_live  # noqa: E402
from edge_app.live.clips import Clips, Ring  # noqa: E402
from edge_app.live.event_detector import Event  # noqa: E402
from edge_app.live.frames import Frame  # noqa: E402

NAME = "0123456789ab"


def event(started, ended=None, name=NAME):
    return Event(started, ended, 0.9, 0.8, 10, id=name)


def frame(when, grey=None, size=(240, 320)):
    grey = int(when * 10) % 250 if grey is None else grey
    return Frame(np.full((*size, 3), grey, np.uint8), 0, when, when)


def times_of(path):
    """The time of each frame of a video, and the first picture."""
    with av.open(str(path)) as video:
        frames = list(video.decode(video=0))
    return [f.time for f in frames], frames[0].to_ndarray(format="bgr24")


def run_event(clips, begin=20.0, end=24.0, until=40.0, rate=10, size=(240, 320)):
    name = None
    for number in range(int(until * rate)):
        when = number / rate
        clips.add(frame(when, size=size))
        if when == begin + 1:  # an event is known a while after it began
            name = clips.begin(event(begin))
        if when == end + 2:
            assert clips.end(event(begin, end)) == name
    return clips.folder / name


def test_a_clip_begins_before_its_event_and_ends_after_it(tmp_path):
    clips, done = Clips(tmp_path, before=5, after=3), []
    clips.on_done = lambda *what: done.append(what)
    path = run_event(clips)
    wait_for(lambda: done == [(NAME, path.name)])
    times, first = times_of(path)
    assert times[0] == 0
    assert times[-1] == pytest.approx(5 + 4 + 3, abs=0.3)
    assert len(times) == pytest.approx(8 * 12, abs=10)  # at most 8 frames per second
    assert abs(int(first.mean()) - 150) < 8  # what was there 5 s before second 20
    with av.open(str(path)) as video:
        assert video.streams.video[0].codec_context.name == "h264"
    assert os.listdir(tmp_path) == [path.name]
    clips.close()


@pytest.mark.parametrize("size", [(241, 321), (720, 1280), (3, 5)])
def test_frames_of_any_size_become_a_clip(tmp_path, size):
    clips = Clips(tmp_path)
    path = run_event(clips, begin=1.0, end=2.0, until=5.0, rate=4, size=size)
    clips.close()
    _, first = times_of(path)
    assert max(first.shape) <= 640
    assert first.shape[0] % 2 == first.shape[1] % 2 == 0


def test_a_camera_that_changes_its_size_during_an_event(tmp_path):
    clips = Clips(tmp_path)
    for number in range(20):
        clips.add(frame(number / 5, size=(240, 320) if number < 10 else (120, 160)))
        if number == 5:
            path = tmp_path / clips.begin(event(0.5))
    clips.close()
    times, first = times_of(path)
    assert (len(times), first.shape) == (20, (240, 320, 3))


def test_an_event_that_lasts_when_the_run_ends_has_its_clip(tmp_path):
    clips = Clips(tmp_path)
    for number in range(20):
        clips.add(frame(number / 5))
        if number == 10:
            path = tmp_path / clips.begin(event(1.0))
    clips.close()
    assert len(times_of(path)[0]) == 20


def test_a_second_event_that_follows_at_once_has_a_clip_of_its_own(tmp_path):
    clips, done = Clips(tmp_path, after=5), []
    clips.on_done = lambda name, _: done.append(name)
    for number in range(100):
        when = number / 5
        clips.add(frame(when))
        if when in (2, 6):
            clips.begin(event(when, name=f"{int(when):012}"))
        if when == 4:
            clips.end(event(2.0, 3.0, name=f"{2:012}"))
    clips.close()
    assert done == [f"{2:012}", f"{6:012}"]


def test_an_event_of_hours_does_not_become_a_clip_of_hours(tmp_path):
    clips = Clips(tmp_path, longest=10)
    path = run_event(clips, begin=5.0, end=60.0, until=80)
    clips.close()
    assert times_of(path)[0][-1] == pytest.approx(15, abs=0.5)


def test_clips_are_bounded_in_number_and_age_and_leave_others_alone(tmp_path):
    (tmp_path / "holiday.mp4").write_bytes(b"not ours")
    old = tmp_path / "smoking-20200101T000000Z-00000000000a.mp4"
    old.write_bytes(b"old")
    os.utime(old, (0, 0))
    clips = Clips(tmp_path, keep=2)
    for number in range(4):
        clips.add(frame(float(number)))
        clips.begin(event(float(number), name=f"{number:012}"))
        clips.add(frame(number + 0.5))
    clips.close()
    wait_for(lambda: len(list(tmp_path.iterdir())) == 3)  # all writers have ended
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept[0] == "holiday.mp4"
    assert kept[-1].endswith("-000000000003.mp4")


def test_the_ring_is_bounded_in_time_and_bytes():
    ring = Ring(seconds=5, most_bytes=10_000)
    for number in range(1000):
        ring.add(b"x" * 1000, number / 10)
    assert len(ring.frames) == 10
    ring = Ring(seconds=2)
    for number in range(1000):
        ring.add(b"x", number / 10)
    assert len(ring.frames) == 21


def test_a_folder_that_cannot_be_written_is_said_and_the_run_goes_on(tmp_path, caplog):
    clips = Clips(tmp_path / "clips")
    (tmp_path / "clips").rmdir()
    (tmp_path / "clips").write_text("in the way")
    for number in range(50):
        clips.add(frame(number / 5))
        if number == 10:
            clips.begin(event(1.0))
    clips.close()
    assert caplog.text.count("Clips (") == 1


def test_a_run_has_the_clip_in_its_records(tmp_path, samples, classifier):
    from live_files import records, write_video

    from edge_app.live.event_log import EventLog

    video = write_video(tmp_path / "video.avi", [samples / "coffee.jpg"])
    outputs = Outputs(log=EventLog(tmp_path / "events.jsonl"), clips=Clips(tmp_path / "clips"))
    run_live(Camera(str(video), threshold=0.0), classifier, "none", outputs=outputs)
    start, end = records(tmp_path / "events.jsonl")
    assert start["clip"] == end["clip"]
    assert len(times_of(tmp_path / "clips" / end["clip"])[0]) > 15


def test_a_clip_can_be_played_as_soon_as_its_camera_is_lost(tmp_path):
    clips, done = Clips(tmp_path), []
    clips.on_done = lambda *what: done.append(what)
    outputs = Outputs(clips=clips)
    for number in range(20):
        clips.add(frame(number / 5))
    outputs.event(event(1.0), 0.0, "over")
    outputs.event(event(1.0, 3.0), 0.0, "lost")
    outputs.write({"event": "lost", "reason": "it ended"}, 0.0)
    wait_for(lambda: done)  # though no frame comes any more
    assert len(times_of(tmp_path / done[0][1])[0]) == 20
    outputs.close()


def test_without_pyav_it_says_what_to_install(tmp_path, samples, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    arguments = ["--clips", str(tmp_path), "--source", str(samples / "coffee.jpg")]
    result = CliRunner().invoke(live, arguments)
    assert result.exit_code == 2
    assert "--clips needs PyAV: " in result.output
