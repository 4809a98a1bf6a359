"""What ``live`` says on the console: a status line on a terminal, log lines elsewhere."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edge_app.live import Moment

_LOG_SECONDS = 60.0
_REFRESH_SECONDS = 0.1


class Console(logging.Handler):
    """Prints results, and what ``edge_app.live`` logs; at most one line per minute and camera to a
    file or a journal unless something happens.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._terminal = sys.stdout.isatty()
        self._last: dict[str, tuple[float, str]] = {}  # time and state of each camera's last line
        self._open = False  # whether the cursor stands in a status line
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Prints what the live mode logs for the length of the block."""
        logger = logging.getLogger("edge_app.live")
        before = logger.level, logger.propagate
        logger.setLevel(logging.INFO)
        logger.propagate = False  # nothing twice
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.level, logger.propagate = before

    def frame(self, moment: Moment) -> None:
        """Takes a result."""
        from edge_app.live.meter import describe

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
                f"{moment.rate:.0f} frames per second, {moment.latency * 1000:.0f} ms, "
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
            click.echo(self.format(record), err=True)

    def end(self) -> None:
        """Ends the status line."""
        if self._open:
            click.echo()
            self._open = False
