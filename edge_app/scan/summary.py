"""What a scan did, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from edge_app.files import printable
from edge_app.scan.walk import LINK, RAW
from edge_app.wording import counted, rounded


@dataclass(kw_only=True)
class Tally:
    """What any scan counts, whichever engine does it.

    Attributes:
        labels: the positive label, and the other one.
        scanned: pictures classified in this run.
        smoking: how many of those have the positive label.
        looked_again: how many of those were looked at more than once.
        relabelled: pictures whose score was kept and whose label follows another threshold.
        unreadable: files that could not be read in this run.
        unchanged: pictures left alone, since their result was there already.
        undone: pictures that were found and given up, as their workers died.
        seconds: how long it took, without waiting for new pictures.
        interrupted: whether it was stopped before the end.
        other: files that are no pictures.
    """

    labels: tuple[str, str]
    scanned: int = 0
    smoking: int = 0
    looked_again: int = 0
    relabelled: int = 0
    unreadable: int = 0
    unchanged: int = 0
    undone: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    other: int = 0

    @property
    def seen(self) -> int:
        """Pictures done, in one way or another."""
        return self.scanned + self.relabelled + self.unreadable + self.unchanged

    @property
    def passed_over(self) -> int:
        """Files that were looked at and are no pictures for us."""
        return self.other

    def lines(self, workers: str = "", other: str = "") -> list[str]:
        """The numbers for people; more about the workers, and about other files, where given."""
        if not (self.seen or self.undone or self.interrupted):
            return [f"No pictures found{other}"]
        rate = self.scanned / self.seconds if self.seconds else 0.0
        again = f"; {self.looked_again} looked at again" if self.looked_again else ""
        relabelled = f"{self.relabelled} relabelled, " if self.relabelled else ""
        found = (
            f" in {self.seconds:.1f} s ({rounded(rate)} per second{workers}): {self.smoking} "
            f"{self.labels[0]}, {self.scanned - self.smoking} {self.labels[1]}{again}"
        )
        return [
            f"{counted(self.scanned, 'picture')} scanned{found if self.scanned else ''}",
            f"{self.unreadable} unreadable, {relabelled}"
            f"{self.unchanged} unchanged since an earlier scan{other}",
        ]


@dataclass(kw_only=True)
class Summary(Tally):
    """What a scan into a database did.

    Attributes:
        db: where the results are.
        pruned: results removed because their file is gone.
        kept: why results were not removed although their files are gone; empty where all were.
        skipped: how many folders and links were passed over, by what they are.
    """

    db: Path
    pruned: int = 0
    kept: str = ""
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def passed_over(self) -> int:
        return self.other + self.skipped[RAW]

    def text(self) -> str:
        """The summary for people."""
        lines = self.lines(other=f", {counted(self.other, 'other file')}")
        if self.pruned:
            lines.append(f"{counted(self.pruned, 'result')} removed: their pictures are gone")
        if self.kept:
            lines.append(self.kept)
        lines += self._skipped_lines()
        return "\n".join([*lines, f"Results: {printable(self.db)}"])

    def _skipped_lines(self) -> list[str]:
        folders = self.skipped.copy()
        links, raw = folders.pop(LINK, 0), folders.pop(RAW, 0)
        lines = []
        if folders:
            kinds = ", ".join(f"{count} {kind}" for kind, count in folders.most_common())
            lines.append(
                f"{counted(folders.total(), 'folder')} of systems and programs skipped "
                f"({kinds}); --all-folders scans them"
            )
        if links:
            lines.append(f"{counted(links, 'link')} to pictures that are scanned anyway")
        if raw:
            lines.append(f"{counted(raw, 'camera raw file')} left out; export them as JPEG")
        return lines
