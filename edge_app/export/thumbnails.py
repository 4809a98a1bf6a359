"""Small pictures for the report."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tqdm import tqdm

from edge_app.export.originals import OriginalError, read_original
from edge_app.files import is_remote
from edge_app.imaging import PictureError, read_thumbnail

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
    workers = os.cpu_count() or 1
    queued: deque[Future[bytes]] = deque()
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(paths), desc="Thumbnails", unit="picture", disable=None) as bar,
    ):
        try:
            for path in paths:
                queued.append(pool.submit(_thumbnail, path))
                if len(queued) >= workers * _QUEUED_PER_WORKER:
                    yield queued.popleft().result()
                    bar.update()
            while queued:
                yield queued.popleft().result()
                bar.update()
        finally:
            pool.shutdown(cancel_futures=True)


def _thumbnail(path: str | os.PathLike[str]) -> bytes:
    try:
        source = b"".join(read_original(path)) if is_remote(path) else path
        image = read_thumbnail(source, LONGEST)
    except (PictureError, OriginalError):
        return b""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()
