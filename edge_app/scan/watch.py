"""Watches folders and classifies new files as they arrive."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_app.classifier import ModelInfo, Prediction
from edge_app.scan.folder_watch import FolderWatch, WatchError
from edge_app.scan.progress import Progress
from edge_app.scan.rows import FileState
from edge_app.scan.scanner import Scan
from edge_app.scan.selection import Selection
from edge_app.scan.summary import Summary
from edge_app.scan.walk import Entry, count_names, resolve_roots, walk, walk_again
from edge_app.scan.workers import Done

__all__ = ["Arrivals", "WatchError", "run_watch"]

_log = logging.getLogger(__name__)

_QUIET_SECONDS = 0.5
"""A file that was closed after writing is complete if nothing happens for this long."""
_STABLE_SECONDS = 2.0
"""The same if the system did not report that it was closed."""
_GIVE_UP_SECONDS = 30.0
"""A file that cannot be read completely is retried until it has not changed for this long."""
_TICK_SECONDS = 0.2


def run_watch(
    folders: Sequence[str | os.PathLike[str]],
    db: Path,
    info: ModelInfo,
    workers: int | None = None,
    *,
    selection: Selection | None = None,
    rescan: bool = False,
    prune: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    on_result: Callable[[Done], None] = lambda done: None,
) -> Summary:
    """As `edge_app.scan.run_scan`; then classifies new files as they arrive, until Ctrl-C.

    Args:
        folders: the folders, with everything below them.
        db: the SQLite file; created if missing.
        info: of the classifier to use.
        workers: number of threads, each with its own interpreter; None for one per core.
        selection: which files are scanned; None for all pictures that are not hidden.
        rescan: at the start, classify again what the database already holds.
        prune: remove the results of files that no longer exist, also when they go later.
        force: prune at the start even if so many are gone that a disk may not be mounted.
        progress: shows the numbers meanwhile; None for nothing.
        on_result: called with the result of each file that arrives.

    Raises:
        edge_app.scan.StoreError: the database cannot be used.
        WatchError: the folders cannot be watched.
    """
    selection = selection or Selection()
    roots = resolve_roots(folders, selection)
    arrivals = Arrivals(roots, selection)

    watching = False

    def is_final(done: Done) -> bool:
        if arrivals.may_still_grow(done):
            return False
        if watching:
            on_result(done)
        return True

    # First watch, then walk: what arrives in between is seen twice, which costs nothing.
    with arrivals, Scan(db, info, workers, progress=progress, on_result=is_final) as scan:
        try:
            scan.run(walk(roots, selection), count_names(roots, selection), rescan=rescan)
            if prune:
                scan.prune(roots, force=force)
                if scan.summary.kept:
                    _log.warning(scan.summary.kept)
            _log.info("Watching for new pictures; stop with Ctrl-C.")
            watching = True
            if progress:
                progress.watching = True
            while True:
                if returned := arrivals.take_returned():
                    scan.run(walk(returned, selection))
                    if prune:
                        scan.prune(returned, force=force)
                whole = list(arrivals.take_whole())
                if whole:
                    scan.run(whole)
                gone = arrivals.take_gone()
                if prune and gone:  # it was seen to go
                    scan.prune(gone, force=all(map(os.path.isdir, roots)))
                scan.keep_up()
                scan.wait(_TICK_SECONDS)
        except KeyboardInterrupt:
            scan.summary.interrupted = True
    return scan.summary


@dataclass
class _Pending:
    """A file that may not be whole yet: its root, what it was, and since when (monotonic)."""

    root: str
    state: FileState
    since: float
    closed: bool = False


class Arrivals:
    """Files that arrived and are not scanned yet. Use it in a ``with`` block."""

    def __init__(self, roots: Sequence[str], selection: Selection):
        self._roots = roots
        self._selection = selection
        self._pending: dict[str, _Pending] = {}
        self._gone: set[str] = set()
        self._lock = threading.Lock()
        self._watch = FolderWatch(roots, selection, lambda *where: _Handler(self, *where))

    def __enter__(self) -> Arrivals:
        self._watch.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.__exit__()

    def note(self, root: str, path: str, closed: bool) -> None:
        """Something happened to a file or folder."""
        if os.path.isdir(path):
            self._watch.note_folder(root, path)
            for entry in walk_again(root, path, self._selection):
                if entry.state:
                    self._note_file(root, entry.path, closed)
        elif self._selection.takes(os.path.relpath(path, root), root):
            self._note_file(root, path, closed)

    def note_gone(self, path: str) -> None:
        """A file or folder was removed or moved elsewhere."""
        with self._lock:
            self._pending.pop(path, None)
            self._gone.add(path)

    def may_still_grow(self, done: Done) -> bool:
        """Retries a file that could not be read completely, if it was written just now."""
        age = time.time() - done.job.state.modified_ns / 1e9
        if not 0 <= age < _GIVE_UP_SECONDS:
            return False
        if isinstance(done.result, Prediction) and not done.result.incomplete:
            return False
        if os.path.isdir(done.job.path):
            return False
        root = next(r for r in self._roots if Path(done.job.path).is_relative_to(r))
        self._note_file(root, done.job.path, closed=False)
        return True

    def take_returned(self) -> list[str]:
        """Roots that were gone, or replaced by another folder, and are watched again."""
        found = self._watch.check()
        for root, path in found:
            if path != root:
                self.note(root, path, closed=False)
        return [path for root, path in found if path == root]

    def take_gone(self) -> list[str]:
        """Files and folders that went since the last call."""
        with self._lock:
            gone, self._gone = self._gone, set()
        return list(gone)

    def take_whole(self) -> Iterator[Entry]:
        """Yields the files that seem whole by now, each once."""
        for path, pending in self._find_whole():
            yield from walk_again(pending.root, path, self._selection)

    def _find_whole(self) -> list[tuple[str, _Pending]]:
        now = time.monotonic()
        whole = []
        with self._lock:
            for path, pending in list(self._pending.items()):
                state = FileState.of(path)
                quiet = _QUIET_SECONDS if pending.closed else _STABLE_SECONDS
                if state != pending.state:
                    pending.state, pending.since = state, now
                elif now - pending.since >= quiet:
                    whole.append((path, self._pending.pop(path)))
        return whole

    def _note_file(self, root: str, path: str, closed: bool) -> None:
        pending = _Pending(root, FileState.of(path), time.monotonic(), closed)
        with self._lock:
            self._gone.discard(path)
            self._pending[path] = pending


class _Handler:
    """What watchdog calls, from threads of its own."""

    def __init__(self, arrivals: Arrivals, root: str, path: str, real: str):
        """``path`` is how the walk of ``root`` names the folder that is watched at ``real``."""
        self._arrivals, self._root, self._path, self._real = arrivals, root, path, real

    def dispatch(self, event: Any) -> None:
        path, kind = self._named(event.src_path), event.event_type
        if path == self._path and kind in ("deleted", "moved"):
            return  # perhaps of a disk that comes back
        if kind == "deleted":
            self._arrivals.note_gone(path)
        elif kind == "moved":
            self._arrivals.note_gone(path)
            if event.dest_path:
                self._arrivals.note(self._root, self._named(event.dest_path), closed=True)
        elif kind == "closed" or (kind == "modified" and not event.is_directory):
            self._arrivals.note(self._root, path, closed=kind == "closed")
        elif kind == "created":
            self._arrivals.note(self._root, path, closed=False)

    def _named(self, path: str | bytes) -> str:
        """The path as the walk has it."""
        name = os.fsdecode(path)
        if name != self._real and not name.startswith(os.path.join(self._real, "")):
            return name
        return self._path + name[len(self._real) :]
