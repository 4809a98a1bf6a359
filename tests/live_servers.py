"""Cameras made of software: a device, and MJPEG and RTSP servers on loopback that come and go."""

from __future__ import annotations

import contextlib
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path

import cv2
import numpy as np
from conftest import lacks

from edge_app.live.errors import SourceError
from edge_app.live.frames import Item
from edge_app.live.sources import open_frames

RTSP_PACKAGES = (
    "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
)


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    """Waits until something is true; fails where that takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def frames_until(condition: Callable[[], object], seconds: float = 90, **more):
    """What `run_live` takes as ``frames``: those of each source, until something is true."""
    deadline = time.monotonic() + seconds

    def frames(source: str, **options) -> Generator[Item]:
        with contextlib.closing(open_frames(source, **options, **more)) as items:
            for item in items:
                if condition():
                    return
                assert time.monotonic() < deadline, "it did not happen in time"
                yield item

    return frames


def until(frames, kind, seconds=60):
    """What the iterator gives up to the first item of a kind, without the Nones."""
    seen, deadline = [], time.monotonic() + seconds
    for item in frames:
        if item is not None:
            seen.append(item)
        if isinstance(item, kind):
            return seen
        assert time.monotonic() < deadline, seen[-3:]
    raise AssertionError("it ended")


class FakeDevice:
    """A camera in software: gives frames, stalls, or fails, as the test says."""

    def __init__(self):
        self.opened = self.grabbed = 0
        self.plugged = True
        self.hanging = threading.Event()
        self.delay = 0.005

    def open(self, source):
        self.opened += 1
        if not self.plugged:
            raise SourceError(f"camera {source}: cannot be opened")
        return self

    def grab(self):
        while self.hanging.is_set():
            time.sleep(0.01)
        time.sleep(self.delay)
        self.grabbed += self.plugged
        return self.plugged

    def retrieve(self):
        return np.zeros((48, 64, 3), np.uint8)

    def release(self):
        pass


class MjpegServer:
    """Serves frames as MJPEG at a pace; a context manager.

    Args:
        picture: what it shows.
        fps: frames a second.
        size: width and height.
        port: 0 for a free one.
    """

    def __init__(self, picture: Path, fps: float = 30, size=(320, 240), port: int = 0):
        self.fps, self.port = fps, port
        self.stalled = threading.Event()
        self.show(picture, size)

    def show(self, picture: Path, size=(320, 240)) -> None:
        pixels = cv2.resize(cv2.imread(str(picture)), size)
        self.jpeg = cv2.imencode(".jpg", pixels)[1].tobytes()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream.mjpg"

    def start(self) -> None:
        outer = self
        self._stopping = threading.Event()
        self._connections: list[socket.socket] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer._connections.append(self.connection)
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                due = time.monotonic()
                try:
                    while not outer._stopping.is_set():
                        if not outer.stalled.is_set():
                            head = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"
                            self.wfile.write(head + outer.jpeg + b"\r\n")
                        due += 1 / outer.fps
                        time.sleep(max(0.0, due - time.monotonic()))
                except OSError:
                    self.close_connection = True

            def log_message(self, *_):
                """Keeps the console quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is gone already

    def __enter__(self) -> MjpegServer:
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()


class RtspServer:
    """GStreamer's RTSP server, showing a picture as H.264; a context manager.

    The test is skipped where the packages are missing, but for the checks of every change.
    """

    def __init__(self, picture: Path):
        self._picture, self.port = picture, 0
        self._python = self._find_python()

    @staticmethod
    def _find_python() -> str:
        program = (
            "import gi; gi.require_version('GstRtspServer', '1.0'); "
            "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
            "assert all(map(Gst.ElementFactory.find, ['jpegdec', 'x264enc', 'rtph264pay']))"
        )
        for python in ("/usr/bin/python3", sys.executable):
            if os.path.exists(python):
                found = subprocess.run([python, "-c", program], capture_output=True)
                if found.returncode == 0:
                    return python
        lacks(f"needs an RTSP server: apt install {RTSP_PACKAGES}")

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/live"

    def start(self) -> None:
        program = Path(__file__).with_name("rtsp_server.py")
        self._process = subprocess.Popen(
            [self._python, program, str(self.port), self._picture],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> RtspServer:
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()


def get(url, **headers):
    """Status, headers and body, also of a refusal."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as r:
            return r.status, r.headers, r.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()
