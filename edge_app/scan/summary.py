"""What a scan did, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass
class Summary:
    """What a scan did.

    Attributes:
        db: where the results are.
        labels: the label looked for, and the other one.
        scanned: pictures classified in this run.
        smoking: how many of those have the label looked for.
        unreadable: files that could not be read in this run.
        unchanged: pictures left alone, since their result was there already.
        other: files that are no pictures.
        pruned: results removed because their file is gone.
        seconds: how long it took.
        interrupted: whether it was stopped before the end.
    """

    db: Path
    labels: tuple[str, str]
    scanned: int = 0
    smoking: int = 0
    unreadable: int = 0
    unchanged: int = 0
    other: int = 0
    pruned: int = 0
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def seen(self) -> int:
        """Pictures dealt with, in one way or another."""
        return self.scanned + self.unreadable + self.unchanged

    def text(self) -> str:
        """The summary for people."""
        rate = self.scanned / self.seconds if self.seconds else 0.0
        files = "other file" if self.other == 1 else "other files"
        lines = [
            f"{self.scanned} pictures scanned in {self.seconds:.1f} s ({rate:.0f} a second): "
            f"{self.smoking} {self.labels[0]}, {self.scanned - self.smoking} {self.labels[1]}",
            f"{self.unreadable} unreadable, {self.unchanged} unchanged since an earlier scan, "
            f"{self.other} {files}",
            f"Results: {self.db}",
        ]
        if self.pruned:
            lines.insert(2, f"{self.pruned} results removed, whose pictures are gone")
        return "\n".join(lines)
