"""What a run says on the console: a status line on a terminal, log lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque

import click

from edge_app.classifier import Prediction
from edge_app.live.decisions import State
from edge_app.live.sources import Frame

_LOG_SECONDS = 60.0
_REFRESH_SECONDS = 0.1


class Meter:
    """Frame rate and latency over the last frames."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=30)
        self.latency = 0.0
        """Seconds from frame to result, of the last frame."""

    def add(self, frame: Frame) -> None:
        """Notes a frame whose result is there now."""
        now = time.monotonic()
        self._times.append(now)
        self.latency = now - frame.captured_at

    @property
    def rate(self) -> float:
        """Classified frames a second."""
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-6)


class Status:
    """Prints; never more than a line a minute to a log unless something happens."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._last_time = -float("inf")
        self._last_state: str | None = None
        self._open = False  # whether the cursor stands in a status line

    def frame(
        self, frame: Frame, prediction: Prediction, state: State, meter: Meter, dropped: int
    ) -> None:
        """Takes the result of a frame."""
        now = time.monotonic()
        due = now - self._last_time > (_REFRESH_SECONDS if self._terminal else _LOG_SECONDS)
        if not due and state == self._last_state:
            return
        self._last_time, self._last_state = now, state
        text = (
            f"{describe(prediction)}, {state}, {meter.rate:.0f} frames a second, "
            f"{meter.latency * 1000:.0f} ms, {dropped} dropped"
        )
        if self._terminal:
            click.echo(f"\r{text:<78}", nl=False)
            self._open = True
        else:
            click.echo(f"frame {frame.number}: {text}")
            sys.stdout.flush()

    def say(self, text: str) -> None:
        """Something happened that deserves a line of its own."""
        self.end()
        click.echo(text, err=True)

    def end(self) -> None:
        """Ends the status line."""
        if self._open:
            click.echo()
            self._open = False


def describe(prediction: Prediction) -> str:
    """The answer for people: an uncertain one is none.

    >>> describe(Prediction("Smoking", 0.93, 0.93))
    'Smoking 93%'
    """
    if prediction.uncertain:
        return f"Uncertain (Smoking {prediction.smoking:.0%})"
    return f"{prediction.label} {prediction.confidence:.0%}"
