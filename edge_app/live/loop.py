"""Frames in, events out, until the sources end or someone says stop."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from edge_app.classifier import Classifier
from edge_app.live.camera import Camera, Counts, Moment, Watcher
from edge_app.live.errors import SourceError
from edge_app.live.event_detector import Rule
from edge_app.live.frames import Item
from edge_app.live.outputs import Outputs
from edge_app.live.pool import Pool
from edge_app.live.sources import open_frames
from edge_app.live.window import Window, has_screen
from edge_app.wording import counted, rounded

logger = logging.getLogger(__name__)

_ROUND_SECONDS = 0.2


@dataclass
class Summary(Counts):
    """What a live run did, over all cameras.

    Attributes:
        label: the label looked for.
        seconds: how long it ran.
        failed: cameras that ended with an error.
    """

    label: str = "Smoking"
    seconds: float = 0.0
    failed: int = 0

    def add(self, counts: Counts) -> None:
        """Adds what happened with one camera."""
        for name in ("classified", "dropped", "smoking", "events", "outages"):
            setattr(self, name, getattr(self, name) + getattr(counts, name))
        self.lost = self.lost or counts.lost
        self.shortfall = self.shortfall or counts.shortfall

    def text(self) -> str:
        """The summary for people."""
        rate = self.classified / self.seconds if self.seconds else 0.0
        times = "once" if self.outages == 1 else f"{self.outages} times"
        lost = f"; source lost {times}" if self.outages else ""
        return (
            f"{counted(self.classified, 'frame')} classified in {self.seconds:.1f} s "
            f"({rounded(rate)} per second), "
            f"{self.dropped} dropped; {self.label} in {self.smoking}, events: {self.events}{lost}"
        )


def run_live(
    cameras: str | Camera | Sequence[Camera],
    classifier: Classifier,
    display: str | None = None,
    duration: float | None = None,
    *,
    realtime: bool = False,
    patient: bool = False,
    rule: Rule | None = None,
    outputs: Outputs | Sequence[Outputs] | None = None,
    on_frame: Callable[[Moment], None] | None = None,
    frames: Callable[..., Generator[Item]] = open_frames,
) -> Summary:
    """Classifies frames as they come, of one camera or several.

    Several cameras have a thread each and share one pool of interpreters. What happens is logged
    by ``edge_app.live``: lost sources as warnings, events at the level INFO.

    Args:
        cameras: what to watch; a text is the source of one camera.
        classifier: what to use.
        display: "window", "none", or None for a window where there is a screen; several cameras
            have none.
        duration: stop after this many seconds, with or without frames.
        realtime: play files at their own speed, as if they were cameras.
        patient: wait for a camera that cannot be opened yet. With several, always so.
        rule: when events begin and end; None for the one that fits the model and ``fps``.
        outputs: where events, pictures and recordings go, one for each camera; closed at the end.
        on_frame: called with each result, from the thread of its camera.
        frames: gives the frames, as `open_frames` does.

    Raises:
        edge_app.live.SourceError: no source can be opened, or one has no such region.
    """
    if isinstance(cameras, (str, Camera)):
        cameras = [Camera(cameras) if isinstance(cameras, str) else cameras]
    several = len(cameras) > 1
    outputs = [outputs] if isinstance(outputs, Outputs) else outputs
    outputs = outputs or [Outputs() for _ in cameras]
    pool = Pool(classifier, len(cameras))
    watchers = [
        Watcher(
            *(camera, pool, classifier.info, output, rule, on_frame),
            every_frame=os.path.isfile(camera.source) and not realtime,
        )
        for camera, output in zip(cameras, outputs, strict=True)
    ]
    summary = Summary(label=classifier.info.decision.label)
    opener = _Opener(frames, realtime, patient or several)
    with contextlib.ExitStack() as stack:
        stopping = stack.enter_context(_stopped_by_signals())  # also while the outputs are closed
        for output in outputs:
            stack.callback(output.close)
        stopping.end = None if duration is None else time.monotonic() + duration
        start = time.monotonic()
        try:
            if several:
                summary.failed = _watch_several(watchers, opener, stopping)
            else:
                _watch_one(watchers[0], opener, stopping, display, duration)
        except KeyboardInterrupt:
            pass  # how a live run ends
        finally:
            summary.seconds = time.monotonic() - start
            for watcher in watchers:
                watcher.finish()
                summary.add(watcher.counts)
    return summary


@dataclass(frozen=True)
class _Opener:
    frames: Callable[..., Generator[Item]]
    realtime: bool
    patient: bool

    def open(self, camera: Camera) -> Generator[Item]:
        more = {"patient": True} if self.patient else {}
        return self.frames(camera.source, fps=camera.fps, realtime=self.realtime, **more)


def _watch_one(
    watcher: Watcher,
    opener: _Opener,
    stopping: _Stop,
    display: str | None,
    duration: float | None,
) -> None:
    """Watches a camera in this thread, with a window where there is to be one."""
    source = watcher.camera.source
    waits = os.path.isfile(source) and not opener.realtime
    with contextlib.ExitStack() as stack:
        try:
            items = stack.enter_context(closing(opener.open(watcher.camera)))
        finally:
            stopping.at_once = False
        window = None
        if display != "none":
            if has_screen():
                window = stack.enter_context(closing(Window()))
            else:
                logger.info("Without a display it runs without a window (Ctrl-C quits).")
        if duration is not None:  # connecting is no part of it
            stopping.end = time.monotonic() + duration
        for item in items:
            if window is None or not window.paused or not hasattr(item, "pixels"):
                watcher.take(item)
            waiting = True  # a file waits while the window is paused; a camera cannot
            while waiting and not stopping.now:
                if window is not None and not _serve_window(window, watcher):
                    stopping.set()
                waiting = window is not None and window.paused and waits
            if stopping.now:
                break


def _serve_window(window: Window, watcher: Watcher) -> bool:
    """Draws and answers keys; returns False once the user wants to quit."""
    moment = watcher.moment
    if moment is None:
        return True
    window.show(moment, lost=watcher.counts.lost)
    if window.wants_snapshot:
        watcher.keep_picture()
    return not window.wants_to_quit


def _watch_several(watchers: Sequence[Watcher], opener: _Opener, stopping: _Stop) -> int:
    """Watches each camera in a thread of its own; returns how many ended with an error.

    Raises:
        SourceError: all of them did; it is that of the first camera, whichever ended first.
    """
    stopping.at_once = False
    errors: dict[int, Exception] = {}

    def watch(number: int, watcher: Watcher) -> None:
        try:
            with closing(opener.open(watcher.camera)) as items:
                for item in items:
                    if stopping.now:
                        return
                    watcher.take(item)
        except Exception as error:  # of one camera, which is not to end the others
            errors[number] = error
            watcher.fail(error)

    threads = [
        threading.Thread(target=watch, args=(number, watcher), name=f"camera {number}", daemon=True)
        for number, watcher in enumerate(watchers)
    ]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads) and not stopping.now:
            stopping.wait(_ROUND_SECONDS)
    finally:
        stopping.set()
        for thread in threads:
            thread.join(2.0)
    if len(errors) == len(watchers) and all(
        isinstance(error, SourceError) for error in errors.values()
    ):
        raise errors[0]
    return len(errors)


@dataclass
class _Stop:
    """Set once the run is to end; while ``at_once``, a signal breaks off what is being done."""

    at_once: bool = True
    end: float | None = None
    _event: threading.Event = field(default_factory=threading.Event)

    def set(self) -> None:
        self._event.set()

    def wait(self, seconds: float) -> None:
        self._event.wait(seconds)

    @property
    def now(self) -> bool:
        """Whether it was set, or the time is over."""
        return self._event.is_set() or (self.end is not None and time.monotonic() >= self.end)


@contextmanager
def _stopped_by_signals() -> Iterator[_Stop]:
    """What SIGTERM sets, as systemd sends it; Ctrl-C stays what it is."""
    stopping = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stopping  # only the main thread may ask for signals
        return

    def stop(*_: object) -> None:
        stopping.set()
        if stopping.at_once:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGTERM, before)
