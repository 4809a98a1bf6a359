"""The results of a scan: one SQLite file with one row per picture.

docs/scan.md describes the columns for other tools. In Python use `read_rows`, which restores the
paths as the file system knows them.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from edge_app.classifier import ModelInfo, Prediction
from edge_app.files import is_gone, printable
from edge_app.invocation import invocation
from edge_app.scan.errors import PruneError, StoreError, store_errors
from edge_app.scan.foreign import check_table, check_values, distrust, to_region
from edge_app.scan.rows import FileState, Row, path_of, stored_name
from edge_app.scan.schema import COLUMNS, WAIT_SECONDS, check_kind, columns_of, prepare


def read_rows(db: str | os.PathLike[str], *, by_score: bool = False) -> Iterator[Row]:
    """Streams the rows of a database, also during a scan.

    Args:
        db: the SQLite file that ``scan`` wrote.
        by_score: highest score first, unreadable files last; else in order of path.

    Raises:
        StoreError: the file does not exist, or is something else.
    """
    order = "smoking DESC, path" if by_score else "path"
    with store_errors(db), contextlib.closing(_open_to_read(Path(db))) as connection:
        # A file of an earlier version is read as it is.
        columns = columns_of(check_kind(connection, Path(db)))
        for values in connection.execute(
            f"SELECT {', '.join(columns)} FROM pictures ORDER BY {order}"
        ):
            yield _to_row(dict(zip(columns, values, strict=True)))


class Store:
    """A database of results to write to. Use it in a ``with`` block, which commits at the end.

    Rows are kept in memory until `commit` writes them in one transaction, so the file is locked
    for milliseconds only, and a write that fails can be repeated.

    Raises:
        StoreError: the file cannot be opened, or is something else.
    """

    def __init__(self, path: Path):
        if str(path) == ":memory:" or (path.exists() and not path.is_file()):
            raise StoreError(f"{path}: is no ordinary file; give --db the name of one")
        self.path = path
        self._unwritten: dict[str, tuple[object, ...]] = {}
        with store_errors(path):
            self._connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
            prepare(self._connection, path)
            check_table(self._connection, COLUMNS)
            # Its own connection, since one thread asks while another one writes.
            self._reader = sqlite3.connect(path, timeout=WAIT_SECONDS, check_same_thread=False)

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
        """Number of results since the last `commit`."""
        return len(self._unwritten)

    def find(self, path: str | os.PathLike[str]) -> Row | None:
        """The committed row of a picture, if there is one."""
        with store_errors(self.path):
            values = self._reader.execute(
                f"SELECT {', '.join(COLUMNS)} FROM pictures WHERE path = ?", (stored_name(path),)
            ).fetchone()
            return values and _to_row(dict(zip(COLUMNS, values, strict=True)))

    def put(
        self,
        path: str | os.PathLike[str],
        state: FileState,
        info: ModelInfo,
        result: Prediction | Exception,
    ) -> None:
        """Stores the result for a picture; it replaces an earlier one."""
        row = Row.of(path, state, info, result)
        self._unwritten[stored_name(row.path)] = _to_values(row)

    def commit(self) -> None:
        """Writes all results so far, or none if it raises.

        Raises:
            StoreBusyError: not now, perhaps later; nothing is lost, call it again.
            StoreError: the database can no longer be used.
        """
        if not self._unwritten:
            return
        with store_errors(self.path):
            self._change(
                f"INSERT OR REPLACE INTO pictures ({', '.join(COLUMNS)}) "
                f"VALUES ({', '.join('?' * len(COLUMNS))})",
                self._unwritten.values(),
            )
        self._unwritten.clear()

    def prune(self, roots: Iterable[str], *, force: bool = False) -> int:
        """Removes the rows of files below some folders that are no longer there.

        Args:
            roots: the folders, or files.
            force: also where a disk seems not to be mounted: more than half of the files below a
                folder are gone, or all of those below a folder inside it that is empty now.

        Returns:
            How many rows were removed.

        Raises:
            PruneError: nothing below that folder was removed, since it needs ``force``.
        """
        removed = 0
        with store_errors(self.path):
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
        seen = f"{gone} of {total} files are gone" if gone > total / 2 else self._emptied(root)
        if seen:
            raise PruneError(
                f"--prune removed nothing below {printable(root)}: {seen}. "
                "Is a disk not mounted? Remove their results with --prune --force"
            )

    def _emptied(self, root: str) -> str:
        """Names a folder inside a root that had pictures and is empty, as an unmounted disk is."""
        known: set[str] = set()
        for gone in self._gone_below(root):
            for folder in {os.path.dirname(path_of(path)) for (path,) in gone}:
                while folder not in known and len(folder) > len(root):
                    known.add(folder)
                    if os.path.isdir(folder):
                        if _is_empty(folder):
                            return f"{printable(folder)} is empty now"
                        break
                    folder = os.path.dirname(folder)
        return ""

    def _gone_below(self, root: str) -> Iterator[list[tuple[str]]]:
        condition, values = _below(root)
        names = self._reader.execute(f"SELECT path FROM pictures WHERE {condition}", values)
        while batch := names.fetchmany(1000):
            if gone := [row for row in batch if is_gone(path_of(row[0]))]:
                yield gone

    def _change(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Runs a statement for every row, in one transaction: for all of them, or for none."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk rolls back on its own
                self._connection.execute("ROLLBACK")
            raise


def _to_values(row: Row) -> tuple[object, ...]:
    values = {column: getattr(row, column) for column in COLUMNS}
    values["path"] = stored_name(row.path)
    values["region"] = row.region and json.dumps(row.region)
    return tuple(values.values())


def _to_row(columns: dict[str, Any]) -> Row:
    check_values(columns)
    columns["path"] = Path(path_of(columns["path"]))
    if columns["smoking"] is not None:
        columns.setdefault("looks", 1)
    for name in ("uncertain", "incomplete"):
        if columns.get(name) is not None:
            columns[name] = bool(columns[name])
    columns["region"] = to_region(columns.get("region"))
    return Row(**columns)


def _below(root: str, separator: str = os.sep) -> tuple[str, tuple[str, str, str]]:
    """The condition that a row is of a file or of one below a folder, and its values."""
    name = stored_name(root)
    above = name.rstrip(separator)
    after = above + chr(ord(separator) + 1)  # "pics0" comes after all of "pics/"
    return "path = ? OR (path > ? AND path < ?)", (name, above + separator, after)


def _is_empty(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def _open_to_read(db: Path) -> sqlite3.Connection:
    if not db.is_file():
        if db.exists():
            raise StoreError(f"{db}: is no ordinary file, as results of a scan are")
        raise StoreError(f"{db}: there is no such file; make it with: {invocation()} scan")
    address = f"{db.resolve().as_uri()}?mode="
    # Only a connection that may write removes the files it shares with writers when it closes. It
    # would also copy what a killed scan left in the log, so it is used where the log is empty.
    mode = "ro" if _has_log(db) else "rw"
    connection = sqlite3.connect(f"{address}{mode}", uri=True, timeout=WAIT_SECONDS)
    try:
        connection.execute("PRAGMA query_only = ON")
        _check_to_read(connection, db)
    except sqlite3.OperationalError:
        # In a folder that cannot be written SQLite cannot make the files it shares with writers.
        connection.close()
        connection = sqlite3.connect(f"{address}ro&immutable=1", uri=True)
        _check_to_read(connection, db)
    return connection


def _has_log(db: Path) -> bool:
    """Whether a log holds changes, as during a scan and after a killed one."""
    for ending in ("-wal", "-journal"):
        with contextlib.suppress(OSError):
            if os.stat(f"{db.resolve()}{ending}").st_size:
                return True
    return False


def _check_to_read(connection: sqlite3.Connection, db: Path) -> None:
    distrust(connection)
    version = check_kind(connection, db)
    if not version:
        raise StoreError(f"{db}: holds no results of a scan")
    check_table(connection, columns_of(version))
