"""Reads the results of a scan, of either engine, and selects rows."""

from __future__ import annotations

import heapq
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from edge_app.files import is_remote
from edge_app.scan.errors import no_results
from edge_app.scan.rows import Row, stored_name
from edge_app.scan.store import read_rows

_log = logging.getLogger(__name__)


class UnknownLabelError(ValueError):
    """A label that the model of the results does not have; the message lists those it has."""


def read_results(place: str | os.PathLike[str]) -> Iterator[Row]:
    """Streams the rows of a scan's SQLite file, or of a Parquet folder written by Ray.

    Args:
        place: a file, a folder, or the address of a folder, as ``s3://bucket/results``.

    Raises:
        edge_app.scan.StoreError: it is neither; raised when the first row is requested.
        ImportError: Ray wrote it, and pyarrow is not installed.
    """
    if is_remote(place) or os.path.isdir(place):
        return _read_parquet(place)
    return read_rows(place)


def _read_parquet(folder: str | os.PathLike[str]) -> Iterator[Row]:
    if not is_remote(folder) and not any(Path(folder).glob("*.parquet")):
        raise no_results(folder)  # not that pyarrow is missing, which would not help
    from edge_app.scan.parquet import read_parquet

    yield from read_parquet(folder)


def selected(
    rows: Iterable[Row], label: str | None = None, min_score: float | None = None
) -> Iterator[Row]:
    """The rows with this label, whatever its case, and with at least this score.

    Unreadable pictures have neither label nor score: they pass only without both conditions.

    Raises:
        UnknownLabelError: there are pictures with both labels of a model, and none with this one;
            raised at the end of the rows.
    """
    seen: set[str] = set()
    for row in rows:
        if label is not None:
            if row.label:
                seen.add(row.label)
            if (row.label or "").casefold() != label.casefold():
                continue
        if min_score is not None and (row.smoking is None or row.smoking < min_score):
            continue
        yield row
    if label is None or not seen or label.casefold() in map(str.casefold, seen):
        return
    message = f"no picture has the label {label}; labels are: {', '.join(sorted(seen))}"
    if len(seen) > 1:
        raise UnknownLabelError(message)
    _log.warning("%s", message)  # it may be the other label of the model


def highest(rows: Iterable[Row], count: int) -> list[Row]:
    """The ``count`` rows with the highest scores, in that order; no more are kept in memory."""
    return heapq.nsmallest(count, rows, key=_by_score)


def is_found(row: Row) -> bool:
    """Whether the picture has the positive label, by the threshold it was scanned with."""
    return row.smoking is not None and row.smoking >= row.threshold


def name_of(row: Row) -> str:
    """The path as text that UTF-8 can hold; bytes that are not UTF-8 as ``\\xNN``."""
    return os.fspath(row.path) if is_remote(row.path) else stored_name(row.path)


def _by_score(row: Row) -> tuple[float, str]:
    return (1.0 if row.smoking is None else -row.smoking, name_of(row))
