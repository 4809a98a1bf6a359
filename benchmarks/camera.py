"""A simulated camera in its own process: MJPEG over HTTP, every frame numbered.

It sends every frame, as network cameras do, each one when it is due: frame n at the start plus n
intervals. Who reads too slowly holds it up, so a frame that waits in a buffer grows old on the way,
and its age is known: the number is in the picture, and time.monotonic is the same in all processes
of a machine.
"""

from __future__ import annotations

import http.server
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

PERIOD = 128
"""Frame numbers wrap around after this many."""

_BITS, _BLOCK = 7, 24  # black and white blocks, side in pixels, in the upper left corner
_PICTURE = Path(__file__).resolve().parent.parent / "samples" / "astronaut.jpg"


class Camera:
    """Runs the camera; a context manager.

    Args:
        size: width and height.
        fps: frames per second.
    """

    def __init__(self, size: tuple[int, int], fps: float):
        self.size, self.fps = size, fps

    def __enter__(self) -> Camera:
        arguments = [str(value) for value in (*self.size, self.fps)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.camera", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parent.parent,
        )
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_) -> None:
        self._process.terminate()
        self._process.wait()

    def started(self) -> float:
        """The time of frame 0 for the client that connected last, as `time.monotonic` gives it."""
        return float(self._process.stdout.readline())


def draw_number(pixels: np.ndarray, number: int) -> np.ndarray:
    """Returns a copy of a frame with a number in its corner.

    Args:
        pixels: ``uint8[height, width, 3]``.
        number: 0 to `PERIOD` - 1.
    """
    picture = pixels.copy()
    for bit in range(_BITS):
        column = bit * _BLOCK
        picture[:_BLOCK, column : column + _BLOCK] = 255 * (number >> bit & 1)
    return picture


def read_number(pixels: np.ndarray) -> int:
    """Reads what `draw_number` wrote."""
    half = _BLOCK // 2
    return sum(int(pixels[half, bit * _BLOCK + half].mean() > 127) << bit for bit in range(_BITS))


def unwrap(numbers: list[int]) -> np.ndarray:
    """Positions of frames in the stream, from numbers that wrap around; no gap is a period long.

    >>> unwrap([126, 127, 3]).tolist()
    [126, 127, 131]
    """
    steps = np.diff(numbers) % PERIOD
    return numbers[0] + np.concatenate([[0], np.cumsum(steps)]).astype(int)


def serve(size: tuple[int, int], fps: float) -> None:
    """Serves until the process ends. Prints its URL, then the start of each connection."""
    picture = cv2.resize(cv2.imread(str(_PICTURE)), size)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 80]
    parts = []
    for number in range(PERIOD):
        jpeg = cv2.imencode(".jpg", draw_number(picture, number), quality)[1].tobytes()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        parts.append(head.encode() + jpeg + b"\r\n")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            start, number = time.monotonic(), 0
            print(start, flush=True)
            try:
                while True:
                    time.sleep(max(0.0, start + number / fps - time.monotonic()))
                    self.wfile.write(parts[number % PERIOD])
                    number += 1
            except OSError:
                self.close_connection = True

        def log_message(self, *_):
            """Keeps the console quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}/stream.mjpg", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    width, height, frames_a_second = sys.argv[1:]
    serve((int(width), int(height)), float(frames_a_second))
