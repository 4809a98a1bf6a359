"""Cameras made of software: an MJPEG server on loopback that stalls, stops and starts again."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from pathlib import Path

import cv2


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
