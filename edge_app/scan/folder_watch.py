"""Has the system report changes in folders, also in linked ones and in those that went and return.

The system watches a folder and not its path: once a disk is unplugged or a folder is renamed or
replaced, nothing more is reported. So the paths are looked at once per second.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_app.files import printable
from edge_app.invocation import install_hint
from edge_app.scan.selection import Selection
from edge_app.scan.walk import linked_folders

_log = logging.getLogger(__name__)

_CHECK_SECONDS = 1.0


class WatchError(Exception):
    """The folders cannot be watched; the message says what to do."""


@dataclass
class _Folder:
    """A root or linked folder: its path as the walk has it, and what is watched there, if it is."""

    root: str
    path: str
    place: tuple[int, int] | None = None
    watch: Any = None
    lost: bool = False
    mounted: bool = False

    @property
    def is_root(self) -> bool:
        return self.path == self.root


class FolderWatch:
    """Watches roots and what is linked below them. Use it in a ``with`` block."""

    def __init__(
        self, roots: Sequence[str], selection: Selection, handler: Callable[[str, str, str], Any]
    ):
        """Watches nothing yet.

        Args:
            roots: absolute paths of folders.
            selection: whether links are followed, and which.
            handler: makes watchdog's handler for the changes below a real path, from the root, the
                path as the walk has it, and that real path.

        Raises:
            WatchError: watchdog is not installed.
        """
        try:
            from watchdog.observers import Observer
        except ImportError:
            raise WatchError(f"--watch needs watchdog: {install_hint('watch')}") from None
        self._roots, self._selection, self._handler = roots, selection, handler
        self._observer = Observer()
        self._folders = {root: _Folder(root, root) for root in roots}
        self._lock = threading.Lock()
        self._new: list[tuple[str, str]] = []
        self._next_check = 0.0

    def __enter__(self) -> FolderWatch:
        for root in self._roots:
            if not os.path.isdir(root):
                raise WatchError(f"{printable(root)}: only folders can be watched")
        self._observer.start()
        try:
            for root in self._roots:
                self._watch(self._folders[root])
                for folder in self._add_links(root, root):
                    self._watch(folder)
        except OSError as error:
            self.__exit__()
            raise WatchError(_limit(error)) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._observer.stop()
        self._observer.join(timeout=10)

    def note_folder(self, root: str, path: str) -> None:
        """A folder, or a link to one, is new: links in it are watched from the next check on."""
        if self._selection.follow_symlinks:
            with self._lock:
                self._new.append((root, path))

    def check(self) -> list[tuple[str, str]]:
        """Watches what is new or back; does nothing if the last time was just now.

        Returns:
            The root and the path of each folder that is watched from now on, and was not before.
        """
        if time.monotonic() < self._next_check:
            return []
        self._next_check = time.monotonic() + _CHECK_SECONDS
        with self._lock:
            new, self._new = self._new, []
        for root, path in new:
            self._add_links(root, path)
        alive = {emitter.watch for emitter in self._observer.emitters if emitter.is_alive()}
        found = []
        for folder in list(self._folders.values()):
            place = _place(folder.path)
            if folder.mounted and not os.path.ismount(os.path.realpath(folder.path)):
                place = None  # what is left of an unplugged disk is an empty folder
            if folder.watch in alive and place == folder.place:
                continue
            self._lose(folder)
            if place is None:
                if not folder.is_root and not os.path.islink(folder.path):
                    del self._folders[folder.path]
            elif self._resume(folder):
                found.append((folder.root, folder.path))
                if folder.is_root:
                    self.note_folder(folder.root, folder.path)
        return found

    def _add_links(self, root: str, path: str) -> list[_Folder]:
        """Takes up the linked folders at a path and below it that no other watch covers."""
        if not self._selection.follow_symlinks:
            return []
        added = []
        covered = [os.path.realpath(folder.path) for folder in self._folders.values()]
        for link in linked_folders(root, path, self._selection):
            real = os.path.realpath(link)
            if not any(real == other or real.startswith(other + os.sep) for other in covered):
                self._folders[link] = folder = _Folder(root, link)
                covered.append(real)
                added.append(folder)
        return added

    def _watch(self, folder: _Folder) -> None:
        real = os.path.realpath(folder.path)
        folder.place = _place(real)
        folder.mounted = folder.mounted or os.path.ismount(real)
        handler = self._handler(folder.root, folder.path, real)
        folder.watch = self._observer.schedule(handler, real, recursive=True)

    def _lose(self, folder: _Folder) -> None:
        if folder.watch is None:
            return
        self._observer.unschedule(folder.watch)
        folder.watch, folder.lost = None, True
        if folder.is_root:
            _log.warning("%s is gone; waiting until it is back.", printable(folder.path))

    def _resume(self, folder: _Folder) -> bool:
        was_lost, folder.lost = folder.lost, True
        try:
            self._watch(folder)
        except OSError as error:
            if not was_lost and os.path.isdir(folder.path):
                _log.warning("%s: %s", printable(folder.path), _limit(error))
            return False
        folder.lost = False
        if folder.is_root:
            _log.warning("%s is back; watching it again.", printable(folder.path))
        return True


def _place(path: str) -> tuple[int, int] | None:
    """Device and inode of the folder at a path; None if it is missing."""
    try:
        status = os.stat(os.path.join(path, os.curdir))
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _limit(error: OSError) -> str:
    return (
        f"the system watches no more folders ({error.strerror}); raise the limit with: "
        "sudo sysctl fs.inotify.max_user_watches=1000000"
    )
