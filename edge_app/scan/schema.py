"""The table of results: its columns, its versions, and what else a database may be."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import time
from pathlib import Path

from edge_app.scan.errors import StoreError
from edge_app.scan.rows import Row

SCHEMA_VERSION = 2

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pictures (
    path        TEXT PRIMARY KEY,  -- absolute; bytes that are not UTF-8 as \\xNN
    size        INTEGER NOT NULL,  -- bytes
    modified_ns INTEGER NOT NULL,  -- nanoseconds since 1970, as the file system says
    label       TEXT,              -- NULL where the picture is unreadable
    smoking     REAL,              -- score of the positive label, 0 to 1
    threshold   REAL NOT NULL,     -- score from which on the label is the positive one
    model       TEXT NOT NULL,     -- SHA-256 of the model file
    error       TEXT,              -- why it is unreadable
    scanned_at  TEXT NOT NULL,     -- ISO 8601, UTC
    uncertain   INTEGER,           -- 1 where the model is often wrong at this score, else 0
    looks       INTEGER,           -- how many looks the score is the mean of
    region      TEXT,              -- of the closest look: JSON [left, top, right, bottom], pixels
    network     TEXT,              -- checksum of the model without its decision
    looks_rule  TEXT,              -- JSON: why it was looked at again; NULL where it was not
    incomplete  INTEGER            -- 1 where the file ends too early and a part is missing, else 0
) WITHOUT ROWID
"""
_FROM_VERSION_1 = (
    "ALTER TABLE pictures ADD COLUMN uncertain INTEGER",
    "ALTER TABLE pictures ADD COLUMN looks INTEGER",
    "ALTER TABLE pictures ADD COLUMN region TEXT",
    "ALTER TABLE pictures ADD COLUMN network TEXT",
    "ALTER TABLE pictures ADD COLUMN looks_rule TEXT",
    "ALTER TABLE pictures ADD COLUMN incomplete INTEGER",
    "UPDATE pictures SET looks = 1 WHERE error IS NULL",
)
COLUMNS = tuple(field.name for field in dataclasses.fields(Row))
WAIT_SECONDS = 2.0
"""How long to wait for another program's write. Our own take milliseconds."""


def columns_of(version: int) -> tuple[str, ...]:
    """The columns that a version of the table has."""
    return COLUMNS[:9] if version == 1 else COLUMNS


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Creates the table, or migrates one of an earlier version: completely or not at all.

    Another scan may do the same at the same time; one of an earlier version stops with an error.
    """
    if check_kind(connection, path) != SCHEMA_VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = check_kind(connection, path)
            statements = _FROM_VERSION_1 if version == 1 else [_SCHEMA]
            for statement in () if version == SCHEMA_VERSION else statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
    deadline = time.monotonic() + WAIT_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:  # SQLite itself does not wait here
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def check_kind(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version, 0 for an empty file; raises `StoreError` for what is not ours."""
    # Tables first: who makes them sets the version in the same transaction.
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if "pictures" in tables and version > SCHEMA_VERSION:
        raise StoreError(f"{path}: was written by a newer version of this program; update it")
    if (version or tables) and (version not in (1, SCHEMA_VERSION) or "pictures" not in tables):
        raise StoreError(f"{path}: is a database of another kind; give --db another name")
    return version
