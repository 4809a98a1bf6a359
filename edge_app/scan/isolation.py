"""Classifies in a process of its own, so that a decoder that crashes ends no more than that.

The process is forked off: it shares the memory of what is loaded, and runs as many threads as are
asked for, each with an interpreter. A path goes to it and an answer comes back; it reads the
picture itself. When it dies, the few pictures it was at are tried again, each alone in a process
made for it, and one that ends that process, too, is named as unreadable.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NoReturn

from edge_app.classifier import Classifier, ModelInfo, Prediction
from edge_app.files import is_gone
from edge_app.imaging import PictureError

if sys.platform == "linux":
    import resource

AVAILABLE = sys.platform == "linux"
"""Elsewhere a process cannot be forked, or not safely beside threads of the system's own."""


def classify_source(
    classifier: Classifier, source: str | bytes
) -> Prediction | PictureError | None:
    """Classifies a file or its bytes; why it cannot be read, or None for a file that vanished."""
    try:
        return classifier.classify(source)
    except PictureError as error:
        return None if isinstance(source, str) and is_gone(source) else error


class IsolatedClassifiers:
    """Classifiers that survive what they decode, for so many threads of the caller."""

    def __init__(self, info: ModelInfo, count: int):
        self._info = info
        self._count = count
        self._closed = False
        self._lock = threading.Lock()
        self._process = _Process(info, count)

    def classify(self, number: int, source: str | bytes) -> Prediction | PictureError | None:
        """As `classify_source`; what crashes the decoder cannot be read.

        Args:
            number: of the calling thread, from 0; no two may use one at the same time.
            source: path of the file, or its bytes.

        Raises:
            edge_app.ModelError: the model file vanished.
        """
        process = self._process
        try:
            return process.ask(number, source)
        except EOFError:
            with self._lock:
                if self._closed:
                    return None
                if self._process is process:  # no other thread was here before
                    process.end()
                    self._process = _Process(self._info, self._count)
                return self._classify_alone(source)

    def close(self) -> None:
        """Ends the process, whatever it is at."""
        self._closed = True
        self._process.end()

    def _classify_alone(self, source: str | bytes) -> Prediction | PictureError | None:
        process = _Process(self._info, 1)
        try:
            return process.ask(0, source)
        except EOFError:
            status = process.end(by_itself=True)
            if not os.WIFSIGNALED(status):
                raise RuntimeError("the process that classifies ended by itself") from None
            return PictureError(f"crashes the decoder ({signal.Signals(os.WTERMSIG(status)).name})")
        finally:
            process.end()


class _Process:
    """A forked process that answers on so many links, each from a thread with an interpreter.

    It ends by itself when this process does, in whatever way: its links end then.
    """

    def __init__(self, info: ModelInfo, count: int):
        links = [Pipe() for _ in range(count)]
        self._status: int | None = None
        self._ending = threading.Lock()
        # Blocked, so that Ctrl-C never makes two processes end the scan. The new one keeps it so:
        # whoever made it ends it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self._pid = os.fork()
            if self._pid == 0:
                _serve(info, links)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for _, theirs in links:
            theirs.close()
        self._links = [ours for ours, _ in links]

    def ask(self, number: int, source: str | bytes) -> Prediction | PictureError | None:
        """What came of a picture; raises EOFError where the process died."""
        link = self._links[number]
        try:
            link.send(source)
            answer: Prediction | Exception | None = link.recv()
        except OSError:  # as an end, when something was under way
            raise EOFError from None
        if isinstance(answer, Exception) and not isinstance(answer, PictureError):
            raise answer
        return answer

    def end(self, *, by_itself: bool = False) -> int:
        """Ends it, or waits until it has; returns its status as `os.waitpid` does."""
        with self._ending:
            if self._status is None:
                if not by_itself:
                    os.kill(self._pid, signal.SIGKILL)
                _, self._status = os.waitpid(self._pid, 0)
        return self._status


def _serve(info: ModelInfo, links: list[tuple[Connection, Connection]]) -> NoReturn:
    """What the new process does, until all links end."""
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        faulthandler.disable()  # of a crash, its name is enough
        for ours, _ in links:
            ours.close()
        with open(os.devnull, "w") as nowhere:
            # Another thread may have held a lock of the streams when this process was made.
            sys.stdout = sys.stderr = nowhere
            for descriptor in (1, 2):
                os.dup2(nowhere.fileno(), descriptor)
            threads = [threading.Thread(target=_answer, args=(info, theirs)) for _, theirs in links]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        os._exit(0)


def _answer(info: ModelInfo, link: Connection) -> None:
    with link:
        try:
            classifier = Classifier(info.path, decision=info.decision)
            while True:
                link.send(classify_source(classifier, link.recv()))
        except (EOFError, ConnectionError):
            return  # nobody asks any more
        except Exception as error:  # the model file vanished, or a mistake of ours
            link.send(error)
