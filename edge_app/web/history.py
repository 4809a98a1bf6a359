"""What one visitor has tried in this session: gone with the session."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from edge_app.classifier import Prediction
from edge_app.imaging import read_thumbnail

MOST_ENTRIES = 50
"""The oldest entry makes room for the newest beyond this number."""

_THUMBNAIL = 320
"""Longer side in pixels."""


@dataclass
class History:
    """A visitor's pictures, as thumbnail files, with their results, newest first."""

    entries: list[tuple[str, str]] = field(default_factory=list)

    def add(self, path: str, prediction: Prediction, folder: Path) -> None:
        """Keeps a thumbnail of the picture, in the folder, with its label and confidence."""
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".jpg", delete=False) as file:
            read_thumbnail(path, _THUMBNAIL).save(file, "JPEG", quality=85)
        caption = f"{prediction.label} {prediction.confidence:.0%}"
        self.entries.insert(0, (file.name, caption))
        self._forget(MOST_ENTRIES)

    def clear(self) -> None:
        """Forgets everything."""
        self._forget(0)

    def _forget(self, kept: int) -> None:
        for name, _ in self.entries[kept:]:
            Path(name).unlink(missing_ok=True)
        del self.entries[kept:]
