"""Small pictures for the report."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from edge_app.export.originals import OriginalError, has_changed, read_original
from edge_app.export.tracking import Track, untracked
from edge_app.files import is_remote
from edge_app.imaging import PictureError, read_thumbnail
from edge_app.parallel import count_cores, map_ahead
from edge_app.scan.rows import Row

LONGEST = 192
"""Longer side of a thumbnail in pixels. With `_QUALITY`, one is 3.6 KB on average."""

_QUALITY = 50  # of WebP, 0 to 100
_QUEUED_PER_WORKER = 8


def make_thumbnails(rows: Sequence[Row], track: Track = untracked) -> Iterator[bytes]:
    """Makes thumbnails on all cores, in order.

    Where a picture was looked at again, the region is drawn.

    Threads are enough: Pillow decodes and encodes without Python's global lock.

    Yields:
        The bytes of a WebP file for each row; none where the picture can no longer be read.
    """
    workers = count_cores()
    with ThreadPoolExecutor(workers) as pool:
        made = map_ahead(pool, _thumbnail, rows, workers * _QUEUED_PER_WORKER)
        yield from track(made, "Thumbnails", len(rows))


def _thumbnail(row: Row) -> bytes:
    try:
        source = b"".join(read_original(row.path)) if is_remote(row.path) else row.path
        # The region is one of the picture that was scanned.
        region = None if has_changed(row) else row.region
        image = read_thumbnail(source, LONGEST, region)
    except (PictureError, OriginalError):
        return b""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()
