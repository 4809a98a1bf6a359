"""What one visitor has tried in this session: in memory alone, gone with the session."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from edge_app.web.pool import Answer

MOST_ENTRIES = 50
MOST_BYTES = 1_000_000
"""The oldest entries make room for the newest beyond either."""

_THUMBNAIL = 320
"""Longer side in pixels."""


@dataclass(frozen=True)
class Entry:
    """One picture: its file's name, a WebP thumbnail, and what was said of it."""

    name: str
    thumbnail: bytes
    shown: str
    confidence: float
    smoking: float
    error: str = ""


@dataclass
class History:
    """A visitor's pictures with their results, newest first."""

    entries: list[Entry] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Keeps an entry; the oldest are forgotten beyond the limits."""
        self.entries.insert(0, entry)
        while len(self.entries) > MOST_ENTRIES or self._bytes() > MOST_BYTES:
            self.entries.pop()

    def of(self, shown: str) -> list[Entry]:
        """The entries with that answer; with all answers for ``all``."""
        return [entry for entry in self.entries if shown in ("all", entry.shown)]

    def _bytes(self) -> int:
        return sum(len(entry.thumbnail) for entry in self.entries)


def make_entry(name: str, answer: Answer) -> Entry:
    """What is kept of an answer: its preview as a thumbnail, without any of the file's metadata."""
    small = answer.preview.copy()
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=75, exif=b"", icc_profile=b"")
    prediction = answer.prediction
    return Entry(name, buffer.getvalue(), answer.shown, prediction.confidence, prediction.smoking)
