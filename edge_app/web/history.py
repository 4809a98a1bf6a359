"""What one visitor has tried in this session: held in memory, gone with the session."""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image, ImageOps

from edge_app.classifier import Prediction

MOST_ENTRIES = 50
"""The oldest entry makes room for the newest beyond this number."""

_THUMBNAIL = (320, 320)


@dataclass
class History:
    """A visitor's pictures, as thumbnails, with their results, newest first."""

    entries: list[tuple[Image.Image, str]] = field(default_factory=list)

    def add(self, path: str, prediction: Prediction) -> None:
        """Keeps a thumbnail of the picture with its label and confidence."""
        with Image.open(path) as image:
            image.draft("RGB", _THUMBNAIL)
            thumbnail = ImageOps.exif_transpose(image).convert("RGB")
        thumbnail.thumbnail(_THUMBNAIL)
        caption = f"{prediction.label} {prediction.confidence:.0%}"
        self.entries = [(thumbnail, caption), *self.entries][:MOST_ENTRIES]

    def clear(self) -> None:
        """Forgets everything."""
        self.entries = []
