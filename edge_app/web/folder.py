"""The folder that uploads lie in: one per process, locked while the process lives.

A process that is killed cannot remove its folder. The next one that starts removes every folder
whose lock nobody holds.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import IO

_PREFIX = "smoking-web-"
_LOCK = ".lock"
_YOUNG_SECONDS = 60
"""A folder without a lock may belong to a process that is just starting."""


def _lock(path: Path) -> IO[bytes] | None:
    """Opens and locks a file; None where another process holds the lock."""
    file = path.open("ab")
    try:
        import fcntl
    except ImportError:  # Windows, where an open file cannot be deleted: that is lock enough
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def remove_dead_folders(parent: Path) -> None:
    """Removes the upload folders of processes that no longer run."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's folder, or somebody else was faster
            lock = folder / _LOCK
            if not lock.exists():
                if time.time() - folder.stat().st_mtime > _YOUNG_SECONDS:
                    shutil.rmtree(folder)
            elif (held := _lock(lock)) is not None:
                held.close()
                lock.unlink()  # fails on Windows while its process lives
                shutil.rmtree(folder)


def _make_folder() -> tuple[Path, IO[bytes] | None]:
    remove_dead_folders(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
    return folder, _lock(folder / _LOCK)


def remove_uploads() -> None:
    """Removes this process's folder; safe to call twice."""
    if _held is not None:
        _held.close()
    shutil.rmtree(UPLOADS, ignore_errors=True)


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
                if name != _LOCK and path.stat().st_mtime < before:
                    path.unlink()
        for name in names:
            with contextlib.suppress(OSError):  # not empty
                path = Path(parent, name)
                if path.stat().st_mtime < before:
                    path.rmdir()


UPLOADS, _held = _make_folder()
"""The folder of this process."""
atexit.register(remove_uploads)
