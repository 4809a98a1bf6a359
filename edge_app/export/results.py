"""Reads what a scan wrote, whichever engine did it, and picks rows out of it."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator

from edge_app.files import is_remote
from edge_app.scan.rows import Row, stored_name
from edge_app.scan.store import read_rows


def read_results(place: str | os.PathLike[str]) -> Iterator[Row]:
    """Reads the SQLite file of a scan, or the Parquet folder of one by Ray, a row at a time.

    Args:
        place: a file, a folder, or the address of a folder, as ``s3://bucket/results``.

    Raises:
        edge_app.scan.StoreError: it is neither; raised when the first row is asked for.
        ImportError: it is of Ray, and pyarrow is not installed.
    """
    if is_remote(place) or os.path.isdir(place):
        from edge_app.scan.parquet import read_parquet

        return read_parquet(place)
    return read_rows(place)


def selected(
    rows: Iterable[Row], label: str | None = None, min_score: float | None = None
) -> Iterator[Row]:
    """The rows with this label, in capitals or not, and with a P(Smoking) of at least this.

    What could not be read has neither label nor score: it passes only where nothing is asked for.
    """
    for row in rows:
        if label is not None and (row.label or "").casefold() != label.casefold():
            continue
        if min_score is not None and (row.smoking is None or row.smoking < min_score):
            continue
        yield row


def highest(rows: Iterable[Row], count: int) -> list[Row]:
    """The ``count`` rows with the highest P(Smoking), in that order; no more are kept in memory."""
    return heapq.nsmallest(count, rows, key=_by_score)


def is_found(row: Row) -> bool:
    """Whether the picture shows what the model looks for, by the threshold it was scanned with."""
    return row.smoking is not None and row.smoking >= row.threshold


def name_of(row: Row) -> str:
    """The path as text that UTF-8 can hold; bytes that are not UTF-8 as ``\\xNN``."""
    return row.path if is_remote(row.path) else stored_name(row.path)


def _by_score(row: Row) -> tuple[float, str]:
    return (1.0 if row.smoking is None else -row.smoking, name_of(row))
