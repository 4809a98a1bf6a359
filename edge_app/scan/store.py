"""The results of a scan: one SQLite file, a row a picture.

docs/scan.md describes the file for those who read it with other tools. Programs in Python read it
with `read_rows`, which gives back the paths as the file system knows them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_app.classifier import ModelInfo, Prediction
from edge_app.files import is_gone, printable
from edge_app.scan.foreign import ForeignError, check_table, check_values, distrust

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
_WAIT_SECONDS = 2.0
"""For another program's write to end. Our own writes are over in milliseconds."""


class StoreError(Exception):
    """The database cannot be used; the message names it and the reason."""


class StoreBusyError(StoreError):
    """It cannot be written now, but may be later: the disk is full, or another program writes."""


class PruneError(StoreError):
    """So many files are gone that a disk may not be mounted."""


@dataclass(frozen=True)
class FileState:
    """What tells whether a file has changed: its size in bytes and time of modification."""

    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> FileState:
        """Reads it off the file system; zeros where that cannot be done."""
        try:
            status = os.stat(path)
        except OSError:
            return cls(0, 0)
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Row:
    """What a database says of one picture.

    Attributes:
        path: absolute, as the file system knows it, whatever bytes are in it.
        size: in bytes, when it was scanned.
        modified_ns: time of modification when it was scanned, nanoseconds since 1970.
        label: ``Smoking`` or ``NotSmoking``; None where it could not be read.
        smoking: P(Smoking), in [0, 1]; None where it could not be read.
        threshold: P(Smoking) from which on the label is ``Smoking``.
        model: SHA-256 of the model file.
        error: why it could not be read, else None.
        scanned_at: when, ISO 8601, UTC.
    """

    path: Path
    size: int
    modified_ns: int
    label: str | None
    smoking: float | None
    threshold: float
    model: str
    error: str | None
    scanned_at: str


_COLUMNS = tuple(field.name for field in dataclasses.fields(Row))


def columns_of(
    state: FileState, info: ModelInfo, result: Prediction | Exception
) -> tuple[int, int, str | None, float | None, float, str, str | None, str]:
    """What a `Row` says beside the path: what came of a picture, now."""
    found = isinstance(result, Prediction)
    return (
        state.size,
        state.modified_ns,
        result.label if found else None,
        result.smoking if found else None,
        info.decision.threshold,
        info.sha256,
        None if found else str(result),
        datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds"),
    )


def read_rows(db: str | os.PathLike[str], *, by_score: bool = False) -> Iterator[Row]:
    """Reads a database of results, also while a scan writes it; a row at a time.

    Args:
        db: the SQLite file that ``scan`` wrote.
        by_score: begin with the highest P(Smoking), the unreadable last; else in order of path.

    Raises:
        StoreError: there is no such file, or it is something else.
    """
    order = "smoking DESC, path" if by_score else "path"
    with _store_errors(db), contextlib.closing(_open_to_read(Path(db))) as connection:
        columns = ", ".join(_COLUMNS)
        for values in connection.execute(f"SELECT {columns} FROM pictures ORDER BY {order}"):
            check_values(dict(zip(_COLUMNS, values, strict=True)))
            yield Row(Path(path_of(values[0])), *values[1:])


class Store:
    """A database of results to write to. Use it in a ``with`` block: it commits at the end.

    What is put is kept in memory until `commit` writes all of it in one transaction, so that
    the file is locked for milliseconds only and a write that fails can be tried again.

    Raises:
        StoreError: the file cannot be opened, or is something else.
    """

    def __init__(self, path: Path):
        if str(path) == ":memory:" or (path.exists() and not path.is_file()):
            raise StoreError(f"{path}: is no ordinary file; give --db the name of one")
        self.path = path
        self._unwritten: dict[str, tuple] = {}
        with _store_errors(path):
            self._connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
            _prepare(self._connection, path)
            check_table(self._connection, _COLUMNS)
            # Its own connection, since one thread asks while another one writes.
            self._reader = sqlite3.connect(path, timeout=_WAIT_SECONDS, check_same_thread=False)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Commits and closes the file."""
        try:
            self.commit()
        finally:
            self._reader.close()
            self._connection.close()

    @property
    def unwritten(self) -> int:
        """How many results were put since the last `commit`."""
        return len(self._unwritten)

    def is_current(self, path: str | os.PathLike[str], state: FileState, info: ModelInfo) -> bool:
        """Whether the picture is unchanged since this model scored it at this threshold.

        What could not be read is never current: the reason may be gone.
        """
        with _store_errors(self.path):
            row = self._reader.execute(
                "SELECT size, modified_ns, model, threshold FROM pictures "
                "WHERE path = ? AND error IS NULL",
                (stored_name(path),),
            ).fetchone()
        return row == (state.size, state.modified_ns, info.sha256, info.decision.threshold)

    def put(
        self,
        path: str | os.PathLike[str],
        state: FileState,
        info: ModelInfo,
        result: Prediction | Exception,
    ) -> None:
        """Notes what came of a picture, to be written in place of what was there."""
        name = stored_name(path)
        self._unwritten[name] = (name, *columns_of(state, info, result))

    def commit(self) -> None:
        """Makes everything put so far last: all of it, or nothing where it raises.

        Raises:
            StoreBusyError: not now, but perhaps later; nothing is forgotten, call it again.
            StoreError: the database cannot be used any more.
        """
        if not self._unwritten:
            return
        with _store_errors(self.path):
            self._change(
                "INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                self._unwritten.values(),
            )
        self._unwritten.clear()

    def prune(self, roots: Iterable[str], *, force: bool = False) -> int:
        """Removes the rows of files below some folders that are no longer there.

        Args:
            roots: the folders, or files.
            force: also where a disk seems not to be mounted: a folder is gone or empty, or of more
                than half of the rows below it the file is.

        Returns:
            How many rows were removed.

        Raises:
            PruneError: nothing below that folder was removed, since it needs ``force``.
        """
        removed = 0
        with _store_errors(self.path):
            for root in roots:
                if not force:
                    self._check_mounted(root)
                for gone in self._gone_below(root):
                    self._change("DELETE FROM pictures WHERE path = ?", gone)
                    removed += len(gone)
        return removed

    def _check_mounted(self, root: str) -> None:
        gone = sum(map(len, self._gone_below(root)))
        condition, values = _below(root)
        total = self._reader.execute(
            f"SELECT count(*) FROM pictures WHERE {condition}", values
        ).fetchone()[0]
        if gone > total / 2:
            raise PruneError(
                f"--prune removed nothing below {printable(root)}: {gone} of {total} files "
                "are gone. Is a disk not mounted? Remove their results with --prune --force"
            )

    def _gone_below(self, root: str) -> Iterator[list[tuple[str]]]:
        condition, values = _below(root)
        names = self._reader.execute(f"SELECT path FROM pictures WHERE {condition}", values)
        while batch := names.fetchmany(1000):
            if gone := [row for row in batch if is_gone(path_of(row[0]))]:
                yield gone

    def _change(self, statement: str, rows: Iterable[tuple]) -> None:
        """Runs a statement for every row, in one transaction: for all of them, or for none."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk rolls back by itself
                self._connection.execute("ROLLBACK")
            raise


def stored_name(path: str | os.PathLike[str]) -> str:
    r"""A path as text that any SQLite tool can show.

    Bytes that are not UTF-8 become ``\xNN``. So that this can be undone, a backslash that happens
    to stand before an x and two hexadecimal digits becomes ``\x5c``.

    >>> stored_name(os.fsdecode(b"caf\xe9.jpg"))
    'caf\\xe9.jpg'
    """
    name = os.fspath(path)
    if "\\" in name:
        name = re.sub(r"\\(?=x[0-9a-f]{2})", r"\\x5c", name)
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def path_of(name: str) -> str:
    r"""The path that `stored_name` made a name of.

    >>> os.fsencode(path_of("caf\\xe9.jpg"))
    b'caf\xe9.jpg'
    """
    if "\\" not in name:
        return name
    escape = re.compile(rb"\\x([0-9a-f]{2})")
    return os.fsdecode(escape.sub(lambda m: bytes.fromhex(m[1].decode()), name.encode()))


def _below(root: str) -> tuple[str, tuple[str, str, str]]:
    """The condition that a row is of a file or of one below a folder, and its values."""
    name = stored_name(root)
    above = name.rstrip(os.sep)
    after = above + chr(ord(os.sep) + 1)  # "pics0" comes after all of "pics/"
    return "path = ? OR (path > ? AND path < ?)", (name, above + os.sep, after)


def _open_to_read(db: Path) -> sqlite3.Connection:
    if not db.is_file():
        raise StoreError(f"{db}: there is no such file; make it with: python3 run.py scan")
    address = f"{db.resolve().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, timeout=_WAIT_SECONDS)
    try:
        _check_to_read(connection, db)
    except sqlite3.OperationalError:
        # In a folder that cannot be written SQLite cannot make the files it shares with writers.
        connection.close()
        connection = sqlite3.connect(f"{address}&immutable=1", uri=True)
        _check_to_read(connection, db)
    return connection


def _check_to_read(connection: sqlite3.Connection, db: Path) -> None:
    distrust(connection)
    if _check_kind(connection, db) != SCHEMA_VERSION:
        raise StoreError(f"{db}: holds no results of a scan")
    check_table(connection, _COLUMNS)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Makes the table where there is none, also when another scan does the same right now."""
    if _check_kind(connection, path) != SCHEMA_VERSION:
        connection.execute("BEGIN IMMEDIATE")
        if _check_kind(connection, path) != SCHEMA_VERSION:
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    deadline = time.monotonic() + _WAIT_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:  # SQLite itself does not wait here
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _check_kind(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version, 0 for an empty file; raises `StoreError` for what is not ours."""
    # Tables first: who makes them sets the version in the same transaction.
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION and (version or tables):
        raise StoreError(f"{path}: is a database of another kind; give --db another name")
    return version


@contextlib.contextmanager
def _store_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except ForeignError as error:
        raise StoreError(f"{printable(path)}: {error}") from None
    except (sqlite3.Error, OverflowError) as error:
        reason = printable(str(error).replace("\n", " "))
        if "locked" in reason:
            raise StoreBusyError(f"{path}: another program holds it locked") from None
        if "full" in reason:
            raise StoreBusyError(f"{path}: the disk is full") from None
        if not Path(path).absolute().parent.is_dir():
            raise StoreError(f"{path}: there is no folder {Path(path).parent}") from None
        if "readonly" in reason or "unable to open" in reason:
            raise StoreError(f"{path}: it or its folder may not be written") from None
        raise StoreError(f"{path}: cannot be used as a database ({reason})") from None
