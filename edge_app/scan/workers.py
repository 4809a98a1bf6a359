"""Classifies on all cores, with one interpreter per thread.

Threads are enough: Pillow decodes and the interpreter runs without Python's global lock, so two
threads classify about as many pictures per second as two processes (benchmarks/scan_workers.py:
more of large ones, a tenth fewer of small ones), and they share one copy of the libraries. Where
the system allows it, these threads run in a separate process that may crash (`scan.isolation`),
and each has a thread here that waits for it.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge_app.classifier import ModelInfo, Prediction
from edge_app.imaging import PictureError
from edge_app.parallel import count_cores
from edge_app.scan import isolation
from edge_app.scan.rows import FileState

_QUEUED_PER_WORKER = 32
"""Pictures that are queued or finished, so that work continues while a disk is slow."""


@dataclass(frozen=True)
class Job:
    """One picture to classify: its path, and the state of the file when it was found."""

    path: str
    state: FileState


@dataclass(frozen=True)
class Done:
    """The result of a job.

    Attributes:
        job: the picture.
        result: a prediction, why there is none, or None if the file no longer exists.
        relabelled: whether the score is an earlier one and only its label is new.
    """

    job: Job
    result: Prediction | PictureError | None
    relabelled: bool = False


class Workers:
    """Threads that classify. Use it in a ``with`` block: it stops them at the end.

    Jobs are put by one thread and fetched by another. `put` waits while too many are under way.
    """

    def __init__(self, info: ModelInfo, count: int | None = None):
        count = count_cores() if count is None else count
        if count < 1:
            raise ValueError(f"workers: expected at least 1, got {count}")
        self.stopped = False
        self._info = info
        self._count = count
        self._isolated: isolation.IsolatedClassifiers | None = None
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done | BaseException | None] = queue.SimpleQueue()
        self._free = threading.Semaphore(count * _QUEUED_PER_WORKER)
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(count)
        ]

    def __enter__(self) -> Workers:
        if isolation.AVAILABLE:
            self._isolated = isolation.IsolatedClassifiers(self._info, self._count)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stops the threads after their current pictures."""
        self.stopped = True
        self._free.release()  # whoever waits in `put`
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + 10  # a network drive may never answer
        for thread in self._threads:
            thread.join(timeout=max(0, deadline - time.monotonic()))
        if self._isolated:
            self._isolated.close()

    def put(self, job: Job) -> None:
        """Adds a picture; waits for a free place."""
        self._free.acquire()
        if not self.stopped:
            self._jobs.put(job)

    def report(self, done: Done) -> None:
        """Adds a finished result; waits for a free place."""
        self._free.acquire()
        self._done.put(done)

    def fail(self, error: BaseException) -> None:
        """Makes `get` raise."""
        self._done.put(error)

    def wake(self) -> None:
        """Makes a waiting `get` return."""
        self._done.put(None)

    def get(self, timeout: float) -> Done | None:
        """The next result; None if there is none within the given seconds."""
        try:
            done = self._done.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(done, BaseException):
            raise done
        if done:
            self._free.release()
        return done

    def drain(self) -> Iterator[Done]:
        """Yields the results that nobody fetched."""
        with contextlib.suppress(queue.Empty):
            while True:
                done = self._done.get_nowait()
                if isinstance(done, Done):
                    yield done

    def _run(self, number: int) -> None:
        try:
            classify = self._make_classify(number)
            while (job := self._jobs.get()) and not self.stopped:
                self._done.put(Done(job, classify(job.path)))
        except BaseException as error:  # the model file vanished, or a bug
            self.fail(error)

    def _make_classify(self, number: int) -> Callable[[str], Prediction | PictureError | None]:
        if self._isolated:
            return functools.partial(self._isolated.classify, number)
        classifier = isolation.load_again(self._info)
        return functools.partial(isolation.classify_source, classifier)
