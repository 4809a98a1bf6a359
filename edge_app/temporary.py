"""Temporary folders, which go also where their process was killed.

A process that is killed cannot remove its folder. It holds a lock in it while it lives, so the next
one that makes such a folder removes every one whose lock nobody holds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

LOCK = ".lock"
"""Name of the file that is locked; the rest of a folder is the caller's."""
_YOUNG_SECONDS = 60
"""A folder without a lock may belong to a process that is just starting."""


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Makes a folder for the time of the block.

    Args:
        prefix: what its name begins with. Folders that begin likewise and belong to processes that
            no longer run are removed first.

    Raises:
        OSError: there is no place that can be written.
    """
    folder = TemporaryFolder(prefix)
    try:
        yield folder.path
    finally:
        folder.remove()


class TemporaryFolder:
    """As `temporary_folder`, until it is removed."""

    def __init__(self, prefix: str):
        remove_dead_folders(Path(tempfile.gettempdir()), prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
        self._process = os.getpid()
        self._held: IO[bytes] | None = None
        try:
            self._held = _lock(self.path / LOCK)
        except OSError:
            self.remove()
            raise

    def remove(self) -> None:
        """Removes it; safe to call twice. A process that was forked off does nothing."""
        if self._process == os.getpid():
            if self._held is not None:
                self._held.close()
            shutil.rmtree(self.path, ignore_errors=True)


def remove_dead_folders(parent: Path, prefix: str) -> None:
    """Removes the folders of processes that no longer run.

    Args:
        parent: where they are.
        prefix: what their names begin with.
    """
    for folder in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # somebody else was faster
            if hasattr(os, "getuid") and folder.lstat().st_uid != os.getuid():
                continue
            lock = folder / LOCK
            if not lock.exists():
                if time.time() - folder.stat().st_mtime > _YOUNG_SECONDS:
                    shutil.rmtree(folder)
            elif (held := _lock(lock)) is not None:
                held.close()
                lock.unlink()  # fails on Windows while its process lives
                shutil.rmtree(folder)


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
