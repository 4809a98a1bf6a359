"""The folder that uploads lie in: one per process, removed by the next one if it is killed."""

from __future__ import annotations

import atexit
import contextlib
import os
import time
from pathlib import Path

from edge_app.temporary import LOCK, TemporaryFolder

_FOLDER = TemporaryFolder("smoking-web-")
UPLOADS = _FOLDER.path
"""The folder of this process."""

remove_uploads = _FOLDER.remove
atexit.register(remove_uploads)


def remove_old_uploads(folder: Path, seconds: float) -> None:
    """Deletes files that have not been written for a while, and the folders that they leave empty.

    Args:
        folder: the upload folder; it may be gone, as where a system clears ``/tmp``.
        seconds: how old a file may become.
    """
    before = time.time() - seconds
    for parent, names, files in os.walk(folder, topdown=False):
        for name in files:
            path = Path(parent, name)
            with contextlib.suppress(OSError):  # it is gone already
                if name != LOCK and path.stat().st_mtime < before:
                    path.unlink()
        for name in names:
            with contextlib.suppress(OSError):  # not empty
                path = Path(parent, name)
                if path.stat().st_mtime < before:
                    path.rmdir()
