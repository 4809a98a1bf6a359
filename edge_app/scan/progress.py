"""How a caller can show the progress of a scan."""

from __future__ import annotations

from edge_app.scan.summary import Tally


class Progress:
    """Shows nothing. The command ``scan`` supplies one that draws a bar.

    Attributes:
        total: number of files to look at; None while that is not known.
        watching: whether the scan is done and waits for new pictures, which no total counts.
    """

    total: int | None = None
    watching: bool = False

    def show(self, tally: Tally) -> None:
        """Called several times per second with the numbers so far."""

    def close(self, tally: Tally) -> None:
        """Called once at the end, with the final numbers."""
