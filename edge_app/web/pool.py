"""A bounded number of interpreters that visitors take turns with."""

from __future__ import annotations

import queue
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image

from edge_app.classifier import Classifier, Prediction
from edge_app.imaging import read_thumbnail
from edge_app.parallel import count_cores
from edge_app.web.memory import give_back
from edge_app.web.uploads import check_picture

UNCERTAIN = "Uncertain"
"""Shown instead of a label where the model is often wrong."""

PREVIEW = 640
"""Longer side of the picture under the evidence map, in pixels."""


@dataclass(frozen=True)
class Answer:
    """A prediction for people.

    Attributes:
        prediction: what the model says.
        shown: the label that people are given: that of the prediction, or `UNCERTAIN`.
        kind: ``found``, ``clear`` or ``unsure``, whatever the model calls its labels.
        elapsed_ms: from the file to the prediction, in milliseconds.
        preview: the picture, upright, at most `PREVIEW` pixels long; None where not asked for.
        size: width and height of the upright picture in pixels, which ``prediction.region`` is
            part of.
    """

    prediction: Prediction
    shown: str
    kind: str
    elapsed_ms: float
    preview: Image.Image | None = None
    size: tuple[int, int] = (1, 1)


class Pool:
    """Interpreters of one model, as many as there are cores, four at most.

    Attributes:
        info: what the model is.
        size: the number of interpreters.
        visitors: how many visitors are served at once. One more than there are interpreters, as
            somebody's large picture may be waiting for its turn to be decoded.
    """

    def __init__(self, classifier: Classifier):
        self.info = classifier.info
        self.size = min(4, count_cores())
        self.visitors = self.size + 1
        self._free: queue.LifoQueue[Classifier] = queue.LifoQueue()
        self._free.put(classifier)
        for _ in range(self.size - 1):
            self._free.put(self._another())
        # Pictures that take hundreds of MB, one at a time; always in the same thread, as the C
        # library keeps what a thread has freed for that thread. They have an interpreter of their
        # own, so that small pictures do not wait while a large one is decoded.
        self._large = ThreadPoolExecutor(1, "large-pictures")
        self._large_classifier = self._another()

    def _another(self) -> Classifier:
        return Classifier(self.info.path, decision=self.info.decision)

    def classify(self, source: str | bytes, preview: bool = True) -> Answer:
        """Classifies an uploaded file.

        Args:
            source: a path, or the bytes of a picture file.
            preview: whether the answer is to hold the picture, which takes another decoding.

        Raises:
            edge_app.web.uploads.LimitError: the file is beyond the limits.
            edge_app.imaging.PictureError: it cannot be read.
        """
        checked = check_picture(source)
        if checked.is_large:
            return self._large.submit(self._answer_large, source, preview, checked.size).result()
        classifier = self._free.get()
        try:
            return self._answer(classifier, source, preview, checked.size)
        finally:
            self._free.put(classifier)

    def _answer_large(self, source: str | bytes, preview: bool, size: tuple[int, int]) -> Answer:
        try:
            return self._answer(self._large_classifier, source, preview, size)
        finally:
            give_back()

    def _answer(
        self, classifier: Classifier, source: str | bytes, preview: bool, size: tuple[int, int]
    ) -> Answer:
        start = time.perf_counter()
        prediction = classifier.classify(source)
        elapsed_ms = (time.perf_counter() - start) * 1000
        picture = read_thumbnail(source, PREVIEW) if preview else None
        shown = UNCERTAIN if prediction.uncertain else prediction.label
        return Answer(prediction, shown, self.kind(shown), elapsed_ms, picture, size)

    def kind(self, shown: str) -> str:
        """``found``, ``clear`` or ``unsure`` for what people are given."""
        if shown == UNCERTAIN:
            return "unsure"
        return "found" if shown == self.info.decision.label else "clear"

    @property
    def is_smoking(self) -> bool:
        """Whether the model looks for smoking, which the page's sentences are written for."""
        return self.info.decision.label == "Smoking"
