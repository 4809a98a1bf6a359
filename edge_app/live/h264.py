"""H.264 in MP4 by PyAV (FFmpeg), which every browser and phone plays."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np


def is_available() -> bool:
    """Whether PyAV is installed; it has no wheels for 32-bit ARM."""
    return importlib.util.find_spec("av") is not None


def add_stream(container: Any, size: tuple[int, int], fps: Fraction, preset: str, crf: int) -> Any:
    """Adds a stream of H.264 to a container of PyAV.

    Args:
        container: open for writing.
        size: width and height in pixels; odd ones lose the last row or column, see `even`.
        fps: frames per second, which the encoder plans its bits by.
        preset: of x264, such as ``veryfast``.
        crf: quality, from 0 (best) to 51; see https://trac.ffmpeg.org/wiki/Encode/H.264.
    """
    # Without a look ahead: tens of frames fewer in memory.
    options = {"preset": preset, "crf": str(crf), "tune": "zerolatency"}
    stream = container.add_stream("libx264", rate=fps, options=options)
    stream.width, stream.height = (max(2, side - side % 2) for side in size)
    stream.pix_fmt = "yuv420p"
    stream.codec_context.thread_count = 1
    return stream


def even(pixels: np.ndarray) -> np.ndarray:
    """The frame without its last row and column where they are odd: H.264 halves its colours."""
    height, width = pixels.shape[:2]
    return pixels[: max(2, height - height % 2), : max(2, width - width % 2)]


class Video:
    """Writes an MP4 file that can be played up to its last second even if it is never closed.

    It is written in fragments of one second (``hybrid_fragmented``, FFmpeg 7.1 and later) and is an
    ordinary MP4 file once it is closed. The methods are those of ``cv2.VideoWriter``.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]):
        """Opens the file.

        Args:
            path: of the file, which is replaced.
            fps: frames per second.
            size: width and height in pixels.

        Raises:
            OSError: it cannot be written.
        """
        import av

        self._av: Any = av
        self._path, self._count = path, 0
        options = {"movflags": "hybrid_fragmented", "flush_packets": "1"}
        rate = Fraction(fps).limit_denominator(1000)
        with self._errors():
            self._container = av.open(str(path), "w", format="mp4", options=options)
            self._stream = add_stream(self._container, size, rate, "ultrafast", 26)
            self._stream.gop_size = max(1, round(fps))

    def write(self, pixels: np.ndarray) -> None:
        """Adds a frame, ``uint8[height, width, 3]``, BGR.

        Raises:
            OSError: it cannot be written.
        """
        frame = self._av.VideoFrame.from_ndarray(even(pixels), format="bgr24")
        frame.pts, self._count = self._count, self._count + 1
        with self._errors():
            self._container.mux(self._stream.encode(frame))

    def release(self) -> None:
        """Completes and closes the file.

        Raises:
            OSError: it cannot be written.
        """
        with self._errors():
            self._container.mux(self._stream.encode())
            self._container.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._av.FFmpegError as error:  # of which some are an OSError
            raise OSError(f"{self._path}: {error.strerror or error}") from None
