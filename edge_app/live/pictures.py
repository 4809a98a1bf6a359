"""Pictures kept on disk: the best frame of each event, frames that a key asked for, a recording."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from edge_app.files import is_gone, numbered, whole_file
from edge_app.live.capture import import_opencv
from edge_app.live.decisions import Event

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
        folder.mkdir(parents=True, exist_ok=True)

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
        self.prune()
        return path

    def prune_hourly(self) -> None:
        """Deletes what is too old also where no new event comes; to be called often.

        Raises:
            OSError: it cannot be deleted.
        """
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + 3600
            self.prune()

    def prune(self) -> None:
        """Deletes what is too much or too old."""
        ours = sorted(path for path in self.folder.iterdir() if _OURS.fullmatch(path.name))
        oldest = time.time() - self._days * 86400
        for place, path in enumerate(ours):
            if place < len(ours) - self._keep or path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)


def save_picture(folder: Path, pixels: np.ndarray, name: str) -> Path:
    """Writes a frame as JPEG, named by the time and ``name``.

    Raises:
        OSError: it cannot be written.
    """
    cv2 = import_opencv()
    now = datetime.now(timezone.utc)
    path = _free(folder / f"smoking-{now:%Y%m%dT%H%M%SZ}-{name}.jpg")
    _, content = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
    with whole_file(path) as partial:
        partial.write_bytes(content.tobytes())
    return path


def _free(path: Path) -> Path:
    """The path, or the first with a number where nothing is yet."""
    return next(free for free in numbered(path) if is_gone(free))


class Recorder:
    """Writes frames to a video file at their own speed; stops at a size."""

    def __init__(self, path: Path, fps: float = 15.0, max_bytes: int = 2_000_000_000):
        """Prepares a recording.

        Args:
            path: ends with ``.mp4`` or ``.avi``. What is there already is left alone: a number
                is added to the name.
            fps: frames a second of the file; where frames come slower they are repeated.
            max_bytes: size at which it stops.

        Raises:
            ValueError: the ending is another one.
        """
        if path.suffix.lower() not in (".mp4", ".avi"):
            raise ValueError(f"{path}: expected a name that ends with .mp4 or .avi")
        self.path, self.is_full = path, False
        self._fps, self._max_bytes = fps, max_bytes
        self._writer = None
        self._size = (0, 0)
        self._start, self._written, self._check_at = 0.0, 0, 50

    def add(self, pixels: np.ndarray, when: float) -> None:
        """Adds a frame of a time in seconds.

        Raises:
            OSError: the file cannot be written.
        """
        if self.is_full:
            return
        cv2 = import_opencv()
        if self._writer is None:
            self._open(cv2, pixels, when)
        if (pixels.shape[1], pixels.shape[0]) != self._size:  # the camera came back as another
            pixels = cv2.resize(pixels, self._size)
        due = int((when - self._start) * self._fps + 1e-6) + 1
        if due - self._written > self._fps * 5:  # a gap is not worth minutes of a still
            self._start += (due - self._written - 1) / self._fps
            due = self._written + 1
        for _ in range(due - self._written):
            self._writer.write(pixels)
            self._written += 1
        if self._written >= self._check_at:
            self._check_at = self._written + 50
            if self.path.stat().st_size > self._max_bytes:
                self.is_full = True
                self.close()

    def close(self) -> None:
        """Ends the file."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None

    def _open(self, cv2, pixels: np.ndarray, when: float) -> None:
        self._size = (pixels.shape[1], pixels.shape[0])
        self._start, self._written = when, 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path = _free(self.path)
        codec = "mp4v" if self.path.suffix.lower() == ".mp4" else "MJPG"
        fourcc = cv2.VideoWriter_fourcc(*codec)
        self._writer = cv2.VideoWriter(str(self.path), fourcc, self._fps, self._size)
        if not self._writer.isOpened():
            self._writer = None
            raise OSError(f"{self.path}: cannot be written")
