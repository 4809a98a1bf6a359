"""Cameras and streams that stall, go and come back; what is passed over; how a run is ended."""

import threading
import time

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from live_servers import (  # noqa: E402
    FakeDevice,
    until,
    wait_for,
)

from edge_app.live import (  # noqa: E402
    SourceError,
    run_live,
    sources,
)
from edge_app.live.frames import Found, Frame, Gate, Lost  # noqa: E402
from edge_app.live.sources import open_frames  # noqa: E402


def test_a_camera_unplugged_is_reported_once_and_found_again(device, quick_retries):
    before = time.monotonic()
    frames = open_frames("0", opener=device.open)
    until(frames, Frame)
    device.plugged = False
    seen = until(frames, Lost)
    for item in frames:
        seen.append(item)
        device.plugged = device.opened > 3  # it is tried again and again
        if isinstance(item, Found):
            break
    took = time.monotonic() - before
    frames.close()
    assert sum(isinstance(item, Lost) for item in seen) == 1
    assert 0.05 + 0.1 + 0.2 < seen[-1].lost_seconds < took  # the pauses between attempts


def test_a_camera_that_hangs_is_left_and_opened_anew(device, quick_retries):
    frames = open_frames("0", opener=device.open)
    until(frames, Frame)
    device.hanging.set()
    (lost,) = [item for item in until(frames, Lost) if isinstance(item, Lost)]
    assert "no picture for" in lost.reason
    threading.Timer(0.5, device.hanging.clear).start()
    assert isinstance(until(frames, Found)[-1], Found)
    frames.close()


def test_a_device_that_hangs_for_ever_does_not_fill_the_memory_with_threads(
    device, quick_retries, monkeypatch
):
    before = threading.active_count()
    frames = open_frames("0", opener=device.open)
    until(frames, Frame)
    monkeypatch.setattr(sources, "OPEN_SECONDS", 0.4)
    device.hanging.set()
    time.sleep(0.1)
    until(frames, Lost)
    deadline = time.monotonic() + 60
    while device.opened < sources.MOST_STUCK:
        assert not isinstance(next(frames), Frame)
        assert time.monotonic() < deadline
    end = time.monotonic() + 1.5  # longer than it took the others to be given up
    while time.monotonic() < end:
        assert not isinstance(next(frames), Frame)
    assert device.opened == sources.MOST_STUCK
    assert threading.active_count() - before <= sources.MOST_STUCK
    frames.close()


def test_the_pauses_between_attempts_grow(device, quick_retries, monkeypatch):
    monkeypatch.setattr(sources, "PAUSES", (0.05, 0.3, 0.9))
    times = []
    frames = open_frames("0", opener=lambda name: times.append(time.monotonic()) or device.open(""))
    until(frames, Frame)
    device.plugged = False
    deadline = time.monotonic() + 60
    while len(times) < 4:
        next(frames)
        assert time.monotonic() < deadline
    frames.close()
    pauses = np.diff(times[1:])
    assert (pauses >= [0.29, 0.89]).all()


def test_a_driver_that_raises_is_a_lost_camera(device, quick_retries):
    frames = open_frames("0", opener=device.open)
    until(frames, Frame)
    device.retrieve = lambda: 1 / 0
    (lost,) = [item for item in until(frames, Lost) if isinstance(item, Lost)]
    assert "division by zero" in lost.reason
    frames.close()


def test_a_camera_that_never_gives_a_frame_is_said_so(device, monkeypatch):
    monkeypatch.setattr(sources, "OPEN_SECONDS", 0.3)
    device.hanging.set()
    with pytest.raises(SourceError, match="gave no frame within"):
        open_frames("0", opener=device.open)


def test_what_nobody_took_is_dropped_and_counted(device):
    frames = open_frames("0", opener=device.open)
    last = until(frames, Frame)[-1]
    for _ in range(5):
        seen = device.grabbed
        wait_for(lambda seen=seen: device.grabbed > seen + 5)
        newest = device.grabbed
        frame = until(frames, Frame)[-1]
        assert frame.dropped == frame.number - last.number - 1 > 3
        assert frame.number >= newest - 2  # the one that is being taken may come next
        last = frame
    frames.close()


@pytest.mark.parametrize(("rate", "fps", "expected"), [(30, 10, 10), (30, 15, 15), (25, 10, 10)])
def test_fps_bounds_the_frames_a_second(rate, fps, expected):
    gate = Gate(fps)
    passed = sum(gate.opens(number / rate) for number in range(rate * 10))
    assert passed == pytest.approx(expected * 10, abs=1)


def test_fps_bounds_what_is_taken_of_a_camera(device):
    frames = open_frames("0", fps=10, opener=device.open)
    until(frames, Frame)
    start = time.monotonic()
    times = [until(frames, Frame)[-1].captured_at - start for _ in range(6)]
    frames.close()
    assert times[-1] - times[0] > 0.45  # five intervals of 0.1 s, less than one frame's time


def test_a_file_has_its_own_time_and_fps_goes_by_it(short_video):
    times = [frame.time for frame in open_frames(str(short_video))]
    assert times == pytest.approx(np.arange(24) / 12, abs=0.1)
    assert len(list(open_frames(str(short_video), fps=6))) == pytest.approx(12, abs=1)


def test_realtime_plays_a_file_at_its_own_speed(short_video, classifier):
    summary = run_live(str(short_video), classifier, display="none", realtime=True)
    assert summary.seconds > 1.8
    assert summary.classified + summary.dropped == 24


def test_the_duration_counts_though_no_frame_comes(device, classifier):
    class Stalling(FakeDevice):
        def grab(self):
            self.hanging.set() if self.opened > 1 else None
            self.opened += 1
            return super().grab()

    camera = Stalling()
    start = time.monotonic()
    summary = run_live(
        "0",
        classifier,
        display="none",
        duration=1.0,
        frames=lambda source, **options: open_frames(source, opener=camera.open, **options),
    )
    camera.hanging.clear()
    camera.plugged = False
    assert summary.classified >= 1
    assert 1.0 <= time.monotonic() - start < sources.STALL_SECONDS


def test_a_slow_frame_rate_is_no_outage(device, quick_retries, monkeypatch):
    monkeypatch.setattr(sources, "STALL_SECONDS", 3.0)
    frames = open_frames("0", fps=0.25, opener=device.open)  # a frame in 4 s
    until(frames, Frame)
    assert [type(item) for item in until(frames, Frame)] == [Frame]
    frames.close()
