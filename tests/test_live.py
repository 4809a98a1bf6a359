"""The live mode on a real video file and a real MJPEG stream on loopback; no camera needed."""

import contextlib
import http.server
import io
import os
import re
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT, run_module
from PIL import Image, ImageGrab

from edge_app import Prediction
from edge_app.cli.live import live
from edge_app.live import SourceError, loop, run_live
from edge_app.live.frames import Frame
from edge_app.live.sources import open_frames
from edge_app.live.window import draw, overlay_evidence

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from live_servers import wait_for  # noqa: E402


@pytest.fixture
def video(tmp_path, samples):
    """A video of 24 frames: 12 of the astronaut, 12 of the coffee cup."""
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12, (320, 240))
    assert writer.isOpened()
    for name in ("astronaut.jpg", "coffee.jpg"):
        picture = cv2.resize(cv2.imread(str(samples / name)), (320, 240))
        for _ in range(12):
            writer.write(picture)
    writer.release()
    return path


class StreamHandler(http.server.BaseHTTPRequestHandler):
    """Serves one picture again and again as MJPEG, faster than anyone classifies."""

    frames = 3000

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        head = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"
        try:
            for _ in range(self.frames):
                self.wfile.write(head + self.server.jpeg + b"\r\n")
                time.sleep(1 / 200)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_):
        """Keeps the console quiet."""


@contextlib.contextmanager
def serve(samples, handler):
    """Serves a stream on loopback; gives its URL."""
    buffer = io.BytesIO()
    Image.open(samples / "astronaut.jpg").resize((320, 240)).save(buffer, "JPEG")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.jpeg = buffer.getvalue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/stream.mjpg"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def stream(samples):
    with serve(samples, StreamHandler) as url:
        yield url


def test_every_frame_of_a_file_is_classified(video, classifier):
    summary = run_live(str(video), classifier, display="none")
    assert (summary.classified, summary.dropped) == (24, 0)
    assert summary.smoking == 0


def test_a_frame_scores_as_the_picture_it_shows(video, classifier):
    from edge_app.imaging import from_frame

    frame = next(iter(open_frames(str(video))))
    expected = classifier.classify(frame.pixels[..., ::-1]).smoking
    assert classifier.classify_pixels(from_frame(frame.pixels)).smoking == expected


def test_of_a_stream_only_the_newest_frame_is_classified(stream):
    frames = open_frames(stream)
    seen = []
    for frame in frames:
        if not isinstance(frame, Frame):
            continue
        seen.append(frame)
        assert time.monotonic() - frame.captured_at < 2  # fresh, however slow we are
        time.sleep(0.3)  # sixty frames of the stream
        if len(seen) == 8:
            break
    frames.close()
    gaps = np.diff([frame.number for frame in seen])
    assert (gaps > 1).all()
    assert [frame.dropped for frame in seen[1:]] == [gap - 1 for gap in gaps]


def test_a_stream_ends_with_its_duration(stream, classifier):
    summary = run_live(stream, classifier, display="none", duration=1.0)
    assert 1.0 <= summary.seconds < 12  # the stream lasts longer
    assert summary.classified >= 1


@pytest.mark.parametrize("source", ["http://127.0.0.1:9/none", "missing.mp4"])
def test_a_source_that_cannot_be_opened_is_named(source):
    with pytest.raises(SourceError, match=source.replace(".", r"\.")):
        open_frames(source)


def test_a_screen_that_is_named_but_not_there_is_no_screen(video, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":4711")
    result = run_module("edge_app", "live", "--source", video)
    assert result.returncode == 0, result.stderr
    assert "24 frames classified" in result.stdout


def test_a_file_that_is_no_video_is_named(tmp_path):
    (tmp_path / "notes.mp4").write_text("no video")
    with pytest.raises(SourceError, match=r"notes\.mp4: cannot be opened as a video"):
        open_frames(str(tmp_path / "notes.mp4"))


def test_the_result_is_drawn_on_a_copy():
    frame = np.full((240, 320, 3), 200, np.uint8)
    picture = draw(frame, Prediction("Smoking", 0.9, 0.9), "smoking", rate=14.6, latency=0.02)
    assert (frame == 200).all()
    assert picture.shape == frame.shape
    changed = (picture != frame).any(axis=2)
    assert changed[:25].any()
    assert changed[-25:].any()
    assert not changed[60:-30].any()


def test_evidence_is_red_for_and_blue_against_inside_the_region_only():
    frame = np.full((240, 320, 3), 128, np.uint8)
    evidence = np.array([[-4.0, 4.0]], np.float32)
    picture = overlay_evidence(frame, evidence, (100, 50, 200, 100)).astype(int)
    assert (frame == 128).all()
    blue, _, red = picture[100, 110]
    assert blue > red + 50
    blue, _, red = picture[100, 290]
    assert red > blue + 50
    outside = np.ones((240, 320), bool)
    outside[50:150, 100:300] = False
    assert (picture[outside] == 128).all()


@pytest.fixture
def screen():
    """A virtual screen."""
    for program in ("Xvfb", "xdotool"):
        if not shutil.which(program):
            pytest.skip(f"needs {program}")
    if re.search(r"GUI: +NONE", cv2.getBuildInformation()):
        pytest.skip("needs opencv-python; this OpenCV opens no windows")
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield f":{server.stdout.readline().strip()}"
    server.terminate()
    server.wait()


def test_the_keys_of_the_window(stream, screen, tmp_path):
    environment = {**os.environ, "DISPLAY": screen, "QT_QPA_PLATFORM": "xcb", "PYTHONPATH": ROOT}
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_app", "live", "--source", stream, "--display", "window"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def press(key):
        find = ["xdotool", "search", "--sync", "--onlyvisible", "--name", "Smoking gesture"]
        subprocess.run([*find, "windowfocus", "key", key], env=environment, check=True, timeout=120)

    def picture():
        """What the window shows between its bars."""
        return np.asarray(ImageGrab.grab(xdisplay=screen)).astype(int)[80:400, :640]

    try:
        press("x")  # waits for the window
        wait_for(lambda: picture().std() > 20, 90)
        plain = picture()
        press("e")
        wait_for(lambda: np.abs(picture() - plain).mean() > 5)
        press("e")
        wait_for(lambda: np.abs(picture() - plain).mean() < 2)
        press("s")
        wait_for(lambda: list(tmp_path.glob("smoking-*-key.jpg")))
        press("q")
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "frames classified" in output
    assert "Without a display" not in errors
    saved = cv2.imread(str(next(tmp_path.glob("smoking-*-key.jpg"))))
    assert saved.shape == (240, 320, 3)  # the frame, without what is drawn on it
    assert "Saved smoking-" in errors


class Keyboard:
    """A window of software: shows nothing, and pauses for a while at a frame."""

    def __init__(self):
        self.paused = self.wants_to_quit = self.wants_snapshot = False
        self.shown = []

    def show(self, moment, lost=False):
        self.shown.append(self.paused)
        if len(self.shown) == 5:
            self.paused = True
        if len(self.shown) == 40:
            self.paused = False

    def close(self):
        self.closed = True


def test_a_file_waits_while_the_window_is_paused(video, classifier, monkeypatch):
    window = Keyboard()
    monkeypatch.setattr(loop, "has_screen", lambda: True)
    monkeypatch.setattr(loop, "Window", lambda: window)
    summary = run_live(str(video), classifier)
    assert summary.classified == 24
    assert sum(window.shown) == 35
    assert window.closed


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_on_a_terminal_there_is_one_status_line(stream):
    import pty

    reader, writer = pty.openpty()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "edge_app", "live", "--display", "none"),
            *("--source", stream),
        ],
        cwd=ROOT,
        stdout=writer,
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    text, stopped = b"", False
    try:
        while chunk := os.read(reader, 4096):
            text += chunk
            if text.count(b"\r") > 6 and not stopped:
                process.terminate()
                stopped = True
    except OSError:
        assert process.wait(60) == 0  # a terminal ends with an error on Linux
    finally:
        process.kill()
        os.close(reader)
    *status, summary = text.decode().rstrip().split("\n")
    (line,) = status  # over and over in the same place
    assert line.count("\r") > 5
    assert re.search(r"NotSmoking \d+%, clear, [\d.]+ frames per second, \d+ ms, \d+ dropped", line)
    assert "frames classified" in summary


def test_the_command_runs_without_a_screen(video, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    result = CliRunner().invoke(live, ["--source", str(video)])
    assert result.exit_code == 0, result.output
    assert "24 frames classified" in result.output
    assert "frame 0: NotSmoking" in result.output


def test_the_summary_counts_one_as_one():
    text = loop.Summary(classified=1, outages=1, seconds=1.0).text()
    assert text.startswith("1 frame classified ") and text.endswith("; source lost once")
    assert loop.Summary(classified=2, outages=2).text().endswith("; source lost 2 times")
