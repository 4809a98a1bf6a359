"""A recording of what was classified."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.files import printable
from edge_app.live import h264
from edge_app.live.opencv import import_opencv
from edge_app.live.pictures import free_name
from edge_app.live.trouble import Trouble

_CHECK_FRAMES = 10  # size and free space are looked at so often
_FREE_BYTES = 50_000_000
_GAP_SECONDS = 5.0


class Recorder:
    """Writes frames to a video file at their own speed; stops at a size, or when it cannot write.

    OpenCV reports no failed write, so free space is watched instead, and the file is closed while
    there is still room for its index. After a kill or a power failure an MP4 written by PyAV, or an
    AVI, can still be played; an MP4 written by OpenCV cannot.
    """

    def __init__(
        self,
        path: Path,
        fps: float = 15.0,
        max_bytes: int = 2_000_000_000,
        free_bytes: int = _FREE_BYTES,
    ):
        """Prepares a recording.

        Args:
            path: ends with ``.mp4`` or ``.avi``. What is there already is left alone: a number
                is added to the name.
            fps: frames per second of the file; where frames come slower they are repeated.
            max_bytes: size at which it stops.
            free_bytes: it stops where the disk has less space left.

        Raises:
            ValueError: the ending is another one, or the name is not UTF-8.
        """
        if path.suffix.lower() not in (".mp4", ".avi"):
            raise ValueError(f"{printable(path)}: expected a name that ends with .mp4 or .avi")
        name = os.fspath(path)
        if name != name.encode(errors="replace").decode():  # OpenCV would end the process
            raise ValueError(f"{printable(path)}: choose another name; this one is not UTF-8")
        self.path, self.is_over = path, False
        self.trouble = Trouble("The recording", path)
        self._fps, self._max_bytes, self._free_bytes = fps, max_bytes, free_bytes
        self._writer: Any = None
        self._size = (0, 0)
        self._start, self._written, self._check_at = 0.0, 0, _CHECK_FRAMES

    def add(self, pixels: np.ndarray, when: float) -> None:
        """Adds a frame of a time in seconds.

        Raises:
            OSError: the file cannot be written, or is full; the recording is over.
        """
        if self.is_over:
            return
        cv2 = import_opencv()
        if self._writer is None:
            self._open(cv2, pixels, when)
        if (pixels.shape[1], pixels.shape[0]) != self._size:  # the camera came back as another
            pixels = cv2.resize(pixels, self._size)
        due = int((when - self._start) * self._fps + 1e-6) + 1
        if due - self._written > self._fps * _GAP_SECONDS:  # a gap is not worth minutes of a still
            self._start += (due - self._written - 1) / self._fps
            due = self._written + 1
        try:
            for _ in range(due - self._written):
                self._writer.write(pixels)
                self._written += 1
        except OSError:
            with contextlib.suppress(OSError):
                self.close()
            raise
        if self._written >= self._check_at:
            self._check_at = self._written + _CHECK_FRAMES
            self._check()

    def close(self) -> None:
        """Ends the file.

        Raises:
            OSError: nothing of it is on the disk.
        """
        writer, self._writer = self._writer, None
        if writer is None:
            return
        self.is_over = True
        writer.release()
        if not self.path.is_file() or not self.path.stat().st_size:
            raise OSError("nothing was written")

    def _check(self) -> None:
        if not self.path.is_file():
            reason = "was taken away"
        elif self.path.stat().st_size > self._max_bytes:
            reason = f"has reached {self._max_bytes / 1e9:.1f} GB"
        elif shutil.disk_usage(self.path.parent).free < self._free_bytes:
            reason = f"the disk has less than {self._free_bytes / 1e6:.0f} MB left"
        else:
            return
        self._end(reason)

    def _end(self, reason: str) -> None:
        self.is_over = True
        try:
            self.close()
        finally:
            raise OSError(f"{reason}; the recording ends")

    def _open(self, cv2: Any, pixels: np.ndarray, when: float) -> None:
        self.is_over = True  # until it is open: whatever fails is not tried again at every frame
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if (free := shutil.disk_usage(self.path.parent).free) < self._free_bytes:
            needed = f"{self._free_bytes / 1e6:.0f} MB"
            raise OSError(f"{free / 1e6:.0f} MB are free, {needed} are needed")
        self._size = (pixels.shape[1], pixels.shape[0])
        self._start, self._written = when, 0
        self.path = free_name(self.path)
        is_mp4 = self.path.suffix.lower() == ".mp4"
        if is_mp4 and h264.is_available():
            self._writer, self.is_over = h264.Video(self.path, self._fps, self._size), False
            return
        fourcc = cv2.VideoWriter_fourcc(*("mp4v" if is_mp4 else "MJPG"))
        writer = cv2.VideoWriter(str(self.path), fourcc, self._fps, self._size)
        if not writer.isOpened():
            writer.release()
            self.path.unlink(missing_ok=True)  # the empty file that it may leave
            raise OSError("OpenCV cannot write it")
        self._writer, self.is_over = writer, False
