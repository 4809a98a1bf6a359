"""Where frames come from: a camera, a video file, a stream; and what happens when they stop coming.

`open_frames` is what the rest of the app sees. How a camera or a file is opened and read is in
`edge_app.live.capture`.
"""

from __future__ import annotations

import os
import shlex
import threading
import time
from collections.abc import Callable, Generator
from typing import cast

import numpy as np

from edge_app.files import printable
from edge_app.invocation import invocation
from edge_app.live.capture import Capture, FileCapture, open_capture
from edge_app.live.devices import why_not
from edge_app.live.errors import SourceError
from edge_app.live.frames import CutShort, Found, Frame, Gate, Item, Lost
from edge_app.live.redact import redact, shown

TICK_SECONDS = 0.1
"""Where nothing comes for so long, the caller gets None, and may attend to other things."""

OPEN_SECONDS = 15.0
"""A source that has not given its first frame after so long does not open."""

STALL_SECONDS = 5.0
"""A camera or stream that has given no frame for so long is lost."""

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds before each attempt to reconnect; the last one repeats."""

STEADY_SECONDS = 10.0
"""A source must run for this long before the pauses start again."""

MOST_STUCK = 4
"""A device that hangs can hold its thread forever; at most this many are left behind."""


def open_frames(
    source: str,
    *,
    fps: float | None = None,
    realtime: bool = False,
    patient: bool = False,
    opener: Callable[[str], Capture] = open_capture,
) -> Generator[Item]:
    """Opens a source and yields its frames: each one of a file, the newest one of all else.

    Args:
        source: a camera's number or device, ``picamera``, a video file, or a URL.
        fps: most frames per second of the source's time; others are skipped.
        realtime: play a file at its own speed, as if it were a camera.
        patient: where a camera or stream cannot be opened yet, yield `Lost` and try again.
        opener: opens the source; the default knows all of the above.

    Returns:
        Frames; None now and then where nothing came; `Lost` once when a camera or stream fell
        silent, and `Found` before the first frame after that. It ends where a file ends, with
        `CutShort` if that is well before the length that the file promises.

    Raises:
        SourceError: the source cannot be opened the first time, or a file has no frames.
    """
    is_file = os.path.isfile(source)
    is_device = source.startswith("/dev/") or source.isdecimal() or source.startswith("picamera")
    if os.path.isdir(source):
        raise SourceError(
            f"{printable(source)}: is a folder; to classify the pictures in it: "
            f"{invocation()} scan {shlex.quote(printable(source))} --watch"
        )
    if not is_file and not is_device and "://" not in source:
        raise SourceError(f"{printable(shown(source))}: there is no such file")
    if is_file and not realtime:
        return _every_frame(source, cast(FileCapture, opener(source)), fps)
    feed = _Feed(source, fps, opener, paced=is_file)
    first = None if patient and not is_file else feed.wait_for_first(OPEN_SECONDS)
    return _newest_frames(feed, first)


def _every_frame(source: str, capture: FileCapture, fps: float | None) -> Generator[Item]:
    gate = Gate(fps)
    number, is_empty = 0, True
    try:
        while capture.grab():
            when = capture.position(number)
            if gate.opens(when):
                pixels = capture.retrieve()
                if pixels is not None:
                    is_empty = False
                    yield Frame(pixels, number, time.monotonic(), when)
            number += 1
        if is_empty:
            raise _without_frames(source)
        if reason := capture.shortfall(number):
            yield CutShort(reason)
    finally:
        capture.release()


def _without_frames(source: str) -> SourceError:
    return SourceError(f"{printable(source)}: has no frame that can be read: it may be damaged")


def _newest_frames(feed: _Feed, first: Frame | None) -> Generator[Item]:
    """Yields what a feed gives; when it falls silent, makes another, after growing pauses."""
    attempt, began, seen = 0, time.monotonic(), time.monotonic()
    is_lost = False
    stuck: list[_Feed] = []
    item: Frame | None = first
    try:
        while True:
            if item is not None:
                if is_lost:
                    yield Found(time.monotonic() - seen)
                    is_lost, began = False, time.monotonic()
                seen = time.monotonic()
                if seen - began > STEADY_SECONDS:
                    attempt = 0
                yield item
            elif feed.ended and feed.paced:
                if feed.shortfall:
                    yield CutShort(feed.shortfall)
                return
            elif feed.ended or feed.is_silent:
                if not is_lost:
                    silence = time.monotonic() - feed.alive_at
                    yield Lost(feed.error or f"no picture for {silence:.0f} s")
                    is_lost = True
                feed.stop()
                stuck = [old for old in (*stuck, feed) if old.alive]
                resume = time.monotonic() + PAUSES[min(attempt, len(PAUSES) - 1)]
                attempt += 1
                while time.monotonic() < resume or len(stuck) >= MOST_STUCK:
                    yield None
                    time.sleep(TICK_SECONDS)
                    stuck = [old for old in stuck if old.alive]
                feed = feed.again()
            else:
                yield None
            item = feed.take(TICK_SECONDS)
    finally:
        feed.stop()
        feed.join(0.5)


class _Feed:
    """Reads a source in a thread of its own, and keeps its newest frame only."""

    def __init__(
        self, source: str, fps: float | None, opener: Callable[[str], Capture], paced: bool
    ):
        self.error: str | None = None
        self.shortfall = ""
        self.ended = False
        self.paced = paced
        self.alive_at = time.monotonic()
        """When it began, or last gave a frame, be it one that ``fps`` passes over."""
        self._arguments = (source, fps, opener, paced)
        self._gave_frames = False
        self._refusal: SourceError | None = None
        self._newest: Frame | None = None
        self._dropped = 0
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def wait_for_first(self, seconds: float) -> Frame:
        """Returns the first frame, or raises why there is none."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not (self.ended and self._newest is None):
            frame = self.take(TICK_SECONDS)
            if frame is not None:
                return frame
        self.stop()
        if self._refusal is not None:
            raise self._refusal
        detail = f"({self.error})" if self.error else f"within {seconds:.0f} s"
        raise SourceError(why_not(self._arguments[0], f"gave no frame {detail}"))

    def take(self, timeout: float) -> Frame | None:
        """Takes the newest frame; None where none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self.ended, timeout)
            frame, self._newest = self._newest, None
            return frame

    def again(self) -> _Feed:
        """Another attempt at the same source."""
        return _Feed(*self._arguments)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def is_silent(self) -> bool:
        """Whether it has given nothing for too long; a file may pause as it likes."""
        patience = STALL_SECONDS if self._gave_frames else OPEN_SECONDS
        return not self.paced and time.monotonic() - self.alive_at > patience

    def stop(self) -> None:
        self._stopping.set()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    def _run(self) -> None:
        source, _, opener, _ = self._arguments
        try:
            capture = opener(source)
            try:
                self._read(capture)
            finally:
                capture.release()
        except SourceError as error:
            self._refusal, self.error = error, str(error)
        except Exception as error:  # whatever a driver raises, it is not to end a run of days
            self.error = redact(f"{type(error).__name__}: {error}", source)
        finally:
            with self._changed:
                self.ended = True
                self._changed.notify()

    def _read(self, capture: Capture) -> None:
        gate = Gate(self._arguments[1])
        start, number = time.monotonic(), 0
        while not self._stopping.is_set():
            if not capture.grab():
                self.error = "the camera stopped sending"
                if self.paced and not self._gave_frames:
                    raise _without_frames(self._arguments[0])
                if self.paced:
                    self.shortfall = cast(FileCapture, capture).shortfall(number)
                return
            now = time.monotonic()
            when = now
            if self.paced:
                when = cast(FileCapture, capture).position(number)
                self._stopping.wait(max(0.0, start + when - now))
                now = time.monotonic()
            if gate.opens(when):
                pixels = capture.retrieve()
                if pixels is not None:
                    self._put(pixels, number, now, when)
                    self._gave_frames = True
                    self.alive_at = now
            else:
                self.alive_at = now
            number += 1

    def _put(self, pixels: np.ndarray, number: int, now: float, when: float) -> None:
        with self._changed:
            self._dropped = self._newest.dropped + 1 if self._newest is not None else 0
            self._newest = Frame(pixels, number, now, when, self._dropped)
            self._changed.notify()
