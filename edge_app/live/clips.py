"""A short video of each event: H.264 in MP4, which every browser and phone plays.

The last seconds are kept as JPEG in memory, so that a clip begins before its event does. Encoding
is PyAV's (FFmpeg); with OpenCV the same clip took 15 times as long, and it has no H.264. VP9 takes
PyAV as long as H.264, but iPhones play it in WebM only from iOS 17.4 on, and PyAV's wheels hold GPL
libraries whichever codec is used; see NOTICE.
"""

from __future__ import annotations

import contextlib
import queue
import re
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.files import whole_file
from edge_app.invocation import install_hint
from edge_app.live.event_detector import Event
from edge_app.live.frames import Frame, Gate
from edge_app.live.h264 import add_stream, even, is_available
from edge_app.live.opencv import import_opencv
from edge_app.live.pictures import encode_jpeg, make_place, prune
from edge_app.live.trouble import Trouble

KEEP_CLIPS = 200
KEEP_DAYS = 30.0

_OURS = re.compile(r"smoking-\d{8}T\d{6}Z-[0-9a-f]+\.mp4")
_FPS, _LONGEST = 8.0, 640
_RATE = Fraction(_FPS)
_MOST_WAITING = 64  # frames that the writer has not taken yet; 5 MB
_PATIENCE_SECONDS = 2.0
_JOIN_SECONDS = 10.0
_MILLISECONDS = Fraction(1, 1000)


class Ring:
    """The last seconds of a camera as JPEG, bounded in time and in bytes.

    >>> ring = Ring(seconds=2, most_bytes=1000)
    >>> for second in range(10): ring.add(b"x" * 100, second)
    >>> [when for when, _ in ring.frames]
    [7, 8, 9]
    """

    def __init__(self, seconds: float, most_bytes: int = 16_000_000):
        self.frames: deque[tuple[float, bytes]] = deque()
        self._seconds, self._most_bytes, self._bytes = seconds, most_bytes, 0

    def add(self, jpeg: bytes, when: float) -> None:
        """Adds a frame; the oldest go."""
        self.frames.append((when, jpeg))
        self._bytes += len(jpeg)
        while self.frames[0][0] < when - self._seconds or self._bytes > self._most_bytes:
            self._bytes -= len(self.frames.popleft()[1])


class Clips:
    """Keeps a video of each event of one camera in a folder, bounded in number and age."""

    def __init__(
        self,
        folder: Path,
        before: float = 5.0,
        after: float = 5.0,
        longest: float = 300.0,
        keep: int = KEEP_CLIPS,
        days: float = KEEP_DAYS,
    ):
        """Makes the folder.

        Args:
            folder: where the clips go; other files in it are left alone.
            before: seconds of a clip before its event.
            after: seconds after it.
            longest: seconds at which a clip ends though its event lasts.
            keep: the newest so many are kept.
            days: older ones are deleted.

        Raises:
            OSError: the folder cannot be made.
            ValueError: PyAV is not installed.
        """
        if not is_available():
            raise ValueError(f"--clips needs PyAV: {install_hint('live')}")
        self.folder = folder
        self.on_done: Callable[[str, str], None] = _ignore
        """``on_done`` is called with the id of the event and the name once a clip can be played."""
        self._before, self._after, self._longest = before, after, longest
        self._keep, self._days = keep, days
        self._ring, self._gate = Ring(before + 1), Gate(_FPS)
        self._writer: _Writer | None = None
        self._last: _Writer | None = None  # it may still be at work
        self._end: float | None = None  # when the clip that is being written is complete
        self._trouble = Trouble("Clips", folder)
        make_place(folder, ".mp4")

    def add(self, frame: Frame) -> None:
        """Takes a classified frame."""
        if not self._gate.opens(frame.time):
            return
        jpeg = encode_jpeg(frame.pixels, _LONGEST)
        self._ring.add(jpeg, frame.time)
        if self._writer is not None:
            if self._end is not None and frame.time > self._end:
                self.finish()
            else:
                self._writer.put(jpeg, frame.time)

    def begin(self, event: Event) -> str:
        """Begins the clip of an event; returns its name."""
        self.finish()
        name = f"smoking-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{event.id}.mp4"
        first = event.started - self._before
        self._end = event.started + self._longest
        self._writer = self._last = _Writer(
            self.folder / name, event.id, self._complete, self._trouble
        )
        for when, jpeg in self._ring.frames:
            if when >= first:
                self._writer.put(jpeg, when)
        return name

    def end(self, event: Event) -> str | None:
        """Ends an event; its clip continues for some seconds. Returns the name of the clip."""
        if self._writer is not None and self._end is not None and event.ended is not None:
            self._end = min(self._end, event.ended + self._after)
        return self._last.path.name if self._last is not None else None

    def close(self) -> None:
        """Ends the clip that is being written."""
        self.finish()
        if self._last is not None:
            self._last.join()

    def finish(self) -> None:
        """Completes the clip that is being written: no more frames come."""
        writer, self._writer, self._end = self._writer, None, None
        if writer is not None:
            writer.finish()

    def _complete(self, event: str, name: str) -> None:
        prune(self.folder, _OURS, self._keep, self._days, self.folder / name)
        self.on_done(event, name)


class _Writer:
    """Writes one clip in a thread of its own, so that no camera waits for it."""

    def __init__(
        self, path: Path, event: str, on_done: Callable[[str, str], None], trouble: Trouble
    ):
        self.path, self._event, self._on_done, self._trouble = path, event, on_done, trouble
        self._frames: queue.Queue[tuple[float, bytes] | None] = queue.Queue(_MOST_WAITING)
        self._is_slow = False
        self._thread = threading.Thread(target=self._run, name="clip", daemon=True)
        self._thread.start()

    def put(self, jpeg: bytes, when: float) -> None:
        """Waits once where the writer is slow; if that does not help, frames are left out."""
        try:
            self._frames.put((when, jpeg), timeout=0 if self._is_slow else _PATIENCE_SECONDS)
            self._is_slow = False
        except queue.Full:
            self._is_slow = True

    def finish(self) -> None:
        with contextlib.suppress(queue.Full):  # a disk that hangs: the thread is left behind
            self._frames.put(None, timeout=_PATIENCE_SECONDS)

    def join(self) -> None:
        self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        import av

        try:
            with whole_file(self.path) as partial:
                self._write(partial)
            self._trouble.worked()
            self._on_done(self._event, self.path.name)
        except (OSError, av.FFmpegError) as error:
            self._trouble.failed(error)
            while self._frames.get() is not None:
                pass  # until the clip is over, there is nobody to write for

    def _write(self, path: Path) -> None:
        import av

        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream: Any = None
            first = last = 0
            while (item := self._frames.get()) is not None:
                pixels = _decode(item[1])
                when = round(item[0] * 1000)
                if stream is None:
                    stream = add_stream(container, pixels.shape[1::-1], _RATE, "veryfast", 28)
                    stream.codec_context.time_base = _MILLISECONDS
                    first, last = when, -1
                if pixels.shape[1::-1] != (stream.width, stream.height):
                    pixels = import_opencv().resize(pixels, (stream.width, stream.height))
                frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
                last = max(when - first, last + 1)
                frame.pts, frame.time_base = last, _MILLISECONDS
                container.mux(stream.encode(frame))
            if stream is not None:
                container.mux(stream.encode())
        if stream is None:
            raise OSError("no frame came")


def _decode(jpeg: bytes) -> np.ndarray:
    cv2 = import_opencv()
    return even(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


def _ignore(_event: str, _name: str) -> None:
    """Where nobody waits for clips."""
