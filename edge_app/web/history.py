"""What one visitor has tried in this session: in memory alone, gone with the session."""

from __future__ import annotations

import io
import threading
import weakref
from dataclasses import dataclass, field

from edge_app.web.pool import Answer

ALL = "all"
"""The filter that lets every entry through."""
MOST_ENTRIES = 50
MOST_BYTES = 1_000_000
"""The oldest entries make room for the newest beyond either."""
MOST_BYTES_ALL = 64_000_000
"""Of all visitors' histories; beyond it the oldest entries of anybody are forgotten."""

_THUMBNAIL = 320
"""Longer side in pixels."""


@dataclass(frozen=True)
class Entry:
    """One picture: its file name and its prediction, or the reason for having none.

    Attributes:
        thumbnail: a WebP file, at most 320 pixels long.
        shown, kind: as `edge_app.web.pool.Answer` has them.
        confidence, smoking, incomplete: as `edge_app.classifier.Prediction` has them.
        error: a sentence for the visitor; empty where there is an answer.
    """

    name: str
    thumbnail: bytes = b""
    shown: str = ""
    kind: str = ""
    confidence: float = 0.0
    smoking: float = 0.0
    incomplete: bool = False
    error: str = ""

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return len(self.thumbnail) + len(self.name)


@dataclass(eq=False)
class History:
    """A visitor's pictures with their results, newest first."""

    entries: list[Entry] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Keeps an entry; the oldest are forgotten beyond the limits."""
        self.entries.insert(0, entry)
        _remember(self, entry)
        while (
            len(self.entries) > MOST_ENTRIES
            or sum(entry.size for entry in self.entries) > MOST_BYTES
        ):
            self.entries.pop()

    def of(self, shown: str) -> list[Entry]:
        """The entries with that answer; with every answer for `ALL`."""
        return [entry for entry in self.entries if shown in (ALL, entry.shown)]


_kept: list[tuple[weakref.ref[History], weakref.ref[Entry]]] = []
"""Of all visitors, oldest first. Only their histories keep entries alive."""
_lock = threading.Lock()


def _remember(history: History, entry: Entry) -> None:
    """Notes an entry among those of all visitors, and forgets the oldest beyond the limit."""
    with _lock:
        _kept[:] = [kept for kept in _kept if kept[1]() is not None]
        _kept.append((weakref.ref(history), weakref.ref(entry)))
        sizes = [kept.size if (kept := entry()) else 0 for _, entry in _kept]
        total = sum(sizes)
        for (owner, forgotten), size in zip(_kept[:-1], sizes, strict=False):
            if total <= MOST_BYTES_ALL:
                break
            total -= size
            its_history, its_entry = owner(), forgotten()
            if its_history is not None and its_entry in its_history.entries:
                its_history.entries.remove(its_entry)


def make_entry(name: str, answer: Answer) -> Entry:
    """What is kept of an answer: its preview as a thumbnail, without any of the file's metadata.

    Raises:
        ValueError: the answer has no preview.
    """
    if answer.preview is None:
        raise ValueError("expected an answer with a preview")
    small = answer.preview.copy()
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=75, exif=b"", icc_profile=b"")
    prediction = answer.prediction
    return Entry(
        name,
        buffer.getvalue(),
        answer.shown,
        answer.kind,
        prediction.confidence,
        prediction.smoking,
        prediction.incomplete,
    )
