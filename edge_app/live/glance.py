"""Looking twice at a camera, as far as its frame rate allows."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from edge_app.classifier import Classifier, Prediction
from edge_app.imaging import Picture, read_frame
from edge_app.looks import Box

_SHARE = 0.8  # of the time between two frames that looks may take
_MEMORY = 0.1  # weight of the newest measurement in the running means


class Glance:
    """Classifies the frames of one camera with one look or several.

    Where there is time, each frame gets all looks that the model's decision asks for. Where there
    is not, frames take turns: one is looked at as a whole, the next one at the region that the
    evidence of the one before points to. Each score then combines the newest look of either kind.

    Args:
        interval: wanted seconds between two frames; None for the camera's own, which
            is measured.
        all_looks: every frame gets all looks however long they take, as in a video file.
        share: how much of an interpreter the camera has, in (0, 1].
        clock: gives seconds.
    """

    def __init__(
        self,
        interval: float | None = None,
        all_looks: bool = False,
        share: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._interval, self._all_looks, self._share = interval, all_looks, share
        self._clock = clock
        self._native: float | None = None  # mean seconds between two frames of the camera
        self._last: float | None = None
        self._whole = self._region = 0.0  # mean seconds of a look at the whole, and at a region
        self._first: Prediction | None = None
        self._boxes: list[Box] = []
        self._logits: list[float] = []
        self._turn_of_region = False

    def classify(
        self, classifier: Classifier, pixels: np.ndarray, captured_at: float, dropped: int = 0
    ) -> Prediction:
        """Classifies a frame.

        Args:
            classifier: what to use.
            pixels: ``uint8[height, width, 3]``, BGR.
            captured_at: when it was read, in seconds.
            dropped: frames that the camera gave and nobody took since the one before.
        """
        self._measure_interval(captured_at, dropped)
        picture = read_frame(pixels, classifier.info.size)
        if self._turn_of_region and self._first is not None and self._fits(picture):
            self._turn_of_region = False
            self._look_again(classifier, picture)
            return classifier.combine(self._first, self._logits, self._boxes)
        before, logits = self._boxes, self._logits
        start = self._clock()
        self._first = classifier.classify_pixels(picture.pixels)
        self._whole = _mean(self._whole, self._clock() - start)
        self._boxes = classifier.regions(self._first, picture.width, picture.height)
        self._turn_of_region = False
        if not self._boxes:
            self._logits = []
            return self._first
        if self._has_time():
            self._look_again(classifier, picture)
            return classifier.combine(self._first, self._logits, self._boxes)
        self._turn_of_region = True
        # Until the next frame, what the one before saw in its region.
        return classifier.combine(self._first, logits, before)

    def _look_again(self, classifier: Classifier, picture: Picture) -> None:
        start = self._clock()
        self._logits = [classifier.look_at(picture, box) for box in self._boxes]
        took = (self._clock() - start) / len(self._boxes)
        self._region = _mean(self._region, took)

    def _has_time(self) -> bool:
        interval = self._interval or self._native
        if self._all_looks or interval is None:
            return True
        needed = self._whole + len(self._boxes) * (self._region or self._whole)
        return needed <= _SHARE * interval * self._share

    def _fits(self, picture: Picture) -> bool:
        """Whether the regions lie inside a frame: the camera may have changed its size."""
        return all(box[2] <= picture.width and box[3] <= picture.height for box in self._boxes)

    def _measure_interval(self, captured_at: float, dropped: int) -> None:
        if self._last is not None and captured_at > self._last:
            self._native = _mean(self._native or 0.0, (captured_at - self._last) / (dropped + 1))
        self._last = captured_at


def _mean(mean: float, value: float) -> float:
    return value if mean == 0 else mean + _MEMORY * (value - mean)
