"""Where frames come from: a camera, a video file, a stream."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

STALL_SECONDS = 10.0
"""A camera or stream that gives no frame for so long has ended."""


class SourceError(Exception):
    """A source that cannot be opened; the message names it and says what to do."""


class SourceLostError(Exception):
    """A camera or stream that gives no more frames."""


@dataclass(frozen=True)
class Frame:
    """A picture of a video.

    Attributes:
        pixels: ``uint8[height, width, 3]``, BGR, as OpenCV gives it.
        number: its place in the source, from 0; a gap means that frames were dropped.
        captured_at: `time.monotonic` when it was read, in seconds.
    """

    pixels: np.ndarray
    number: int
    captured_at: float


def open_frames(source: str) -> Iterator[Frame]:
    """Opens a source and yields its frames: each one of a file, the newest one of all else.

    Args:
        source: a camera's number, a video file, or a URL (``rtsp://``, ``http://``).

    Raises:
        SourceError: OpenCV is missing, or cannot open the source.
        SourceLostError: later, from the iterator, when a camera or stream ends or stalls.
    """
    is_path = not source.isdecimal() and "://" not in source
    if is_path and not os.path.exists(source):
        raise SourceError(f"{source}: there is no such file")
    capture = _open(source)
    return _every_frame(capture) if os.path.isfile(source) else _newest_frames(capture)


def _open(source: str) -> Any:
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # we say ourselves what is wrong
    try:
        import cv2
    except ImportError as error:
        raise SourceError(
            f"OpenCV cannot be loaded ({error}). Install it with: pip install opencv-python; on "
            "Debian, Ubuntu and Raspberry Pi OS it needs: sudo apt install libgl1 libglib2.0-0"
        ) from None
    capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    if capture.isOpened():
        return capture
    if source.isdecimal():
        raise SourceError(
            f"camera {source}: cannot be opened. Is it plugged in, free, and may you use it (on "
            "Linux: group video)? OpenCV cannot open the Raspberry Pi's own camera modules."
        )
    raise SourceError(f"{source}: cannot be opened as a video")


def _every_frame(capture: Any) -> Iterator[Frame]:
    number = 0
    try:
        while True:
            found, pixels = capture.read()
            if not found:
                return
            yield Frame(pixels, number, time.monotonic())
            number += 1
    finally:
        capture.release()


def _newest_frames(capture: Any) -> Iterator[Frame]:
    """Reads in a thread of its own, so that whoever is slow gets the newest frame, not a queue."""
    newest: list[Frame | None] = [None]
    changed = threading.Condition()
    stopping = threading.Event()

    def read() -> None:
        try:
            for frame in _every_frame(capture):
                if stopping.is_set():
                    return
                with changed:
                    newest[0] = frame
                    changed.notify()
        finally:
            with changed:
                stopping.set()
                changed.notify()

    reader = threading.Thread(target=read, name="capture", daemon=True)
    reader.start()
    try:
        while True:
            with changed:
                changed.wait_for(
                    lambda: newest[0] is not None or stopping.is_set(), timeout=STALL_SECONDS
                )
                frame, newest[0] = newest[0], None
            if frame is None:
                raise SourceLostError("it ended, or gave no frame for too long")
            yield frame
    finally:
        stopping.set()
        reader.join(timeout=1)
