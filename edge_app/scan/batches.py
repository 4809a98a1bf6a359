"""Lists the pictures in folders and object stores, and cuts the list into batches for workers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pyarrow import fs

from edge_app.files import is_remote
from edge_app.formats import EXTENSIONS
from edge_app.scan.errors import StoreError
from edge_app.scan.parquet import open_filesystem
from edge_app.scan.rows import FileState
from edge_app.scan.selection import Selection
from edge_app.scan.walk import resolve_roots, walk

_BATCH_BYTES = 1 << 30
_BATCH_PICTURES = 2000
"""Upper limits of a batch: about 10 seconds of work, which is lost when a worker dies."""

_BATCHES_PER_WORKER = 8
"""Lower limit, so that no worker is idle for long at the end of a small scan."""


class Listed(NamedTuple):
    """A picture to classify, or a folder that cannot be listed.

    Attributes:
        path: as the file system knows it, or an address.
        state: its size and modification time.
        error: why a folder could not be listed, else None.
    """

    path: str
    state: FileState
    error: str | None = None


def list_pictures(sources: Sequence[str], selection: Selection) -> Iterator[Listed]:
    """Lists the pictures below folders on this machine, and below addresses.

    On this machine pictures are detected by content; in an object store, where that would take a
    download, by extension.

    Raises:
        edge_app.scan.StoreError: an address cannot be listed.
    """
    here = (source for source in sources if not is_remote(source))
    for found in walk(resolve_roots(here, selection), selection):
        if found.state is not None or found.error:
            yield Listed(found.path, found.state or FileState(0, 0), found.error)
    for source in filter(is_remote, sources):
        yield from _list_remote(source, selection)


def _list_remote(source: str, selection: Selection) -> Iterator[Listed]:
    filesystem, base = open_filesystem(source)
    try:
        entries = filesystem.get_file_info(fs.FileSelector(base.rstrip("/"), recursive=True))
    except (OSError, UnicodeDecodeError) as error:  # addresses are UTF-8, file names need not be
        raise StoreError(f"{source}: cannot be listed ({error})") from None
    for entry in entries:
        below = entry.path[len(base.rstrip("/")) :].lstrip("/")
        if not entry.is_file or f".{entry.extension.lower()}" not in EXTENSIONS:
            continue
        modified_ns = entry.mtime_ns or 0
        if selection.since_ns is not None and modified_ns < selection.since_ns:
            continue
        if selection.takes(below):
            yield Listed(f"{source.rstrip('/')}/{below}", FileState(entry.size or 0, modified_ns))


def cut_batches(pictures: Sequence[Listed], workers: int) -> list[dict[str, object]]:
    """Cuts the list into batches of limited bytes and pictures.

    Returns:
        For each batch its number, and lists of the same length: ``paths`` as bytes, ``sizes``,
        ``modified_ns``, and ``errors``, empty except for folders that cannot be listed.
    """
    parts = workers * _BATCHES_PER_WORKER
    total = sum(picture.state.size for picture in pictures)
    most_bytes = min(_BATCH_BYTES, total // parts + 1)
    most_pictures = min(_BATCH_PICTURES, len(pictures) // parts + 1)
    cut: list[list[Listed]] = []
    size = 0
    for picture in pictures:
        size += picture.state.size
        if not cut or size > most_bytes or len(cut[-1]) >= most_pictures:
            cut.append([])
            size = picture.state.size
        cut[-1].append(picture)
    return [
        {
            "batch": number,
            "paths": [os.fsencode(picture.path) for picture in part],
            "sizes": [picture.state.size for picture in part],
            "modified_ns": [picture.state.modified_ns for picture in part],
            "errors": [picture.error or "" for picture in part],
        }
        for number, part in enumerate(cut)
    ]
