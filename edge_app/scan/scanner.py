"""Scans folder trees: a thread walks, some classify, and the caller's writes and shows progress.

Everything between them is bounded, so memory does not grow with the number of files.
"""

from __future__ import annotations

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
from edge_app.scan.progress import Progress
from edge_app.scan.rows import FileState, Row
from edge_app.scan.store import PruneError, Store, StoreBusyError
from edge_app.scan.summary import Summary
from edge_app.scan.walk import Entry, Selection, count_names, resolve_roots, walk
from edge_app.scan.workers import Done, Job, Workers

COMMIT_SECONDS = 1.0
"""How much work a power failure may cost, and how often others see news."""
PATIENCE_SECONDS = 60.0
"""How long a full disk or a locked database is waited for."""
_RETRY_SECONDS = 2.0
_TICK_SECONDS = 0.2


def run_scan(
    folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    db: Path,
    info: ModelInfo,
    workers: int | None = None,
    *,
    selection: Selection | None = None,
    rescan: bool = False,
    prune: bool = False,
    force: bool = False,
) -> Summary:
    """Scans folders into a database, with a progress bar on a terminal.

    Pictures whose result is there already, by the same model and threshold, are left alone.
    Ctrl-C ends it cleanly: what was done is kept.

    Args:
        folders: folders or pictures, one or several.
        db: the SQLite file; made where there is none.
        info: of the classifier to use.
        workers: threads, each with an interpreter of its own; None for one a core.
        selection: which files are scanned; None for all pictures that are not hidden.
        rescan: classify also those whose result is there.
        prune: remove the results of files below the folders that are no longer there.
        force: also where so many are gone that a disk may not be mounted.

    Raises:
        edge_app.scan.StoreError: the database cannot be used.
    """
    roots = resolve_roots([folders] if isinstance(folders, (str, os.PathLike)) else folders)
    selection = selection or Selection()
    with Scan(db, info, workers) as scan:
        try:
            scan.run(walk(roots, selection), count_names(roots, selection), rescan=rescan)
            if prune:
                scan.prune(roots, force=force)
        except KeyboardInterrupt:
            scan.summary.interrupted = True
    return scan.summary


@dataclass
class _Feed:
    """How many results will come of a walk, and whether that is the last word."""

    count: int = 0
    finished: bool = False


class Scan:
    """One scan into a database: its workers, its display, its numbers. Use it in a ``with`` block.

    Attributes:
        store: the database.
        summary: what was done so far.
        progress: where it is shown.
    """

    def __init__(
        self,
        db: Path,
        info: ModelInfo,
        workers: int | None = None,
        *,
        on_result: Callable[[Done], bool] = lambda done: True,
    ):
        """Opens the database.

        Args:
            db: the SQLite file; made where there is none.
            info: of the classifier to use.
            workers: threads, each with an interpreter of its own; None for one a core.
            on_result: called with each result; where it says False, the result is forgotten.

        Raises:
            edge_app.scan.StoreError: the database cannot be used.
        """
        self.summary = Summary(db=db, labels=(info.decision.label, info.other_label))
        self.store = Store(db)
        self.progress = Progress(self.summary)
        self._info = info
        self._workers = Workers(info, workers)
        self._on_result = on_result
        self._start = time.monotonic()
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
            self.progress.close()
            self.store.close()
            self.summary.seconds = time.monotonic() - self._start

    def run(
        self, entries: Iterable[Entry], counts: Iterable[int] = (), *, rescan: bool = False
    ) -> None:
        """Classifies and writes what a walk finds, until it ends.

        Args:
            entries: what is found.
            counts: how many entries there will be, better known with each number; for the display.
            rescan: classify also what the database holds already.
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
        """Writes what is due and brings the display up to date."""
        if self.store.unwritten and time.monotonic() - self._last_commit >= COMMIT_SECONDS:
            self.commit()
        self.progress.show()

    def prune(self, roots: Iterable[str], *, force: bool) -> None:
        """Removes the results of files that are gone; the summary says how many, or why not."""
        try:
            self.summary.pruned += self.store.prune(roots, force=force)
        except PruneError as error:
            self.summary.kept = str(error)

    def commit(self) -> None:
        """Writes the results so far; waits a while where the disk is full or the file locked.

        Raises:
            edge_app.scan.StoreError: it is still so after `PATIENCE_SECONDS`, or for good.
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
                    self.progress.say(f"{error}; waiting {PATIENCE_SECONDS:.0f} s for a change")
                waiting = True
                time.sleep(_RETRY_SECONDS)
        if waiting:
            self.progress.say("Going on; nothing was lost.")
        self._last_commit = time.monotonic()

    def _take(self, done: Done) -> None:
        """Counts and notes one result."""
        if done.result is None or not self._on_result(done):
            return
        self.store.put(done.job.path, done.job.state, self._info, done.result)
        if isinstance(done.result, PictureError):
            self.summary.unreadable += 1
            self.progress.say(f"{printable(done.job.path)}: {done.result}")
        elif done.relabelled:
            self.summary.relabelled += 1
        else:
            self.summary.scanned += 1
            self.summary.looked_again += done.result.looks > 1
            self.summary.smoking += done.result.label == self._info.decision.label

    def _feed(self, entries: Iterable[Entry], rescan: bool, feed: _Feed) -> None:
        """Hands what a walk finds to the workers; runs in a thread of its own."""
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
        """The row of a picture whose score stands."""
        row = self.store.find(path)
        return row if row and row.is_scored_by(self._info, state) else None

    def _count(self, counts: Iterable[int]) -> None:
        count = None
        for total in counts:
            if self._workers.stopped:
                return
            count = total
        self.progress.total = count
