"""Cameras and streams that stall, go and come back; what is passed over; how a run is ended."""

import doctest
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT, run_module

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from live_servers import (  # noqa: E402
    FakeDevice,
    MjpegServer,
    RtspServer,
    frames_until,
    until,
    wait_for,
)

from edge_app.cli.live import live  # noqa: E402
from edge_app.live import (  # noqa: E402
    Camera,
    SourceError,
    Zone,
    capture,
    meter,
    run_live,
    sources,
    zone,
)
from edge_app.live import frames as frames_module  # noqa: E402
from edge_app.live.frames import Found, Frame, Gate, Lost  # noqa: E402
from edge_app.live.sources import open_frames  # noqa: E402


@pytest.fixture
def device():
    camera = FakeDevice()
    yield camera
    camera.hanging.clear()
    camera.plugged = False


@pytest.fixture
def quick(monkeypatch):
    """Shorter patience, so that the tests take no minutes."""
    monkeypatch.setattr(sources, "STALL_SECONDS", 0.4)
    monkeypatch.setattr(sources, "PAUSES", (0.05, 0.1, 0.2))


def test_a_camera_unplugged_is_reported_once_and_found_again(device, quick):
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


def test_a_camera_that_hangs_is_left_and_opened_anew(device, quick):
    frames = open_frames("0", opener=device.open)
    until(frames, Frame)
    device.hanging.set()
    (lost,) = [item for item in until(frames, Lost) if isinstance(item, Lost)]
    assert "no frame for" in lost.reason
    threading.Timer(0.5, device.hanging.clear).start()
    assert isinstance(until(frames, Found)[-1], Found)
    frames.close()


def test_a_device_that_hangs_for_ever_does_not_fill_the_memory_with_threads(
    device, quick, monkeypatch
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


def test_the_pauses_between_attempts_grow(device, quick, monkeypatch):
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


def test_a_driver_that_raises_is_a_lost_camera(device, quick):
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


@pytest.fixture
def video(tmp_path, samples):
    """Two seconds of the astronaut at 12 frames a second."""
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12, (320, 240))
    picture = cv2.resize(cv2.imread(str(samples / "astronaut.jpg")), (320, 240))
    for _ in range(24):
        writer.write(picture)
    writer.release()
    return path


def test_a_file_has_its_own_time_and_fps_goes_by_it(video):
    times = [frame.time for frame in open_frames(str(video))]
    assert times == pytest.approx(np.arange(24) / 12, abs=0.1)
    assert len(list(open_frames(str(video), fps=6))) == pytest.approx(12, abs=1)


def test_realtime_plays_a_file_at_its_own_speed(video, classifier):
    summary = run_live(str(video), classifier, display="none", realtime=True)
    assert summary.seconds > 1.8
    assert summary.classified + summary.dropped == 24


def test_only_the_region_is_looked_at(video, classifier):
    from edge_app.imaging import from_frame
    from edge_app.live.zone import Cutter

    region = Zone.parse("10,20,100,200")
    frame = next(open_frames(str(video)))
    part, box = Cutter(region).cut(frame.pixels)
    assert box == (10, 20, 100, 200)
    assert (part == frame.pixels[20:220, 10:110]).all()
    whole, cropped = (classifier.classify_pixels(from_frame(x)) for x in (frame.pixels, part))
    assert whole.smoking != cropped.smoking
    moments = []
    camera = Camera(str(video), zone=region)
    summary = run_live(camera, classifier, display="none", on_frame=moments.append)
    assert summary.classified == 24
    assert {moment.prediction.smoking for moment in moments[:1]} == {cropped.smoking}


def test_outside_a_polygon_and_inside_a_mask_there_is_nothing_to_see():
    from edge_app.live.zone import Cutter

    pixels = np.full((100, 200, 3), 250, np.uint8)
    part, box = Cutter(Zone.parse("0,0 100,0 0,100", ["10,10,20,20"])).cut(pixels)
    assert box == (0, 0, 100, 100)
    assert (part[5, 5] == 250).all()
    assert (part[90, 90] == 127).all()  # outside the triangle
    assert (part[20, 20] == 127).all()  # in the mask
    assert (pixels == 250).all()
    part, box = Cutter(Zone.parse(masks=["0,0 50,0 50,50 0,50"])).cut(pixels)
    assert (box, part.shape) == (None, pixels.shape)
    assert (part[20, 20] == 127).all()
    assert (part[80, 180] == 250).all()


def test_a_zone_keeps_its_place_when_the_camera_changes_its_size():
    from edge_app.live.zone import Cutter

    cutter = Cutter(Zone.parse("100,50,100,50"))
    assert cutter.cut(np.zeros((200, 400, 3), np.uint8))[1] == (100, 50, 100, 50)
    part, box = cutter.cut(np.zeros((100, 200, 3), np.uint8))
    assert box == (50, 25, 50, 25)
    assert part.shape == (25, 50, 3)
    assert cutter.cut(np.zeros((200, 400, 3), np.uint8))[1] == (100, 50, 100, 50)
    assert cutter.cut(np.zeros((2, 4, 3), np.uint8))[0].size  # however small it gets


def test_a_camera_that_gives_smaller_frames_does_not_end_the_run(device, classifier, caplog):
    device.retrieve = lambda: np.zeros((96, 128, 3) if device.frames < 5 else (48, 64, 3), np.uint8)
    device.frames, moments = 0, []

    def see(moment):
        device.frames += 1
        moments.append(moment)

    camera = Camera("0", fps=20, zone=Zone.parse("60,40,60,50"))
    frames = frames_until(lambda: device.frames > 8, opener=device.open)
    with caplog.at_level("INFO", "edge_app.live"):
        run_live(camera, classifier, "none", on_frame=see, frames=frames)
    assert moments[0].box == (60, 40, 60, 50)
    assert moments[-1].box == (30, 20, 30, 25)
    assert caplog.text.count("frame size changed from 128 x 96 to 64 x 48") == 1


def test_a_region_outside_of_the_frame_is_named(video):
    result = CliRunner().invoke(live, ["--source", str(video), "--region", "300,0,100,100"])
    assert result.exit_code == 2
    assert "region 300,0,100,100: lies outside the frame, which is 320 x 240" in result.output


@pytest.mark.parametrize("region", ["1,2,3", "a,b,c,d", "0,0,0,10", "1,2 3,4", "1,2 3,4 5"])
def test_a_region_without_sense_is_named(region):
    result = CliRunner().invoke(live, ["--region", region])
    assert result.exit_code == 2
    assert "expected" in result.output


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


def start_live(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "edge_app", "live", "--display", "none", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("kind", [MjpegServer, RtspServer])
def test_a_server_that_restarts_is_found_again_and_the_events_file_says_so(samples, tmp_path, kind):
    events = tmp_path / "events.jsonl"
    server = kind(samples / "astronaut.jpg")
    server.start()
    process = start_live("--source", server.url, "--events", events)
    try:
        assert process.stdout.readline().startswith("frame ")
        server.stop()
        wait_for(lambda: any(record["event"] == "lost" for record in records(events)), 60)
        server.start()
        wait_for(lambda: any(record["event"] == "restored" for record in records(events)), 90)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        server.stop()
    assert process.returncode == 0
    assert errors.count("lost (") == 1
    assert "restored after" in errors
    assert [record["event"] for record in records(events)] == ["lost", "restored"]


def test_an_rtsp_stream_shows_what_the_server_shows(samples):
    with RtspServer(samples / "astronaut.jpg") as server:
        frames = open_frames(server.url)
        seen = [until(frames, Frame)[-1] for _ in range(5)]
        frames.close()
    expected = cv2.resize(cv2.imread(str(samples / "astronaut.jpg")), (320, 240))
    assert seen[-1].pixels.shape == expected.shape
    assert np.abs(seen[-1].pixels.astype(int) - expected).mean() < 12  # of a lossy video


@pytest.mark.parametrize("stalled", [False, True], ids=["running", "stalled"])
def test_sigterm_ends_it_cleanly_within_a_second(samples, stalled):
    with MjpegServer(samples / "astronaut.jpg") as server:
        process = start_live("--source", server.url)
        try:
            assert process.stdout.readline().startswith("frame ")
            if stalled:
                server.stalled.set()
                assert "lost (" in process.stderr.readline()
            sent = time.monotonic()
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=60)
            took = time.monotonic() - sent
        finally:
            process.kill()
    assert process.returncode == (1 if stalled else 0)
    assert "frames classified" in output
    assert took < 4.5  # the goal is 1 s, on a machine that may be busy; a stall takes 5 s


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_while_it_waits_for_a_camera_that_does_not_answer(kind):
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = start_live("--source", f"http://127.0.0.1:{server.getsockname()[1]}/")
        try:
            connection, _ = server.accept()
            process.send_signal(kind)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
        connection.close()
    assert (process.returncode, errors) == (130 if kind == signal.SIGINT else 0, "")
    assert "0 frames classified" in output


def test_a_stream_that_stalls_is_noticed_and_found_again(samples, quick):
    with MjpegServer(samples / "astronaut.jpg") as server:
        frames = open_frames(server.url)
        until(frames, Frame)
        server.stalled.set()
        until(frames, Lost)
        server.stalled.clear()
        assert isinstance(until(frames, Found)[-1], Found)
        frames.close()


def test_the_password_of_a_stream_is_never_shown():
    # A process of its own: FFmpeg itself writes to stderr.
    result = run_module("edge_app", "live", "--source", "rtsp://me:secret@127.0.0.1:9/live")
    assert result.returncode == 2
    assert "rtsp://me@127.0.0.1:9/live: cannot be opened" in result.stderr
    assert "secret" not in result.stderr + result.stdout


def test_a_slow_frame_rate_is_no_outage(device, quick, monkeypatch):
    monkeypatch.setattr(sources, "STALL_SECONDS", 3.0)
    frames = open_frames("0", fps=0.25, opener=device.open)  # a frame in 4 s
    until(frames, Frame)
    assert [type(item) for item in until(frames, Frame)] == [Frame]
    frames.close()


@pytest.mark.parametrize("module", [capture, frames_module, meter, sources, zone])
def test_the_examples_run(module):
    assert doctest.testmod(module).failed == 0
