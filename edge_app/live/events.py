"""The events file: a line of JSON for each thing that happened, on the disk at once."""

from __future__ import annotations

import json
import os
from pathlib import Path

MAX_BYTES = 5_000_000
"""Size at which a file is put aside."""

KEEP = 3
"""Files put aside that are kept, the newest as ``.1``; so all of it is at most 4 x 5 MB."""


class EventLog:
    """Appends records to a file, flushed and synced; rotates it by size.

    >>> EventLog(Path("/tmp/events.jsonl")).write({"event": "start"})
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES, keep: int = KEEP):
        """Opens the file.

        Args:
            path: the file; folders above it are made where they are missing.
            max_bytes: size at which it is put aside.
            keep: how many files put aside are kept.

        Raises:
            OSError: it cannot be written.
        """
        self.path = path
        self._max_bytes, self._keep = max_bytes, keep
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        self._end_broken_line()

    def write(self, record: dict) -> None:
        """Appends a record.

        Raises:
            OSError: it cannot be written; the next record is tried again.
        """
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        size = os.fstat(self._file.fileno()).st_size
        if size and size + len(line) > self._max_bytes:
            self._rotate()
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        try:
            for number in range(self._keep, 0, -1):
                older = self._aside(number)
                newer = self._aside(number - 1) if number > 1 else self.path
                if newer.exists():
                    os.replace(newer, older)
            if not self._keep:
                self.path.unlink()
        finally:
            self._file = self.path.open("ab")

    def _aside(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _end_broken_line(self) -> None:
        """Where the power went in the middle of a line, the next one is not glued to it."""
        if self._file.tell() == 0:
            return
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                self._file.write(b"\n")
                self._file.flush()
