"""What sources give, and how many of it are let through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Frame:
    """A picture of a video.

    Attributes:
        pixels: ``uint8[height, width, 3]``, BGR, as OpenCV gives it.
        number: its place in the source, from 0.
        captured_at: `time.monotonic` when it was read, in seconds.
        time: seconds on the source's own clock: the place in a file, else ``captured_at``.
        dropped: frames that nobody took because newer ones came, since the one before.
    """

    pixels: np.ndarray
    number: int
    captured_at: float
    time: float
    dropped: int = 0


@dataclass(frozen=True)
class Lost:
    """A camera or stream gives no more frames; it is being connected again."""

    reason: str


@dataclass(frozen=True)
class Found:
    """It gives frames again."""

    lost_seconds: float


@dataclass(frozen=True)
class CutShort:
    """A video file has ended well before its header says it does."""

    reason: str


Item = Frame | Lost | Found | CutShort | None


class Gate:
    """Lets at most this many frames per second pass; all of them without a number.

    >>> gate = Gate(10)
    >>> sum(gate.opens(number / 30) for number in range(30))
    10
    """

    def __init__(self, fps: float | None):
        self._interval = 1 / fps if fps else 0.0
        self._due: float | None = None

    def opens(self, when: float) -> bool:
        """Whether the frame of this time (in seconds) may pass."""
        if self._due is None:
            self._due = when
        if when < self._due - 0.001:  # cameras are never quite on time
            return False
        self._due = max(self._due, when - self._interval) + self._interval
        return True
