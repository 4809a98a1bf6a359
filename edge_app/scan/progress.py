"""How a scan is getting on: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import datetime
import sys
import time

from tqdm import tqdm

from edge_app.scan.summary import Summary

_BAR_SECONDS = 0.2
_LINE_SECONDS = 10.0


class Progress:
    """Shows a summary while it grows."""

    def __init__(self, summary: Summary):
        self.total: int | None = None
        """How many files there are to look at; None while that is not known."""
        self._summary = summary
        self._bar = tqdm(desc="Scanning", unit="picture", disable=None, dynamic_ncols=True)
        self._every = _LINE_SECONDS if self._bar.disable else _BAR_SECONDS
        self._start = self._last = time.monotonic()
        self._shown = 0

    def close(self) -> None:
        """Shows the last state and leaves the display."""
        if not self._bar.disable:
            self._show_bar()
        self._bar.close()

    def show(self) -> None:
        """Brings the display up to date, unless it is fresh."""
        now = time.monotonic()
        if now - self._last < self._every or self._summary.seen == self._shown:
            return
        self._last, self._shown = now, self._summary.seen
        if self._bar.disable:
            print(self._line(now - self._start), file=sys.stderr, flush=True)
        else:
            self._show_bar()

    def say(self, text: str) -> None:
        """Prints a line of its own."""
        tqdm.write(text, file=sys.stderr)

    def _show_bar(self) -> None:
        s = self._summary
        self._bar.total = self.total and max(self.total - s.passed_over, s.seen)
        self._bar.set_postfix_str(f"{s.smoking} {s.labels[0]}, {s.unreadable} unreadable", False)
        self._bar.update(s.seen - self._bar.n)
        self._bar.refresh()

    def _line(self, seconds: float) -> str:
        s = self._summary
        rate = (s.scanned + s.unreadable) / seconds
        left = ""
        if self.total is not None and rate:
            rest = max(self.total - s.passed_over - s.seen, 0)
            time_left = datetime.timedelta(seconds=round(rest / rate))
            left = f" of {s.seen + rest}, {time_left} left"
        return (
            f"{s.seen} pictures{left}, {rate:.0f} a second: "
            f"{s.smoking} {s.labels[0]}, {s.unreadable} unreadable"
        )
