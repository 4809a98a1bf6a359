"""The results of a scan: one SQLite file, a row a picture."""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_app.classifier import ModelInfo, Prediction

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pictures (
    path        TEXT PRIMARY KEY,  -- absolute; bytes that are not UTF-8 as \\xNN
    size        INTEGER NOT NULL,  -- bytes
    modified_ns INTEGER NOT NULL,  -- nanoseconds since 1970, as the file system says
    label       TEXT,              -- NULL where the picture could not be read
    smoking     REAL,              -- P(Smoking), 0 to 1
    threshold   REAL NOT NULL,     -- P(Smoking) from which on the label is Smoking
    model       TEXT NOT NULL,     -- SHA-256 of the model file
    error       TEXT,              -- why it could not be read
    scanned_at  TEXT NOT NULL      -- ISO 8601, UTC
) WITHOUT ROWID
"""


class StoreError(Exception):
    """The database cannot be used; the message names it and the reason."""


@dataclass(frozen=True)
class FileState:
    """What tells whether a file has changed: its size in bytes and time of modification."""

    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Reads it off the file system; zeros where that cannot be done."""
        try:
            status = os.stat(path)
        except OSError:
            return cls(0, 0)
        return cls(status.st_size, status.st_mtime_ns)


class Store:
    """A database of results. Use it in a ``with`` block: it commits at the end.

    Raises:
        StoreError: the file cannot be opened, or is something else.
    """

    def __init__(self, path: Path):
        self.path = path
        with self._store_errors():
            self._connection = sqlite3.connect(path, timeout=30)
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if version != SCHEMA_VERSION and (version or tables):
                raise StoreError(f"{path}: is a database of another kind; give --db another name")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(_SCHEMA)
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.commit()
        finally:
            self._connection.close()

    def is_current(self, path: Path, state: FileState, info: ModelInfo) -> bool:
        """Whether the picture is unchanged since this model scored it at this threshold.

        What could not be read is never current: the reason may be gone.
        """
        with self._store_errors():
            row = self._connection.execute(
                "SELECT size, modified_ns, model, threshold FROM pictures "
                "WHERE path = ? AND error IS NULL",
                (_name(path),),
            ).fetchone()
        return row == (state.size, state.modified_ns, info.sha256, info.decision.threshold)

    def put(
        self, path: Path, state: FileState, info: ModelInfo, result: Prediction | Exception
    ) -> None:
        """Writes what came of a picture, in place of what was there."""
        found = isinstance(result, Prediction)
        with self._store_errors():
            self._connection.execute(
                "INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    _name(path),
                    state.size,
                    state.modified_ns,
                    result.label if found else None,
                    result.smoking if found else None,
                    info.decision.threshold,
                    info.sha256,
                    None if found else str(result),
                    datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                ),
            )

    def commit(self) -> None:
        """Makes everything written so far last."""
        with self._store_errors():
            self._connection.commit()

    @contextlib.contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: cannot be used as a database ({error})") from None


def _name(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
