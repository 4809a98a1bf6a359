"""The events file: a line of JSON for each thing that happened, on the disk at once."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections import deque
from io import FileIO
from pathlib import Path
from typing import Any

from edge_app.live.trouble import Trouble

MAX_BYTES = 5_000_000
"""Size at which a file is put aside."""

MOST_WAITING = 1000
"""Records that wait in memory while the disk takes none; then the oldest are given up."""

KEEP = 3
"""Files put aside that are kept, the newest as ``.1``; so all of it is at most 4 x 5 MB."""


class EventLog:
    """Appends records to a file, each on the disk at once; rotates the file by size.

    >>> EventLog(Path("/tmp/events.jsonl")).write({"event": "start"})
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES, keep: int = KEEP):
        """Opens the file.

        Args:
            path: the file; folders above it are made where they are missing.
            max_bytes: size at which it is put aside.
            keep: how many files put aside are kept, 1 or more.

        Raises:
            OSError: it cannot be written.
        """
        self.path = path
        self._max_bytes, self._keep = max_bytes, keep
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._lock = threading.Lock()  # cameras share a file
        self.trouble = Trouble("Events", path)
        self._file: FileIO | None = self._open()

    def write(self, record: dict[str, Any]) -> None:
        """Appends a record, and those before it that could not be written.

        Raises:
            OSError: the disk takes none now; what waits is tried again with the next one.
        """
        line = json.dumps(record, ensure_ascii=False)
        # What a name has that is not UTF-8 becomes an escape of JSON's own.
        with self._lock:
            self._waiting.append(line.encode(errors="backslashreplace") + b"\n")
            while self._waiting:
                self._append(self._waiting[0])
                self._waiting.popleft()

    def close(self) -> None:
        """Closes the file; the next record opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, line: bytes) -> None:
        try:
            if self._file is None:
                self._file = self._open()
            size = os.fstat(self._file.fileno()).st_size
            if size and size + len(line) > self._max_bytes:
                self._file = self._rotate()
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, "no space for a whole line")
            os.fsync(self._file.fileno())
        except OSError as error:
            if error.errno == errno.EINVAL and not self.path.is_file():
                return  # a pipe or a device, which cannot be synced
            self.close()  # opened again with the next record: the disk may come back as another
            raise

    def _open(self) -> FileIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("ab", buffering=0)
        if self._has_broken_line():
            file.write(b"\n")
        return file

    def _has_broken_line(self) -> bool:
        """Whether the power went, or the disk ended, in the middle of a line."""
        if not self.path.is_file() or not self.path.stat().st_size:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"

    def _rotate(self) -> FileIO:
        self.close()
        for number in range(self._keep, 0, -1):
            newer = self._aside(number - 1) if number > 1 else self.path
            if newer.exists():
                os.replace(newer, self._aside(number))
        return self._open()

    def _aside(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
