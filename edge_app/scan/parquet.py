"""Scan results as a folder of Parquet files, for scans on a cluster.

The folder has one file per batch of pictures, named after the run and the number of the batch. A
batch that is done again because its worker died overwrites its own file. The columns are those of
the SQLite file. If several runs have results for the same picture, the latest counts.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from edge_app.files import is_remote
from edge_app.scan.errors import StoreError, no_results
from edge_app.scan.foreign import ForeignError, check_values, to_region
from edge_app.scan.rows import Row, path_of, stored_name

SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("modified_ns", pa.int64(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("smoking", pa.float64()),
        pa.field("threshold", pa.float64(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("error", pa.string()),
        pa.field("scanned_at", pa.string(), nullable=False),
        pa.field("uncertain", pa.bool_()),
        pa.field("looks", pa.int32()),
        pa.field("region", pa.list_(pa.int32())),
        pa.field("network", pa.string()),
        pa.field("looks_rule", pa.string()),
        pa.field("incomplete", pa.bool_()),
    ]
)
_FIRST_COLUMNS = SCHEMA.names[:9]
"""Those that every version has written."""

_APPEARS_WHOLE = ("s3", "gcs", "abfs")
"""File systems on which a file appears when it is closed; on others it is renamed."""


def open_filesystem(place: str | os.PathLike[str]) -> tuple[fs.FileSystem, str]:
    """The file system of an address or a path, and the path on it.

    Raises:
        StoreError: the kind of file system is unknown, or it cannot be reached.
    """
    if not is_remote(place):
        return fs.LocalFileSystem(), os.path.abspath(place)
    scheme, _, rest = str(place).partition("://")
    authority, _, below = rest.partition("/")
    try:
        filesystem, root = _connect(f"{scheme}://{authority}/")
    except (ValueError, OSError) as error:
        raise StoreError(f"{place}: {error}") from None
    return filesystem, f"{root.rstrip('/')}/{below}"


@functools.lru_cache
def _connect(root: str) -> tuple[fs.FileSystem, str]:
    """Connects to a file system once; names below its root need not be valid in an address."""
    connected: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(root)
    return connected


def make_folder(folder: str) -> None:
    """Creates the folder of the results if it is missing.

    Raises:
        StoreError: it cannot be created.
    """
    filesystem, base = open_filesystem(folder)
    try:
        filesystem.create_dir(base, recursive=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be created ({error})") from None


def write_part(folder: str, run: str, batch: int, rows: Sequence[Row]) -> None:
    """Writes the results of one batch; the file appears complete or not at all.

    Args:
        folder: a path or an address that `make_folder` created.
        run: name of the run; later runs have names that sort after it.
        batch: number of the batch in the run.
        rows: the results.

    Raises:
        OSError: it cannot be written.
    """
    filesystem, base = open_filesystem(folder)
    name = f"{run}-{batch:06d}.parquet"
    records = [{**dataclasses.asdict(row), "path": _stored(row.path)} for row in rows]
    table = pa.Table.from_pylist(records, SCHEMA)
    whole = posixpath.join(base, name)
    if filesystem.type_name in _APPEARS_WHOLE:
        pq.write_table(table, whole, filesystem=filesystem, compression="zstd")
        return
    partial = posixpath.join(base, f".{name}.{os.getpid()}.partial")
    pq.write_table(table, partial, filesystem=filesystem, compression="zstd")
    filesystem.move(partial, whole)


def read_parquet(folder: str | os.PathLike[str], *, may_be_empty: bool = False) -> Iterator[Row]:
    """Streams the results in a folder, one row per picture.

    The path of a picture in an object store is its address, a ``str``.

    Args:
        folder: a path or an address.
        may_be_empty: whether a folder without results, or none, is fine.

    Raises:
        StoreError: there are no results, or a file is damaged.
    """
    filesystem, base = open_filesystem(folder)
    parts = _parts(filesystem, base)
    if not parts and not may_be_empty:
        raise no_results(folder)
    several_runs = len({_run_of(part) for part in parts}) > 1
    seen: set[str] = set()  # stays empty for one run, so that memory does not grow with it
    for part in parts:
        for columns in _read_part(filesystem, part):
            name = columns["path"]
            if several_runs:
                if name in seen:
                    continue
                seen.add(name)
            try:
                check_values(columns)
                yield _to_row(columns)
            except ForeignError as error:
                raise StoreError(f"{part}: {error}") from None


def _parts(filesystem: fs.FileSystem, base: str) -> list[str]:
    """The files of a folder: the latest run first, each in the order of its batches."""
    try:
        entries = filesystem.get_file_info(fs.FileSelector(base, allow_not_found=True))
    except OSError as error:
        raise StoreError(f"{base}: cannot be listed ({error})") from None
    parts = sorted(
        entry.path
        for entry in entries
        if entry.base_name.endswith(".parquet") and not entry.base_name.startswith(".")
    )
    return sorted(parts, key=_run_of, reverse=True)


def _run_of(part: str) -> str:
    return posixpath.basename(part).rpartition("-")[0]


def _read_part(filesystem: fs.FileSystem, part: str) -> Iterator[dict[str, Any]]:
    try:
        with filesystem.open_input_file(part) as file:
            for batch in pq.ParquetFile(file).iter_batches(columns=SCHEMA.names):
                if missing := set(_FIRST_COLUMNS) - set(batch.schema.names):
                    raise pa.ArrowInvalid(f"without {', '.join(sorted(missing))}")
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{part}: is no result of a scan, or is damaged ({error})") from None


def _to_row(columns: dict[str, Any]) -> Row:
    name, region = columns["path"], to_region(columns.get("region"))
    if columns["smoking"] is not None:
        columns.setdefault("looks", 1)  # the columns of an earlier version end before it
    path = name if is_remote(name) else Path(path_of(name))
    return Row(**{**columns, "path": path, "region": region})


def _stored(path: str | os.PathLike[str]) -> str:
    return str(path) if is_remote(path) else stored_name(path)
