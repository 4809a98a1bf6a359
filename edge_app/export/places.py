"""Where the pictures of a result lie."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from edge_app.files import is_remote
from edge_app.scan.rows import Row


class Places:
    """Notes the folders of rows that pass, to tell whether a scan of them would find a folder.

    A result does not hold the folders that were scanned. They are at least those in which
    pictures lie, and most likely the one that has all of them.
    """

    def __init__(self, folder: Path):
        """Starts with no rows.

        Args:
            folder: the one in question.
        """
        self._folder = Path(os.path.realpath(folder))
        self._common: Path | None = None
        self._last: Path | None = None
        self._holder: Path | None = None

    def note(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Passes rows on."""
        for row in rows:
            if not is_remote(row.path):
                self._note(Path(row.path).parent)
            yield row

    def scanned(self) -> Path | None:
        """The folder whose scan would find what is in the one in question; None where none is."""
        if self._holder is None and self._common and not _is_general(self._common):
            return self._common if self._folder.is_relative_to(self._common) else None
        return self._holder

    def _note(self, parent: Path) -> None:
        if parent == self._last:
            return
        self._last = parent
        if self._holder is None and self._folder.is_relative_to(parent):
            self._holder = parent
        try:
            self._common = Path(os.path.commonpath([self._common or parent, parent]))
        except ValueError:  # of other drives, or a relative one
            self._common = Path(os.sep)


def _is_general(folder: Path) -> bool:
    """Whether a folder is above the home of the user, or holds whole disks."""
    return Path.home().is_relative_to(folder) or len(folder.parts) < 3
