"""Walks a folder tree and classifies what is new, on all cores."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from edge_app.classifier import Classifier, ModelInfo, Prediction
from edge_app.files import printable
from edge_app.imaging import PictureError, find_pictures
from edge_app.scan.store import FileState, Store

_COMMIT_SECONDS = 1.0
_QUEUED_PER_WORKER = 4


@dataclass
class Summary:
    """What a scan did.

    Attributes:
        db: where the results are.
        labels: the label looked for, and the other one.
        scanned: pictures classified in this run.
        smoking: how many of those are Smoking.
        unreadable: files that could not be read in this run.
        unchanged: pictures left alone, since their result was there already.
        seconds: how long it took.
        interrupted: whether it was stopped before the end.
    """

    db: Path
    labels: tuple[str, str]
    scanned: int = 0
    smoking: int = 0
    unreadable: int = 0
    unchanged: int = 0
    seconds: float = 0.0
    interrupted: bool = False

    def text(self) -> str:
        """The summary for people."""
        rate = self.scanned / self.seconds if self.seconds else 0.0
        return (
            f"{self.scanned} pictures scanned in {self.seconds:.1f} s ({rate:.0f} a second): "
            f"{self.smoking} {self.labels[0]}, {self.scanned - self.smoking} {self.labels[1]}\n"
            f"{self.unreadable} unreadable, {self.unchanged} unchanged since an earlier scan\n"
            f"Results: {self.db}"
        )


def run_scan(folder: Path, db: Path, info: ModelInfo, workers: int | None = None) -> Summary:
    """Scans a folder into a database, with a progress bar on a terminal.

    Pictures whose result is there already, by the same model and threshold, are left alone.
    Ctrl-C ends it cleanly: what was done is kept.

    Args:
        folder: a folder, or one picture.
        db: the SQLite file; made where there is none.
        info: of the classifier to use.
        workers: threads, each with an interpreter of its own; None for one a core.

    Raises:
        edge_app.scan.StoreError: the database cannot be used.
    """
    summary = Summary(db, (info.decision.label, info.other_label))
    start = last_commit = time.monotonic()
    folder = folder.resolve()
    with Store(db) as store:
        pictures = _new_pictures(folder, store, info, summary)
        with tqdm(desc="Scanning", unit="picture", disable=None) as bar:
            try:
                bar.total = sum(1 for _ in find_pictures(folder))
                for path, state, result in _classify_all(pictures, info, workers):
                    store.put(path, state, info, result)
                    _count(summary, path, info, result)
                    if time.monotonic() - last_commit > _COMMIT_SECONDS:
                        store.commit()
                        last_commit = time.monotonic()
                    bar.set_postfix(
                        smoking=summary.smoking, unreadable=summary.unreadable, refresh=False
                    )
                    bar.update(summary.scanned + summary.unreadable + summary.unchanged - bar.n)
                bar.update(bar.total - bar.n)
            except KeyboardInterrupt:
                summary.interrupted = True
    summary.seconds = time.monotonic() - start
    return summary


def _new_pictures(
    folder: Path, store: Store, info: ModelInfo, summary: Summary
) -> Iterator[tuple[Path, FileState]]:
    for path in find_pictures(folder):
        state = FileState.of(path)
        if store.is_current(path, state, info):
            summary.unchanged += 1
        else:
            yield path, state


def _classify_all(
    pictures: Iterable[tuple[Path, FileState]], info: ModelInfo, workers: int | None
) -> Iterator[tuple[Path, FileState, Prediction | PictureError]]:
    """Classifies in parallel, in order, holding no more than a few pictures at a time.

    Threads are enough: Pillow decodes and the interpreter runs without Python's global lock.
    """
    workers = workers or os.cpu_count() or 1
    own = threading.local()

    def start_worker() -> None:
        own.classifier = Classifier(info.path, threshold=info.decision.threshold)

    def classify(path: Path) -> Prediction | PictureError:
        try:
            return own.classifier.classify(path)
        except PictureError as error:
            return error

    pictures = iter(pictures)
    queued: deque[tuple[Path, FileState, Future]] = deque()
    with ThreadPoolExecutor(workers, initializer=start_worker) as pool:
        try:
            while True:
                free = workers * _QUEUED_PER_WORKER - len(queued)
                for path, state in itertools.islice(pictures, free):
                    queued.append((path, state, pool.submit(classify, path)))
                if not queued:
                    return
                path, state, future = queued.popleft()
                yield path, state, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _count(
    summary: Summary, path: Path, info: ModelInfo, result: Prediction | PictureError
) -> None:
    if isinstance(result, PictureError):
        summary.unreadable += 1
        tqdm.write(f"{printable(path)}: {result}", file=sys.stderr)
    else:
        summary.scanned += 1
        summary.smoking += result.label == info.decision.label
