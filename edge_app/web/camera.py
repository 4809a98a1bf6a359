"""The Live tab's state for one visitor: a few smoothed scores, never a frame."""

from __future__ import annotations

import base64
import binascii
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from edge_app.decision import Decision
from edge_app.live.decisions import EventDetector, Rule
from edge_app.web.uploads import MOST_MEGABYTES, LimitError

_REMEMBERED = 60
"""Frames on the time line."""


@dataclass
class Camera:
    """Scores of one visitor's camera, smoothed over time, newest last."""

    detector: EventDetector | None = None
    scores: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def update(self, score: float, decision: Decision) -> str:
        """Takes the score of a frame, P(Smoking), and tells the state: a label or ``Uncertain``."""
        if self.detector is None:
            self.detector = EventDetector(Rule.of(decision))
        self.detector.update(score, time.monotonic())
        self.scores.append(self.detector.smoothed)
        states = {"smoking": decision.label, "maybe": "Uncertain"}
        return states.get(self.detector.state, "")


def frame_bytes(payload: Any) -> bytes | None:
    """The picture file inside a frame that the browser sent; nothing of it touches the disk.

    Raises:
        LimitError: it is larger than a picture may be.
    """
    address = (payload and payload.url) or ""
    if not address.startswith("data:image/"):
        return None
    if len(address) > MOST_MEGABYTES * 1_000_000:
        raise LimitError("error_large")
    try:
        return base64.b64decode(address.partition(",")[2], validate=True)
    except binascii.Error:
        return None
