"""Frames in, events out, until the source ends or someone says stop."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import click
import numpy as np

from edge_app.classifier import Classifier, Prediction
from edge_app.imaging import from_frame
from edge_app.live.decisions import Event, EventDetector, Rule
from edge_app.live.outputs import Outputs
from edge_app.live.sources import Found, Frame, Lost, SourceError, open_frames
from edge_app.live.status import Meter, Status
from edge_app.live.window import Window, has_screen

Region = tuple[int, int, int, int]


@dataclass
class Summary:
    """What a live run did.

    Attributes:
        label: the label looked for.
        classified: frames classified.
        dropped: frames that came while another one was at work.
        smoking: frames labelled with what is looked for.
        events: events that began.
        outages: times that a camera or stream was lost.
        seconds: how long it ran.
        lost: whether the camera or stream was lost when it ended.
    """

    label: str
    classified: int = 0
    dropped: int = 0
    smoking: int = 0
    events: int = 0
    outages: int = 0
    seconds: float = 0.0
    lost: bool = False

    def text(self) -> str:
        """The summary for people."""
        rate = self.classified / self.seconds if self.seconds else 0.0
        lost = f"; lost {self.outages} times" if self.outages else ""
        return (
            f"{self.classified} frames classified in {self.seconds:.1f} s ({rate:.0f} a second), "
            f"{self.dropped} dropped; {self.label} in {self.smoking}, events: {self.events}{lost}"
        )


def run_live(
    source: str,
    classifier: Classifier,
    display: str | None = None,
    duration: float | None = None,
    *,
    fps: float | None = None,
    region: Region | None = None,
    realtime: bool = False,
    rule: Rule | None = None,
    outputs: Outputs | None = None,
    frames: Callable[..., Iterator] = open_frames,
) -> Summary:
    """Classifies frames as they come.

    Args:
        source: a camera's number or device, ``picamera``, a video file, or a URL.
        classifier: what to use.
        display: "window", "none", or None for a window where there is a screen.
        duration: stop after so many seconds, frames or no frames.
        fps: at most so many frames a second.
        region: the part to look at: x, y, width, height in pixels of the frame.
        realtime: play a file at its own speed, as if it were a camera.
        rule: when events begin and end; None for the one that fits the model and ``fps``.
        outputs: where events, pictures and the recording go; they are closed at the end.
        frames: gives the frames, as `open_frames` does.

    Raises:
        edge_app.live.SourceError: the source cannot be opened, or has no such region.
    """
    outputs = outputs or Outputs()
    waits = os.path.isfile(source) and not realtime
    rule = rule or Rule.of(classifier.info.decision).for_rate(fps)
    run = _Run(source, classifier, region, rule, outputs)
    with contextlib.ExitStack() as stack:
        stack.callback(outputs.close)
        stopping = stack.enter_context(_stopped_by_signals())
        try:
            items = stack.enter_context(closing(frames(source, fps=fps, realtime=realtime)))
        except KeyboardInterrupt:  # a camera may take its time to answer, or never do
            return run.summary
        finally:
            stopping.at_once = False
        window = None
        if display != "none":
            if has_screen():
                window = stack.enter_context(closing(Window()))
            else:
                click.echo("There is no screen; going on without a window (q is Ctrl-C).", err=True)
        start = time.monotonic()
        try:
            for item in items:
                run.take(item, window)
                waiting = True  # a file waits while the window is paused; a camera cannot
                while waiting and not _is_over(stopping, start, duration):
                    if window is not None and not run.serve_window(window):
                        stopping.set()
                    waiting = window is not None and window.paused and waits
                if _is_over(stopping, start, duration):
                    break
        except KeyboardInterrupt:
            pass  # how a live run ends
        finally:
            run.summary.seconds = time.monotonic() - start
            run.finish()
    return run.summary


@dataclass
class _Run:
    """What a run knows from one frame to the next."""

    source: str
    classifier: Classifier
    region: Region | None
    rule: Rule
    outputs: Outputs
    summary: Summary = field(init=False)

    def __post_init__(self) -> None:
        info = self.classifier.info
        self.summary = Summary(info.decision.label)
        self.outputs.describe(self.source, info)
        self.detector = EventDetector(self.rule)
        self.meter = Meter()
        self.status = Status()
        self.frame: Frame | None = None
        self.prediction: Prediction | None = None
        self._offset: float | None = None  # from the source's clock to time.time

    def take(self, item: Frame | Lost | Found | None, window: Window | None) -> None:
        if isinstance(item, Lost):
            self.summary.outages += 1
            self.summary.lost = True
            self._report(self.detector.interrupt(), reason="blind")
            self.status.say(f"{self.outputs.source}: lost ({item.reason}); trying again")
            self.outputs.write({"event": "blind", "reason": item.reason}, time.time())
        elif isinstance(item, Found):
            self.summary.lost = False
            self.status.say(f"{self.outputs.source}: back after {item.blind_seconds:.1f} s")
            seconds = round(item.blind_seconds, 1)
            self.outputs.write({"event": "sighted", "blind_seconds": seconds}, time.time())
        elif item is not None and not (window is not None and window.paused):
            self._classify(item)

    def serve_window(self, window: Window) -> bool:
        """Draws and answers keys; returns False once the user wants to quit."""
        if self.frame is None:
            return True
        state = "blind" if self.summary.lost else self.detector.state
        window.show(self.frame.pixels, self.prediction, self.region, state, self.meter)
        if window.wants_snapshot and (path := self.outputs.keep_picture(self.frame.pixels)):
            self.status.say(f"Saved {path}")
        return not window.wants_to_quit

    def finish(self) -> None:
        self._report(self.detector.interrupt(), reason="stopped")
        self.status.end()

    def _classify(self, frame: Frame) -> None:
        info = self.classifier.info
        pixels = cut(frame.pixels, self.region)
        prediction = self.classifier.classify_pixels(from_frame(pixels, info.size))
        self.meter.add(frame)
        self.frame, self.prediction = frame, prediction
        self.summary.classified += 1
        self.summary.smoking += prediction.label == info.decision.label
        self.summary.dropped += frame.dropped
        if self._offset is None or not self.outputs.is_file:  # a camera's day may be set anew
            self._offset = time.time() - time.monotonic() + frame.captured_at - frame.time
        changes = self.detector.update(prediction.smoking, frame.time)
        self._report(changes)
        self.outputs.frame(frame, prediction.smoking, self.detector.since is not None)
        self.status.frame(frame, prediction, self.detector.state, self.meter, self.summary.dropped)

    def _report(self, changes: list[Event], reason: str = "over") -> None:
        for event in changes:
            if event.ended is None:
                self.summary.events += 1
                self.status.say(f"{self.summary.label} begins ({event.peak:.0%} at most so far)")
            else:
                self.status.say(
                    f"{self.summary.label} ends after {event.seconds:.1f} s "
                    f"(peak {event.peak:.0%}, mean {event.mean:.0%})"
                )
            self.outputs.event(event, self._offset, reason)


def cut(pixels: np.ndarray, region: Region | None) -> np.ndarray:
    """The part of a frame to look at.

    Raises:
        SourceError: the frame is too small for it.
    """
    if region is None:
        return pixels
    x, y, width, height = region
    if x + width > pixels.shape[1] or y + height > pixels.shape[0]:
        raise SourceError(
            f"region {x},{y},{width},{height}: lies outside of the frame, which is "
            f"{pixels.shape[1]} x {pixels.shape[0]} pixels"
        )
    return pixels[y : y + height, x : x + width]


def _is_over(stopping: threading.Event, start: float, duration: float | None) -> bool:
    return stopping.is_set() or (duration is not None and time.monotonic() - start >= duration)


class _Stop(threading.Event):
    """Set once the run is to end; while ``at_once``, a signal breaks off what is being done."""

    at_once = True


@contextmanager
def _stopped_by_signals() -> Iterator[_Stop]:
    """What SIGTERM sets, as systemd sends it; Ctrl-C stays what it is."""
    stopping = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stopping  # only the main thread may ask for signals
        return

    def stop(*_) -> None:
        stopping.set()
        if stopping.at_once:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGTERM, before)
