"""Opening and reading one source: OpenCV for most, Picamera2 for the Raspberry Pi's own camera."""

from __future__ import annotations

import re
from typing import Protocol
from urllib.parse import quote

import numpy as np

from edge_app.files import printable
from edge_app.live.container import is_surely_damaged
from edge_app.live.devices import why_not
from edge_app.live.errors import SourceError
from edge_app.live.opencv import import_opencv
from edge_app.live.redact import Address, shown

_CONNECT_MILLISECONDS = 5000  # OpenCV's own patience is 30 s
_MOST_MISSING = 0.1  # of a video file, before it counts as damaged
_PROBE_SECONDS = 3.0  # for a second attempt that only asks for the reason


class Capture(Protocol):
    """What can be read frame by frame."""

    def grab(self) -> bool:
        """Moves to the next frame; False at the end."""

    def retrieve(self) -> np.ndarray | None:
        """Returns the frame as ``uint8[height, width, 3]``, BGR; None where it is damaged."""

    def release(self) -> None:
        """Gives the source back."""


class FileCapture(Capture, Protocol):
    """What can be read frame by frame and knows where it is, as a video file does."""

    def position(self, number: int) -> float:
        """Returns the place of the ``number``-th frame in the file, in seconds."""

    def shortfall(self, count: int) -> str:
        """Returns what is wrong with a file that ended after ``count`` frames; empty if nothing."""


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


class _OpenCvCapture:
    def __init__(self, source: str):
        cv2 = import_opencv()
        self._cv2, self._source = cv2, source
        self._is_url = "://" in source
        if source.isdecimal():
            self._capture = cv2.VideoCapture(int(source))
        elif self._is_url:
            self._capture = cv2.VideoCapture(
                quoted(source),
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
            raise SourceError((self._is_url and _refusal(source)) or why_not(source))
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self._interval = 1 / rate if 0.1 < rate < 1000 else 1 / 25
        self._last_position = 0.0

    def grab(self) -> bool:
        return bool(self._capture.grab())

    def retrieve(self) -> np.ndarray | None:
        found, pixels = self._capture.retrieve()
        if not found or pixels is None:
            return None
        if pixels.ndim == 2:
            pixels = self._cv2.cvtColor(pixels, self._cv2.COLOR_GRAY2BGR)
        return np.asarray(pixels)

    def position(self, number: int) -> float:
        told = self._capture.get(self._cv2.CAP_PROP_POS_MSEC) / 1000
        # Some containers tell nothing; then the frame rate has to do. Never backwards.
        place = told if told > 0 else number * self._interval
        self._last_position = max(self._last_position, place)
        return self._last_position

    def shortfall(self, count: int) -> str:
        promised = self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT)
        least, seconds = (1 - _MOST_MISSING) * promised, promised * self._interval
        ended = self._last_position + self._interval
        if count >= least or ended >= least * self._interval:  # or the count is not of frames
            return ""
        if not is_surely_damaged(self._source, seconds):
            return ""
        return f"ends after {count} of {promised:.0f} frames: it may be damaged"

    def release(self) -> None:
        self._capture.release()


def _refusal(url: str) -> str:
    """What to tell the user of a camera that refuses the account; empty where it is not that.

    OpenCV keeps the reason for itself, so FFmpeg is asked by way of PyAV, where that is installed.
    """
    try:
        import av
    except ImportError:
        return ""
    try:
        av.open(quoted(url), timeout=_PROBE_SECONDS).close()
    except (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError):
        address = Address.of(url)
        if address.user is None:
            example = f"{address.scheme}://user:password@..."
            return f"{shown(url)}: asks for a user name and password. Write them as {example}"
        return f"{shown(url)}: refuses the user name or password"
    except (av.FFmpegError, OSError, ValueError):
        return ""
    return ""


def quoted(url: str) -> str:
    """The URL with its password written as FFmpeg reads it.

    >>> quoted("rtsp://ani:a#b/c@camera.local/live")
    'rtsp://ani:a%23b%2Fc@camera.local/live'
    """
    address = Address.of(url)
    if not address.password or not re.search("[#/?@]", address.password):
        return url
    return f"{address.scheme}://{address.user}:{quote(address.password, safe='%')}@{address.rest}"


def video_length(path: str) -> float:
    """Seconds that a video file plays for, as its head says; 0 where it does not say.

    Raises:
        SourceError: it cannot be opened.
    """
    cv2 = import_opencv()
    capture = _OpenCvCapture(path)
    frames, rate = (
        capture._capture.get(name) for name in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS)
    )
    capture.release()
    return frames / rate if frames > 0 and rate > 0 else 0.0
