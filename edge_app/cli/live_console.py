"""What ``live`` says on the console: a status line on a terminal, log lines elsewhere."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from edge_app.cli.console import is_quiet
from edge_app.wording import rounded

if TYPE_CHECKING:
    from tqdm import tqdm

    from edge_app.live import Moment

_LOG_SECONDS = 60.0
_REFRESH_SECONDS = 0.1


class Console(logging.Handler):
    """Prints results, and what ``edge_app.live`` logs; at most one line per minute and camera to a
    file or a journal unless something happens.

    Args:
        length: of a video file in seconds, for a progress bar instead of the lines.
    """

    def __init__(self, length: float | None = None) -> None:
        super().__init__(logging.INFO)
        self._length = length
        self._bar: tqdm[Any] | None = None
        self._terminal = sys.stdout.isatty()
        self._last: dict[str, tuple[float, str]] = {}  # time and state of each camera's last line
        self._open = False  # whether the cursor stands in a status line
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Prints what the live mode logs for the length of the block."""
        logger = logging.getLogger("edge_app.live")
        before, logger.propagate = logger.propagate, False  # nothing twice
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.propagate = before
            if self._bar is not None:
                self._bar.close()

    def frame(self, moment: Moment) -> None:
        """Takes a result."""
        from edge_app.live.meter import describe

        if is_quiet():
            return
        if self._length is not None:
            self._advance(moment.frame.time)
            return
        with self._lock:
            key, now = moment.camera.title, time.monotonic()
            last, state = self._last.get(key, (-float("inf"), ""))
            due = now - last > (_REFRESH_SECONDS if self._terminal else _LOG_SECONDS)
            if not due and moment.state == state:
                return
            self._last[key] = (now, moment.state)
            name = f"{moment.camera.name}: " if moment.camera.name else ""
            text = (
                f"{name}{describe(moment.prediction, moment.label)}, {moment.state}, "
                f"{rounded(moment.rate)} frames per second, {moment.latency * 1000:.0f} ms, "
                f"{moment.dropped} dropped"
            )
            if self._terminal:
                click.echo(f"\r{text:<78}", nl=False)
                self._open = True
            else:
                click.echo(f"frame {moment.frame.number}: {text}")
                sys.stdout.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Prints a line about something that happened."""
        with self._lock:
            self.end()
            if self._bar is not None:
                self._bar.write(self.format(record), file=sys.stderr)
            else:
                click.echo(self.format(record), err=True)

    def _advance(self, when: float) -> None:
        """Moves the progress bar to a place in the video, in seconds."""
        from tqdm import tqdm

        if self._bar is None:
            form = "{l_bar}{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}, {rate_fmt}]"
            self._bar = tqdm(total=self._length, unit="s", bar_format=form, disable=None)
        self._bar.update(min(when, self._length or 0) - self._bar.n)

    def end(self) -> None:
        """Ends the status line."""
        if self._open:
            click.echo()
            self._open = False
