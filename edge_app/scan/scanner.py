"""Scans folders: one thread walks, others classify, and the caller's writes the results.

All queues between them have a limit, so memory does not grow with the number of files.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_app.classifier import ModelInfo
from edge_app.files import printable
from edge_app.imaging import PictureError
from edge_app.scan.errors import PruneError, StoreBusyError
from edge_app.scan.progress import Progress
from edge_app.scan.rows import FileState, Row
from edge_app.scan.selection import Selection
from edge_app.scan.store import Store
from edge_app.scan.summary import Summary
from edge_app.scan.walk import Entry, count_names, resolve_roots, walk
from edge_app.scan.workers import Done, Job, Workers

_log = logging.getLogger(__name__)

COMMIT_SECONDS = 1.0
"""How much work a power failure may cost."""
PATIENCE_SECONDS = 60.0
"""How long to wait for a full disk or a locked database."""
_RETRY_SECONDS = 2.0
_TICK_SECONDS = 0.2


def run_scan(
    folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    db: str | os.PathLike[str],
    info: ModelInfo,
    workers: int | None = None,
    *,
    selection: Selection | None = None,
    rescan: bool = False,
    prune: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Scans folders into a database.

    Pictures that the same model has scored already are not read again. Ctrl-C stops it and keeps
    all results.

    Args:
        folders: folders or pictures, one or several.
        db: the SQLite file; created if missing.
        info: of the classifier to use.
        workers: number of threads, each with its own interpreter; None for one per core.
        selection: which files are scanned; None for all pictures that are not hidden.
        rescan: classify again what the database already holds.
        prune: remove the results of files below the folders that no longer exist.
        force: prune even if so many are gone that a disk may not be mounted.
        progress: shows the numbers meanwhile; None for nothing.

    Raises:
        edge_app.scan.StoreError: the database cannot be used.
    """
    selection = selection or Selection()
    named = [folders] if isinstance(folders, (str, os.PathLike)) else folders
    roots = resolve_roots(named, selection)
    with Scan(db, info, workers, progress=progress) as scan:
        try:
            scan.run(walk(roots, selection), count_names(roots, selection), rescan=rescan)
            if prune:
                scan.prune(roots, force=force)
        except KeyboardInterrupt:
            scan.summary.interrupted = True
    return scan.summary


@dataclass
class _Feed:
    """How many results a walk will give, and whether that number is final."""

    count: int = 0
    finished: bool = False


class Scan:
    """One scan into a database. Use it in a ``with`` block.

    Attributes:
        store: the database.
        summary: what was done so far.
    """

    def __init__(
        self,
        db: str | os.PathLike[str],
        info: ModelInfo,
        workers: int | None = None,
        *,
        progress: Progress | None = None,
        on_result: Callable[[Done], bool] = lambda done: True,
    ):
        """Opens the database.

        Args:
            db: the SQLite file; created if missing.
            info: of the classifier to use.
            workers: number of threads, each with its own interpreter; None for one per core.
            progress: shows the numbers meanwhile; None for nothing.
            on_result: called with each result; if it returns False, the result is dropped.

        Raises:
            edge_app.scan.StoreError: the database cannot be used.
        """
        self.summary = Summary(db=Path(db), labels=(info.decision.label, info.other_label))
        self.store = Store(Path(db))
        self._progress = progress or Progress()
        self._info = info
        self._workers = Workers(info, workers)
        self._on_result = on_result
        self._start = time.monotonic()
        self._waited = 0.0
        self._last_commit = -math.inf  # the first result is written at once

    def __enter__(self) -> Scan:
        self._workers.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._workers.stop()
            for done in self._workers.drain():
                self._take(done)
        finally:
            self._progress.close(self.summary)
            self.store.close()
            self.summary.seconds = time.monotonic() - self._start - self._waited

    def run(
        self, entries: Iterable[Entry], counts: Iterable[int] = (), *, rescan: bool = False
    ) -> None:
        """Classifies everything that a walk finds, and writes the results.

        Args:
            entries: what the walk finds.
            counts: estimates of the number of entries, each better than the one before.
            rescan: classify again what the database already holds.
        """
        feed = _Feed()
        threading.Thread(target=self._feed, args=(entries, rescan, feed), daemon=True).start()
        if counts:
            threading.Thread(target=self._count, args=(counts,), daemon=True).start()
        fetched = 0
        while not (feed.finished and fetched == feed.count):
            done = self._workers.get(_TICK_SECONDS)
            if done:
                fetched += 1
                self._take(done)
            self.keep_up()
        self.commit()

    def keep_up(self) -> None:
        """Writes what is due and shows the numbers."""
        if self.store.unwritten and time.monotonic() - self._last_commit >= COMMIT_SECONDS:
            self.commit()
        self._progress.show(self.summary)

    def wait(self, seconds: float) -> None:
        """Does nothing for this long; it does not count as time of the scan."""
        start = time.monotonic()
        try:
            time.sleep(seconds)
        finally:  # Ctrl-C mostly comes here
            self._waited += time.monotonic() - start

    def prune(self, roots: Iterable[str], *, force: bool) -> None:
        """Removes the results of files that no longer exist; the summary has the number."""
        try:
            self.summary.pruned += self.store.prune(roots, force=force)
        except PruneError as error:
            self.summary.kept = str(error)

    def commit(self) -> None:
        """Writes the results so far; waits if the disk is full or the file is locked.

        Raises:
            edge_app.scan.StoreError: that lasts longer than `PATIENCE_SECONDS`, or forever.
        """
        start = time.monotonic()
        waiting = False
        while True:
            try:
                self.store.commit()
                break
            except StoreBusyError as error:
                if time.monotonic() - start > PATIENCE_SECONDS:
                    raise
                if not waiting:
                    _log.warning("%s; waiting up to %.0f s", error, PATIENCE_SECONDS)
                waiting = True
                time.sleep(_RETRY_SECONDS)
        if waiting:
            _log.warning("Writing again; nothing was lost.")
        self._last_commit = time.monotonic()

    def _take(self, done: Done) -> None:
        """Counts and stores one result."""
        if done.result is None or not self._on_result(done):
            return
        self.store.put(done.job.path, done.job.state, self._info, done.result)
        if isinstance(done.result, PictureError):
            self.summary.unreadable += 1
            _log.warning("%s: %s", printable(done.job.path), done.result)
        elif done.relabelled:
            self.summary.relabelled += 1
        else:
            self.summary.scanned += 1
            self.summary.looked_again += done.result.looks > 1
            self.summary.smoking += done.result.label == self._info.decision.label

    def _feed(self, entries: Iterable[Entry], rescan: bool, feed: _Feed) -> None:
        """Passes what a walk finds to the workers; runs in its own thread."""
        try:
            for path, state, error, skipped in entries:
                if self._workers.stopped:
                    return
                if skipped:
                    self.summary.skipped[skipped] += 1
                elif error:
                    feed.count += 1
                    job = Job(path, state or FileState(0, 0))
                    self._workers.report(Done(job, PictureError(error)))
                elif state is None:
                    self.summary.other += 1
                elif rescan or not (kept := self._kept(path, state)):
                    feed.count += 1
                    self._workers.put(Job(path, state))
                elif prediction := kept.relabelled(self._info):
                    feed.count += 1
                    self._workers.report(Done(Job(path, state), prediction, relabelled=True))
                else:
                    self.summary.unchanged += 1
        except BaseException as error:
            self._workers.fail(error)
        finally:
            feed.finished = True
            self._workers.wake()

    def _kept(self, path: str, state: FileState) -> Row | None:
        """The row of a picture, if its score is still valid."""
        row = self.store.find(path)
        return row if row and row.is_scored_by(self._info, state) else None

    def _count(self, counts: Iterable[int]) -> None:
        count = None
        for total in counts:
            if self._workers.stopped:
                return
            count = total
        self._progress.total = count
