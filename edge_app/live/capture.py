"""Opening and reading one source: OpenCV for most, Picamera2 for the Raspberry Pi's own camera."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import numpy as np

from edge_app.files import printable

_CONNECT_MILLISECONDS = 5000  # OpenCV's own patience is 30 s

_SECRET = re.compile(r"([?&](?:pass|passwd|password|pwd|token)=)[^&#]*", re.IGNORECASE)
"""What some cameras take in the query of their URL."""

_V4L2 = Path("/sys/class/video4linux")
_BOARD = Path("/proc/device-tree/model")

# Parts of a Raspberry Pi's chip that are video devices for the kernel and no cameras: decoders,
# image processors, and what receives a camera module's raw data.
_NO_CAMERA = ("bcm2835-", "pispbe", "rp1-cfe", "rpi-hevc", "rpivid", "unicam")


class SourceError(Exception):
    """A source that cannot be opened; the message names it and says what to do."""


class Capture(Protocol):
    """What can be read frame by frame."""

    def grab(self) -> bool:
        """Moves to the next frame; False where there is none."""

    def retrieve(self) -> np.ndarray | None:
        """Returns the frame as ``uint8[height, width, 3]``, BGR; None where it is damaged."""

    def release(self) -> None:
        """Gives the source back."""


class FileCapture(Capture, Protocol):
    """What can be read frame by frame and knows where it is, as a video file does."""

    def position(self, number: int) -> float:
        """Returns the place of the ``number``-th frame in the file, in seconds."""


def open_capture(source: str) -> Capture:
    """Opens a camera, a file or a stream.

    Args:
        source: a camera's number or device, ``picamera`` (or ``picamera1`` for the second one),
            a video file, or a URL.

    Raises:
        SourceError: it cannot be opened.
    """
    if re.fullmatch(r"picamera\d*", source):
        from edge_app.live.picamera import PiCapture

        return PiCapture(int(source.removeprefix("picamera") or 0))
    return _OpenCvCapture(source)


def shown(source: str) -> str:
    """The source as it may be shown and logged: without the password of a URL.

    >>> shown("rtsp://user:secret@camera.local/live")
    'rtsp://user@camera.local/live'
    >>> shown("http://camera.local/video?user=ani&password=secret")
    'http://camera.local/video?user=ani&password=...'
    """
    if "://" not in source:
        return source
    source = _SECRET.sub(r"\1...", source)
    try:
        parts = urlsplit(source)
    except ValueError:  # a bracket in the password
        scheme, _, rest = source.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"
    account, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=account.split(":")[0] + at + host))


def list_cameras() -> list[tuple[str, str]]:
    """The cameras there are: what to give as ``--source``, and a name for people."""
    cameras = []
    if importlib.util.find_spec("picamera2"):
        from edge_app.live.picamera import list_pi_cameras

        cameras += list_pi_cameras()
    if sys.platform.startswith("linux"):
        return cameras + _v4l2_cameras()
    cv2 = import_opencv()
    for number in range(8):  # elsewhere they can only be tried
        capture = cv2.VideoCapture(number)
        if capture.isOpened():
            cameras.append((str(number), f"camera {number}"))
        capture.release()
    return cameras


def _v4l2_cameras() -> list[tuple[str, str]]:
    cameras = []
    for folder in sorted(_V4L2.glob("video*"), key=lambda path: (len(path.name), path.name)):
        name = _read(folder / "name") or "camera"
        # The devices of a camera after its first one carry no pictures.
        if _read(folder / "index") in ("0", "") and not name.startswith(_NO_CAMERA):
            cameras.append((f"/dev/{folder.name}", name))
    return cameras


def import_opencv() -> Any:
    """Returns the module ``cv2``, told to leave error messages to us.

    Raises:
        SourceError: it is not installed, or not whole.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError as error:
        raise SourceError(
            f"OpenCV cannot be loaded ({error}). Install it with: pip install opencv-python; on "
            "Debian, Ubuntu and Raspberry Pi OS it needs: sudo apt install libgl1 libglib2.0-0"
        ) from None
    return cv2


class _OpenCvCapture:
    def __init__(self, source: str):
        cv2 = import_opencv()
        self._cv2 = cv2
        self._is_url = "://" in source
        if source.isdecimal():
            self._capture = cv2.VideoCapture(int(source))
        elif self._is_url:
            self._capture = cv2.VideoCapture(
                source,
                cv2.CAP_FFMPEG,
                [
                    *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _CONNECT_MILLISECONDS),
                    *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, _CONNECT_MILLISECONDS),
                ],
            )
        else:
            if source != source.encode(errors="replace").decode():  # OpenCV would crash
                raise SourceError(f"{printable(source)}: rename it; its name is not UTF-8")
            self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            raise SourceError(why_not(source))
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self._interval = 1 / rate if 0.1 < rate < 1000 else 1 / 25
        self._last_position = 0.0

    def grab(self) -> bool:
        return self._capture.grab()

    def retrieve(self) -> np.ndarray | None:
        found, pixels = self._capture.retrieve()
        if not found or pixels is None:
            return None
        if pixels.ndim == 2:
            return self._cv2.cvtColor(pixels, self._cv2.COLOR_GRAY2BGR)
        return pixels

    def position(self, number: int) -> float:
        told = self._capture.get(self._cv2.CAP_PROP_POS_MSEC) / 1000
        # Some containers tell nothing; then the frame rate has to do. Never backwards.
        place = told if told > 0 else number * self._interval
        self._last_position = max(self._last_position, place)
        return self._last_position

    def release(self) -> None:
        self._capture.release()


def why_not(source: str, reason: str = "cannot be opened") -> str:
    """What to tell the user of a source that gives nothing, and what may help.

    >>> why_not("rtsp://camera.local/live")
    'rtsp://camera.local/live: cannot be opened. Is it a stream, and is its server running?'
    """
    if "://" in source:
        return f"{shown(source)}: {reason}. Is it a stream, and is its server running?"
    if source.startswith("picamera"):
        return f"{source}: {reason}. Does rpicam-hello show a picture?"
    if not (source.isdecimal() or source.startswith("/dev/")):
        return f"{source}: {reason} as a video"
    name = f"camera {source}" if source.isdecimal() else source
    text = (
        f"{name}: {reason}. Is it plugged in, free, and may you use it (on Linux: group video)? "
        "live --list shows the cameras there are"
    )
    hint = pi_camera_hint()
    return f"{text}. {hint}" if hint else text


def pi_camera_hint() -> str:
    """What to know of a Raspberry Pi's own camera modules; empty on other computers."""
    if "Raspberry Pi" not in _read(_BOARD):
        return ""
    text = "OpenCV cannot open the Raspberry Pi's own camera modules; for one, use"
    if importlib.util.find_spec("picamera2"):
        return f"{text}: --source picamera"
    return (
        f"{text} --source picamera, after: sudo apt install python3-picamera2 "
        "(docs/raspberry-pi.md)"
    )


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
