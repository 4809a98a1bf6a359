"""Interpreters that several cameras share, first come first served."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from edge_app.classifier import Classifier


class Pool:
    """As many classifiers as there are cameras or cores, whichever are fewer.

    Args:
        classifier: the first one; the others are made from the same file.
        cameras: how many share them.
    """

    def __init__(self, classifier: Classifier, cameras: int = 1):
        count = max(1, min(cameras, os.cpu_count() or 1))
        info = classifier.info
        more = [Classifier(info.path, decision=info.decision) for _ in range(count - 1)]
        self.share = count / max(1, cameras)
        """How much of an interpreter each camera has, in (0, 1]."""
        self._free = [classifier, *more]
        self._waiting: deque[_Turn] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def take(self) -> Iterator[Classifier]:
        """Gives a classifier for the length of the block; who waits longest is served next."""
        turn = _Turn()
        with self._lock:
            if self._free:
                turn.classifier = self._free.pop()
                turn.set()
            else:
                self._waiting.append(turn)
        turn.wait()
        try:
            yield turn.classifier
        finally:
            self._give_back(turn.classifier)

    def _give_back(self, classifier: Classifier) -> None:
        with self._lock:
            if self._waiting:  # handed on, so that nobody who comes now is quicker
                turn = self._waiting.popleft()
                turn.classifier = classifier
                turn.set()
            else:
                self._free.append(classifier)


class _Turn(threading.Event):
    classifier: Classifier
