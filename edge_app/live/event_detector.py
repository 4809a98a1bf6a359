"""From the scores of single frames to events that begin and end: no flicker.

Everything is stated in seconds, so that it means the same at any frame rate. Nothing here knows of
cameras, models or clocks; whoever has scores and times can use it.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field, replace
from typing import Literal

from edge_app.decision import Decision

State = Literal["clear", "maybe", "smoking"]


@dataclass(frozen=True)
class Rule:
    """When an event begins and ends.

    Attributes:
        begin: an event begins once the smoothed score has been at least this for
            ``begin_seconds``; in [0, 1].
        end: it ends once the smoothed score has been below this for ``end_seconds``; at most
            ``begin``.
        maybe: outside events, scores are clear below this; at most ``end``, its default.
        smoothing_seconds: time constant of the smoothing: after a step from 0 to 1 the smoothed
            score passes 0.63 after this time.
        begin_seconds: shortest time above ``begin`` that counts.
        end_seconds: longest time below ``end`` that an event outlives.
        gap_seconds: where no score came for longer, an event ends at the last score before it, and
            smoothing starts again.
    """

    begin: float = 0.6
    end: float = 0.4
    maybe: float | None = None
    smoothing_seconds: float = 0.5
    begin_seconds: float = 0.5
    end_seconds: float = 2.0
    gap_seconds: float = 5.0

    def __post_init__(self) -> None:
        if not 0 <= self.end <= self.begin <= 1:
            raise ValueError(f"expected 0 <= end <= begin <= 1, got {self.end} and {self.begin}")
        maybe = self.end if self.maybe is None else self.maybe
        object.__setattr__(self, "maybe", maybe)
        if not 0 <= maybe <= self.end:
            raise ValueError(f"expected 0 <= maybe <= end, got {maybe} and {self.end}")
        for name in ("smoothing_seconds", "begin_seconds", "end_seconds", "gap_seconds"):
            if not (getattr(self, name) >= 0 and math.isfinite(getattr(self, name))):
                raise ValueError(f"expected {name} of 0 or more, got {getattr(self, name)}")

    @classmethod
    def of(cls, decision: Decision) -> Rule:
        """The rule for a model: an event begins at its threshold, or the user's own.

        It ends where the odds are two thirds of those at the threshold, or lower: 0.4 for 0.5. The
        range of uncertain scores, where the model is often wrong about a single picture, plays no
        part in that, because an event is decided by seconds of pictures. But outside events a score
        in that range is not called clear.

        >>> rule = Rule.of(Decision(threshold=0.5, uncertain=(0.1, 0.6)))
        >>> rule.begin, rule.end, rule.maybe
        (0.5, 0.4, 0.1)
        """
        yes, no = decision.threshold, 1 - decision.threshold
        end = yes / (yes + 1.5 * no)
        low = 1.0 if decision.uncertain is None else decision.uncertain[0]
        return cls(begin=decision.threshold, end=end, maybe=min(low, end))

    def for_rate(self, fps: float | None) -> Rule:
        """The rule for ``fps`` scores per second: their distance is no gap.

        >>> Rule().for_rate(0.1).gap_seconds
        30.0
        """
        return self if not fps else replace(self, gap_seconds=max(self.gap_seconds, 3 / fps))


@dataclass(frozen=True)
class Event:
    """A stretch of time in which the label was seen; times in seconds, as given to `update`.

    Attributes:
        started: when the smoothed score reached ``begin``.
        ended: when it fell below ``end``; None while it lasts.
        peak: the highest score of a frame in it.
        mean: mean score over its time (each score counts as long as the time since the one before).
        frames: scores in it.
        id: no two events have the same.
    """

    started: float
    ended: float | None
    peak: float
    mean: float
    frames: int
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    @property
    def seconds(self) -> float | None:
        """How long it lasted; None while it lasts."""
        return None if self.ended is None else self.ended - self.started


class EventDetector:
    """Smooths scores over time and tells where events begin and end.

    >>> detector = EventDetector(Rule(begin=0.6, end=0.4))
    >>> [detector.update(0.9, time / 10) for time in range(5)][-1]
    []
    >>> begun = detector.update(0.9, 0.5)[0]
    >>> begun.started, begun.ended, detector.state
    (0.0, None, 'smoking')
    """

    def __init__(self, rule: Rule | None = None):
        self.rule = rule or Rule()
        self.smoothed: float | None = None
        """The smoothed score in [0, 1]; None before the first one and after an interruption."""
        self._time: float | None = None  # of the last score
        self._above: _Stretch | None = None  # since the smoothed score reached `begin`
        self._event: Event | None = None
        self._below: float | None = None  # since when an event's smoothed score is under `end`
        self._until: _Stretch | None = None  # the event as it was at that moment

    @property
    def state(self) -> State:
        """``smoking`` in an event, else ``maybe`` or ``clear``."""
        if self._event is not None:
            return "smoking"
        smoothed = self.smoothed or 0.0
        return "maybe" if smoothed > 0 and smoothed >= (self.rule.maybe or 0.0) else "clear"

    @property
    def since(self) -> float | None:
        """When the event that lasts began, or the stretch that may become one; else None."""
        return None if self._above is None else self._above.started

    @property
    def event(self) -> Event | None:
        """The event that lasts, with what is known of it so far."""
        if self._event is None or self._above is None:
            return None
        return self._above.complete(self._event, ended=None)

    def update(self, score: float, time: float) -> list[Event]:
        """Takes the score of a frame.

        Args:
            score: in [0, 1].
            time: of the frame, in seconds on any clock that never goes back.

        Returns:
            What changed: an event that began (``ended`` is None), or ended; mostly nothing.

        Raises:
            ValueError: the score is not in [0, 1], or the time lies before the last one.
        """
        if not 0 <= score <= 1:
            raise ValueError(f"expected a score in [0, 1], got {score}")
        if self._time is not None and time < self._time:
            raise ValueError(f"expected times that never go back, got {time} after {self._time}")
        changes = []
        if self._time is not None and time - self._time > self.rule.gap_seconds:
            changes = self.interrupt()
        passed = 0.0 if self._time is None else time - self._time
        self._time = time
        smoothed = self._smooth(score, passed)
        if self._event is None or self._above is None:
            changes += self._maybe_begin(score, smoothed, time, passed)
        else:
            changes += self._maybe_end(score, smoothed, time, passed)
        return changes

    def interrupt(self) -> list[Event]:
        """Says that the scores break off here; an event ends with its last score.

        Returns:
            The event that ended, if there was one.
        """
        ended = []
        stretch, when = self._above, self._time
        if self._until is not None:
            stretch, when = self._until, self._below
        if self._event is not None and stretch is not None:
            ended = [stretch.complete(self._event, ended=when)]
        self.smoothed = self._time = self._above = self._event = self._below = self._until = None
        return ended

    def _smooth(self, score: float, passed: float) -> float:
        """Exponential smoothing of samples at any distance: what is old fades with time alone."""
        if self.smoothed is None or self.rule.smoothing_seconds == 0:
            self.smoothed = score
        else:
            weight = -math.expm1(-passed / self.rule.smoothing_seconds)
            self.smoothed += weight * (score - self.smoothed)
        return self.smoothed

    def _maybe_begin(
        self, score: float, smoothed: float, time: float, passed: float
    ) -> list[Event]:
        if smoothed < self.rule.begin:
            self._above = None
            return []
        if self._above is None:
            self._above = _Stretch(time)
            passed = 0.0
        self._above.add(score, passed)
        if time - self._above.started < self.rule.begin_seconds - _ROUNDING:
            return []
        self._event = self._above.complete(
            Event(self._above.started, None, score, score, 1), ended=None
        )
        return [self._event]

    def _maybe_end(self, score: float, smoothed: float, time: float, passed: float) -> list[Event]:
        if self._above is None or self._event is None:
            return []  # there is no event to end
        if smoothed >= self.rule.end:
            self._below = self._until = None
        elif self._below is None:
            self._below, self._until = time, replace(self._above)
        self._above.add(score, passed)
        if self._until is None or self._below is None:
            return []
        if time - self._below < self.rule.end_seconds - _ROUNDING:
            return []
        ended = self._until.complete(self._event, ended=self._below)
        self._above = self._event = self._below = self._until = None
        return [ended]


_ROUNDING = 1e-9  # sums of frame intervals: 0.1 + 0.2 is not 0.3


@dataclass
class _Stretch:
    """Scores added up over their time."""

    started: float
    frames: int = 0
    peak: float = 0.0
    total: float = 0.0  # of the scores
    area: float = 0.0  # score times seconds
    seconds: float = 0.0

    def add(self, score: float, passed: float) -> None:
        self.frames += 1
        self.peak = max(self.peak, score)
        self.total += score
        self.area += score * passed
        self.seconds += passed

    def complete(self, event: Event, ended: float | None) -> Event:
        mean = self.area / self.seconds if self.seconds > 0 else self.total / max(self.frames, 1)
        return replace(
            event, ended=ended, peak=self.peak, mean=min(mean, self.peak), frames=self.frames
        )
