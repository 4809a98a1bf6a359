"""Small pictures for the report."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tqdm import tqdm

from edge_app.export.originals import OriginalError, read_original
from edge_app.files import is_remote
from edge_app.imaging import PictureError, read_thumbnail
from edge_app.parallel import count_cores, map_ahead

LONGEST = 192
"""Longer side of a thumbnail in pixels. With `_QUALITY`, one is 3.6 KB on average."""

_QUALITY = 50  # of WebP, 0 to 100
_QUEUED_PER_WORKER = 8


def make_thumbnails(paths: Sequence[str | os.PathLike[str]]) -> Iterator[bytes]:
    """Makes thumbnails on all cores, in order, with a progress bar on a terminal.

    Threads are enough: Pillow decodes and encodes without Python's global lock.

    Yields:
        The bytes of a WebP file for each path; none where the picture cannot be read any more.
    """
    workers = count_cores()
    with ThreadPoolExecutor(workers) as pool:
        yield from tqdm(
            map_ahead(pool, _thumbnail, paths, workers * _QUEUED_PER_WORKER),
            "Thumbnails",
            total=len(paths),
            unit="picture",
            disable=None,
        )


def _thumbnail(path: str | os.PathLike[str]) -> bytes:
    try:
        source = b"".join(read_original(path)) if is_remote(path) else path
        image = read_thumbnail(source, LONGEST)
    except (PictureError, OriginalError):
        return b""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()
