"""Pictures kept on disk: the best frame of each event, and frames that a key asked for."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from edge_app.files import is_gone, numbered, remove_leftovers, whole_file
from edge_app.live.event_detector import Event
from edge_app.live.opencv import import_opencv
from edge_app.live.trouble import Trouble

KEEP_PICTURES = 200
KEEP_DAYS = 30.0

_OURS = re.compile(r"smoking-\d{8}T\d{6}Z-(?!key)[0-9a-z]+(-\d+)?\.jpg")
"""Pictures of events, which are deleted in time; not those that a key asked for."""


class Snapshots:
    """Keeps the best frame of each event in a folder, bounded in number and age."""

    def __init__(self, folder: Path, keep: int = KEEP_PICTURES, days: float = KEEP_DAYS):
        """Makes the folder.

        Args:
            folder: where the pictures go; others in it are left alone.
            keep: the newest so many are kept.
            days: older ones are deleted.

        Raises:
            OSError: it cannot be made.
        """
        self.folder = folder
        self._keep, self._days = keep, days
        self._best: tuple[float, np.ndarray] | None = None
        self._prune_at = -float("inf")
        self.trouble = Trouble("Best frames", folder)
        make_place(folder, ".jpg")

    def watch(self, pixels: np.ndarray, score: float) -> None:
        """Takes a frame that may belong to an event; the one with the highest score is held."""
        if self._best is None or score > self._best[0]:
            self._best = (score, pixels)

    def forget(self) -> None:
        """Says that the frames watched since the last event belong to none."""
        self._best = None

    def save(self, event: Event) -> Path | None:
        """Writes the best frame watched, and deletes what is too much or too old.

        Raises:
            OSError: it cannot be written.
        """
        best, self._best = self._best, None
        if best is None:
            return None
        path = save_picture(self.folder, best[1], event.id)
        self.prune(path)
        return path

    def prune_hourly(self) -> None:
        """Deletes what is too old also where no new event comes; to be called often."""
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + 3600
            try:
                self.prune()
            except OSError as error:  # only that: a folder that can be read may yet be full
                self.trouble.failed(error)

    def prune(self, newest: Path | None = None) -> None:
        """Deletes what is too much or too old, but not the picture that was just written."""
        prune(self.folder, _OURS, self._keep, self._days, newest)


def make_place(folder: Path, ending: str) -> None:
    """Makes the folder of pictures or clips, and removes what a killed run left half written.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder, ".smoking-", f".partial{ending}")


def prune(
    folder: Path, ours: re.Pattern[str], keep: int, days: float, newest: Path | None = None
) -> None:
    """Deletes files of a folder that are too many or too old; other files are left alone.

    Args:
        folder: where they are.
        ours: what their names are, which sort by time.
        keep: the newest so many are kept.
        days: older ones are deleted.
        newest: the one that was just written; where the clock was set back, its name sorts as old.

    Raises:
        OSError: one cannot be deleted.
    """
    files = [path for path in folder.iterdir() if ours.fullmatch(path.name)]
    files.sort(key=lambda path: (path == newest, path))
    oldest = time.time() - days * 86400
    for place, path in enumerate(files):
        is_old = path != newest and path.stat().st_mtime < oldest
        if is_old or place < len(files) - keep:
            path.unlink(missing_ok=True)


def encode_jpeg(pixels: np.ndarray, longest: int | None = None, quality: int = 80) -> bytes:
    """A frame as JPEG.

    Args:
        pixels: ``uint8[height, width, 3]``, BGR.
        longest: the longer side is at most this, in pixels; None for as it is.
        quality: of the JPEG, 0 to 100.
    """
    cv2 = import_opencv()
    scale = 1.0 if longest is None else longest / max(pixels.shape[:2])
    if scale < 1:
        size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    jpeg: bytes = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    return jpeg


def save_picture(folder: Path, pixels: np.ndarray, name: str) -> Path:
    """Writes a frame as JPEG, named by the time and ``name``.

    Raises:
        OSError: it cannot be written.
    """
    now = datetime.now(timezone.utc)
    path = free_name(folder / f"smoking-{now:%Y%m%dT%H%M%SZ}-{name}.jpg")
    with whole_file(path) as partial:
        partial.write_bytes(encode_jpeg(pixels, quality=90))
    return path


def free_name(path: Path) -> Path:
    """The path, or the first with a number where nothing is yet."""
    return next(free for free in numbered(path) if is_gone(free))
