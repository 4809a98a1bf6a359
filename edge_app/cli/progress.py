"""Progress of long commands: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable
from typing import TypeVar

import click
from tqdm import tqdm

from edge_app.cli.console import is_quiet
from edge_app.scan.progress import Progress
from edge_app.scan.summary import Tally
from edge_app.wording import counted, rounded

T = TypeVar("T")

_BAR_SECONDS = 0.2
_LINE_SECONDS = 10.0


def bar(items: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
    """Passes items on and draws a bar on a terminal, unless ``--quiet`` is given."""
    disable = True if is_quiet() else None
    counted: Iterable[T] = tqdm(items, description, total=total, unit="picture", disable=disable)
    return counted


class ScanProgress(Progress):
    """Shows a scan."""

    def __init__(self) -> None:
        disable = True if is_quiet() else None
        self._bar = tqdm(desc="Scanning", unit="picture", disable=disable, dynamic_ncols=True)
        self._every = _LINE_SECONDS if self._bar.disable else _BAR_SECONDS
        self._start = self._last = time.monotonic()
        self._shown = 0

    def show(self, tally: Tally) -> None:
        now = time.monotonic()
        if now - self._last < self._every or tally.seen == self._shown:
            return
        self._last, self._shown = now, tally.seen
        if not self._bar.disable:
            self._draw(tally)
        elif not is_quiet():
            click.echo(self._line(tally, now - self._start), err=True)

    def close(self, tally: Tally) -> None:
        if not self._bar.disable:
            self._draw(tally)
        self._bar.close()

    def _draw(self, tally: Tally) -> None:
        total = None if self.watching else self.total
        self._bar.total = total and max(total - tally.passed_over, tally.seen)
        text = f"{tally.smoking} {tally.labels[0]}, {tally.unreadable} unreadable"
        self._bar.set_postfix_str(text, False)
        self._bar.update(tally.seen - self._bar.n)
        self._bar.refresh()

    def _line(self, tally: Tally, seconds: float) -> str:
        text = f"{tally.smoking} {tally.labels[0]}, {tally.unreadable} unreadable"
        if self.watching:
            return f"{counted(tally.seen, 'picture')}: {text}"
        rate = (tally.scanned + tally.unreadable) / seconds
        left = ""
        if self.total is not None and rate:
            rest = max(self.total - tally.passed_over - tally.seen, 0)
            time_left = datetime.timedelta(seconds=round(rest / rate))
            left = f" of {tally.seen + rest}, {time_left} left"
        return f"{counted(tally.seen, 'picture')}{left}, {rounded(rate)} per second: {text}"
