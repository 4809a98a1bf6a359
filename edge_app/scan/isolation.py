"""Classifies in a process of its own, so that a decoder that crashes ends no more than that.

The process is forked off: it shares the memory of what is loaded, and runs the given number
of threads, each with an interpreter. A path goes to it and an answer comes back; it reads the
picture itself. When it dies, the few pictures it was at are tried again, each alone in a process
made for it, and one that ends that process, too, is named as unreadable.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NoReturn

from edge_app.classifier import Classifier, ModelError, ModelInfo, Prediction
from edge_app.files import is_gone
from edge_app.imaging import PictureError
from edge_app.limits import max_seconds

if sys.platform == "linux":
    import resource

AVAILABLE = sys.platform == "linux"
"""Elsewhere a process cannot be forked, or not safely beside threads of the system's own."""

_POLL_SECONDS = 0.5


def classify_source(
    classifier: Classifier, source: str | bytes
) -> Prediction | PictureError | None:
    """Classifies a file or its bytes; why it cannot be read, or None for a file that vanished."""
    try:
        return classifier.classify(source)
    except PictureError as error:
        return None if isinstance(source, str) and is_gone(source) else error


@contextlib.contextmanager
def protected(
    classifier: Classifier,
) -> Iterator[Callable[[str | bytes], Prediction | PictureError | None]]:
    """Gives `classify_source` for one thread, in a process of its own where that is possible."""
    if not AVAILABLE:
        yield functools.partial(classify_source, classifier)
        return
    pool = IsolatedClassifiers(classifier.info, 1, classifier)
    try:
        yield functools.partial(pool.classify, 0)
    finally:
        pool.close()


def load_again(info: ModelInfo) -> Classifier:
    """Another classifier of the same model file, with the same decision.

    Raises:
        edge_app.ModelError: the file vanished, or is another one now.
    """
    classifier = Classifier(info.path, decision=info.decision)
    if classifier.info.sha256 != info.sha256:
        raise ModelError(f"{info.path}: was replaced while it was in use; run the command again")
    return classifier


class IsolatedClassifiers:
    """Classifiers that survive what they decode, for so many threads of the caller.

    A picture that takes longer than `edge_app.limits.max_seconds` of one core cannot be read.
    """

    def __init__(self, info: ModelInfo, count: int, loaded: Classifier | None = None):
        """Makes the process.

        Args:
            info: of the classifier.
            count: threads of the caller.
            loaded: one that nobody else uses meanwhile, instead of loading it again; for one
                thread.
        """
        self._info = info
        self._count = count
        self._loaded = loaded
        self._closed = False
        self._lock = threading.Lock()
        self._process = _Process(info, count, loaded)

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
        except (EOFError, TimeoutError) as error:
            with self._lock:
                if self._closed:
                    return None
                if self._process is process:  # no other thread was here before
                    process.end()
                    self._process = _Process(self._info, self._count, self._loaded)
                if isinstance(error, TimeoutError):
                    return _too_slow()
                return self._classify_alone(source)

    def close(self) -> None:
        """Ends the process, whatever it is at."""
        self._closed = True
        self._process.end()

    def _classify_alone(self, source: str | bytes) -> Prediction | PictureError | None:
        process = _Process(self._info, 1, self._loaded)
        try:
            return process.ask(0, source)
        except TimeoutError:
            return _too_slow()
        except EOFError:
            status = process.end(by_itself=True)
            if not os.WIFSIGNALED(status):
                raise RuntimeError("the process that classifies ended unexpectedly") from None
            return PictureError(f"crashes the decoder ({signal.Signals(os.WTERMSIG(status)).name})")
        finally:
            process.end()


def _too_slow() -> PictureError:
    return PictureError(
        f"takes longer than {max_seconds():g} s to decode; for more, set --max-seconds"
    )


class _Process:
    """A forked process that answers on so many links, each from a thread with an interpreter.

    It ends when this process ends, in whatever way, because its links end then.
    """

    def __init__(self, info: ModelInfo, count: int, loaded: Classifier | None):
        links = [Pipe() for _ in range(count)]
        self._status: int | None = None
        self._ending = threading.Lock()
        # Blocked, so that Ctrl-C never makes two processes end the scan. The new one keeps it so:
        # whoever made it ends it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self._pid = os.fork()
            if self._pid == 0:
                _serve(info, links, loaded)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for _, theirs in links:
            theirs.close()
        self._links = [ours for ours, _ in links]
        self._threads = [0] * count  # numbers of its threads, once they have answered
        self._spent = [0.0] * count  # seconds of a core that they had taken then

    def ask(self, number: int, source: str | bytes) -> Prediction | PictureError | None:
        """What came of a picture.

        Raises:
            EOFError: the process died.
            TimeoutError: it takes too long.
        """
        link = self._links[number]
        try:
            if not self._threads[number]:
                thread, spent = link.recv()
                if isinstance(spent, Exception):
                    raise spent
                self._threads[number], self._spent[number] = thread, spent
            link.send(source)
            patience = max_seconds()
            while not link.poll(patience):
                # Time of its own, so that a slow disk or a busy machine makes nothing unreadable.
                if self._seconds_of(number) - self._spent[number] > max_seconds():
                    raise TimeoutError
                patience = _POLL_SECONDS
            answer: Prediction | Exception | None
            answer, self._spent[number] = link.recv()
        except TimeoutError:
            raise
        except OSError:  # as an end, when something was under way
            raise EOFError from None
        if isinstance(answer, Exception) and not isinstance(answer, PictureError):
            raise answer
        return answer

    def _seconds_of(self, number: int) -> float:
        """Seconds of a core that a thread has taken, see proc(5)."""
        with open(f"/proc/{self._pid}/task/{self._threads[number]}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self, *, by_itself: bool = False) -> int:
        """Ends it, or waits until it has; returns its status as `os.waitpid` does."""
        with self._ending:
            if self._status is None:
                if not by_itself:
                    os.kill(self._pid, signal.SIGKILL)
                _, self._status = os.waitpid(self._pid, 0)
        return self._status


def _serve(
    info: ModelInfo, links: list[tuple[Connection, Connection]], loaded: Classifier | None
) -> NoReturn:
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
            threads = [
                threading.Thread(target=_answer, args=(info, theirs, loaded)) for _, theirs in links
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        os._exit(0)


def _answer(info: ModelInfo, link: Connection, loaded: Classifier | None) -> None:
    with link:
        try:
            try:
                classifier = loaded or load_again(info)
            except Exception as error:  # the model file vanished, or a bug
                link.send((0, error))
                return
            link.send((threading.get_native_id(), time.thread_time()))
            while True:
                result: Prediction | Exception | None
                try:
                    result = classify_source(classifier, link.recv())
                except (EOFError, ConnectionError):
                    raise
                except Exception as error:  # a bug
                    result = error
                link.send((result, time.thread_time()))
        except (EOFError, ConnectionError):
            return  # nobody asks any more
