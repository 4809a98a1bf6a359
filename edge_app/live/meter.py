"""Frame rate and latency of a run, and its answer in words."""

from __future__ import annotations

import time
from collections import deque

from edge_app.classifier import Prediction
from edge_app.live.frames import Frame


class Meter:
    """Frame rate and latency over the last frames."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=30)
        self.latency = 0.0
        """Seconds from frame to result, of the last frame."""

    def add(self, frame: Frame) -> None:
        """Notes a frame whose result is there now."""
        now = time.monotonic()
        self._times.append(now)
        self.latency = now - frame.captured_at

    @property
    def rate(self) -> float:
        """Classified frames per second."""
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-6)


def describe(prediction: Prediction, label: str = "Smoking") -> str:
    """The answer for people: an uncertain one is none.

    Args:
        prediction: of a frame.
        label: the label that the model looks for.

    >>> describe(Prediction("Smoking", 0.93, 0.93))
    'Smoking 93%'
    """
    if prediction.uncertain:
        return f"Uncertain ({label} {prediction.smoking:.0%})"
    return f"{prediction.label} {prediction.confidence:.0%}"
