"""One camera of a run: its settings, and what is known of it from one frame to the next."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from edge_app.classifier import ModelInfo, Prediction
from edge_app.decision import Decision
from edge_app.files import printable
from edge_app.live.errors import SourceError
from edge_app.live.event_detector import Event, EventDetector, Rule, State
from edge_app.live.frames import CutShort, Found, Frame, Item, Lost
from edge_app.live.glance import Glance
from edge_app.live.meter import Meter
from edge_app.live.outputs import Outputs
from edge_app.live.pool import Pool
from edge_app.live.redact import redact, shown
from edge_app.live.zone import Cutter, Region, Zone

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Camera:
    """What to watch.

    Attributes:
        source: a camera's number or device, ``picamera``, a video file, or a URL.
        name: for people, topics and pages; empty for a camera without one.
        fps: classify at most this many frames per second.
        zone: the part of the frame to look at; None for all of it.
        threshold: P(label) at which an event begins; None for the model's own.
    """

    source: str
    name: str = ""
    fps: float | None = None
    zone: Zone | None = None
    threshold: float | None = None

    @property
    def title(self) -> str:
        """Its name, or its source without a password."""
        return self.name or shown(self.source)


@dataclass(frozen=True)
class Moment:
    """A frame with its result.

    Attributes:
        camera: whose frame it is.
        frame: the frame.
        prediction: its result; ``region`` in pixels of the frame.
        box: the part that was looked at: x, y, width, height; None for the whole frame.
        label: the label that the model looks for.
        state: of the event detector.
        smoothed: the smoothed score, in [0, 1].
        rate: classified frames per second.
        latency: from frame to result, in seconds.
        dropped: frames that were passed over so far.
    """

    camera: Camera
    frame: Frame
    prediction: Prediction
    box: Region | None
    label: str
    state: State
    smoothed: float
    rate: float
    latency: float
    dropped: int


@dataclass
class Counts:
    """What happened with one camera.

    Attributes:
        classified: frames classified.
        dropped: frames that came while another one was at work.
        smoking: frames labelled with what is looked for.
        events: events that began.
        outages: times that the source was lost.
        lost: whether it is lost now.
        reason: why it was lost the last time.
        shortfall: how a video file ended too early; empty if it did not.
    """

    classified: int = 0
    dropped: int = 0
    smoking: int = 0
    events: int = 0
    outages: int = 0
    lost: bool = False
    reason: str = ""
    shortfall: str = ""


class Watcher:
    """Turns what a source gives into events, and passes both on."""

    def __init__(
        self,
        camera: Camera,
        pool: Pool,
        info: ModelInfo,
        outputs: Outputs,
        rule: Rule | None = None,
        on_frame: Callable[[Moment], None] | None = None,
        every_frame: bool = False,
    ):
        """Prepares it.

        Args:
            camera: what to watch.
            pool: of interpreters.
            info: of the model in it.
            outputs: where events go.
            rule: when events begin and end; None for the one that fits.
            on_frame: called with each result.
            every_frame: whether the source waits, as a video file does; then no look is left out.
        """
        decision = info.decision
        if camera.threshold is not None:
            decision = decision.with_threshold(camera.threshold)
        self.camera, self.counts, self.meter = camera, Counts(), Meter()
        self.detector = EventDetector(rule or Rule.of(decision).for_rate(camera.fps))
        self.moment: Moment | None = None
        """The last frame with its result."""
        self._pool, self._info, self._decision = pool, info, decision
        self._outputs, self._on_frame = outputs, on_frame
        self._cutter = Cutter(camera.zone)
        interval = 1 / camera.fps if camera.fps else None
        self._glance = Glance(interval, all_looks=every_frame, share=pool.share)
        self._size: tuple[int, ...] | None = None
        self._offset: float | None = None  # from the source's clock to time.time
        self._prefix = f"{camera.name}: " if camera.name else ""
        outputs.describe(camera.source, info, camera.name)

    def take(self, item: Item) -> None:
        """Takes what `edge_app.live.sources.open_frames` gives."""
        if isinstance(item, Lost):
            self._lose(item.reason)
        elif isinstance(item, CutShort):
            self.counts.shortfall = item.reason
            logger.warning("%s: %s", printable(self.camera.title), item.reason)
        elif isinstance(item, Found):
            self.counts.lost = False
            logger.info("%s: restored after %.1f s", self.camera.title, item.lost_seconds)
            seconds = round(item.lost_seconds, 1)
            self._outputs.write({"event": "restored", "lost_seconds": seconds}, time.time())
        elif item is not None:
            self._classify(item)

    def keep_picture(self) -> None:
        """Writes the last frame, which a key asked for."""
        if self.moment and (path := self._outputs.keep_picture(self.moment.frame.pixels)):
            logger.info("Saved %s", path)

    def fail(self, error: Exception) -> None:
        """Takes the error that ends this camera; outputs say that it is lost, and why."""
        expected = isinstance(error, SourceError)
        text = str(error) if expected else f"{type(error).__name__}: {error}"
        reason = redact(text, self.camera.source)
        logger.error("%s: %s", self.camera.title, reason, exc_info=None if expected else error)
        self._tell_lost(reason)

    def finish(self) -> None:
        """Ends an event that lasts."""
        self._report(self.detector.interrupt(), reason="stopped")

    def _lose(self, reason: str) -> None:
        self.counts.outages += 1
        source = shown(self.camera.source)
        text = reason if reason.startswith((source, "camera ")) else f"{source}: lost ({reason})"
        logger.warning("%s%s; trying again", self._prefix, text)
        self._tell_lost(reason)

    def _tell_lost(self, reason: str) -> None:
        self.counts.lost, self.counts.reason = True, reason
        self._report(self.detector.interrupt(), reason="lost")
        self._outputs.write({"event": "lost", "reason": reason}, time.time())

    def _classify(self, frame: Frame) -> None:
        self._notice_size(frame)
        pixels, box = self._cutter.cut(frame.pixels)
        with self._pool.take() as classifier:
            prediction = self._glance.classify(classifier, pixels, frame.captured_at, frame.dropped)
        if box is not None and prediction.region is not None:
            prediction = replace(prediction, region=_shifted(prediction.region, box))
        if self.camera.threshold is not None:
            prediction = _relabelled(prediction, self._decision, self._info.other_label)
        self.meter.add(frame)
        counts = self.counts
        counts.classified += 1
        counts.smoking += prediction.label == self._decision.label
        counts.dropped += frame.dropped
        if self._offset is None or not self._outputs.is_file:  # the clock may have been set
            self._offset = time.time() - time.monotonic() + frame.captured_at - frame.time
        self._report(self.detector.update(prediction.smoking, frame.time))
        self._outputs.frame(frame, prediction, self.detector.since is not None)
        self.moment = Moment(
            self.camera,
            frame,
            prediction,
            box,
            self._decision.label,
            self.detector.state,
            self.detector.smoothed or 0.0,
            self.meter.rate,
            self.meter.latency,
            counts.dropped,
        )
        if self._on_frame is not None:
            self._on_frame(self.moment)

    def _notice_size(self, frame: Frame) -> None:
        size = frame.pixels.shape[1::-1]
        if self._size not in (None, size):
            sizes = "{} x {} to {} x {}".format(*self._size, *size)
            logger.info("%s: the frame size changed from %s pixels", self.camera.title, sizes)
        self._size = size

    def _report(self, changes: list[Event], reason: str = "over") -> None:
        label, where = self._decision.label, self._prefix
        for event in changes:
            if event.ended is None:
                self.counts.events += 1
                logger.info("%s%s begins (%.0f%% so far)", where, label, 100 * event.peak)
            else:
                peak, mean = 100 * event.peak, 100 * event.mean
                text = "%s%s ends after %.1f s (peak %.0f%%, mean %.0f%%)"
                logger.info(text, where, label, event.seconds, peak, mean)
            self._outputs.event(event, self._offset or 0.0, reason)


def _shifted(region: tuple[int, int, int, int], box: Region) -> tuple[int, int, int, int]:
    """A region of a part of the frame, in pixels of the frame."""
    x, y = box[:2]
    left, top, right, bottom = region
    return left + x, top + y, right + x, bottom + y


def _relabelled(prediction: Prediction, decision: Decision, other: str) -> Prediction:
    """The prediction by the camera's own threshold."""
    score = prediction.smoking
    found = score >= decision.threshold
    return replace(
        prediction,
        label=decision.label if found else other,
        confidence=score if found else 1 - score,
        uncertain=decision.is_uncertain(score),
    )
