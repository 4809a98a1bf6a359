"""A bounded number of interpreters that visitors take turns with."""

from __future__ import annotations

import os
import queue
import time
from dataclasses import dataclass

from PIL import Image

from edge_app.classifier import Classifier, Prediction
from edge_app.imaging import read_thumbnail
from edge_app.web.uploads import check_picture

PREVIEW = 640
"""Longer side of the picture under the evidence map, in pixels."""


@dataclass(frozen=True)
class Answer:
    """A prediction for people.

    Attributes:
        prediction: what the model says.
        shown: the label that people are given: that of the prediction, or ``Uncertain``.
        elapsed_ms: from the file to the prediction, in milliseconds.
        preview: the picture, upright, at most `PREVIEW` pixels long; None where not asked for.
    """

    prediction: Prediction
    shown: str
    elapsed_ms: float
    preview: Image.Image | None = None


class Pool:
    """Interpreters of one model, as many as there are cores, four at most."""

    def __init__(self, classifier: Classifier):
        self.info = classifier.info
        self.size = min(4, os.cpu_count() or 1)
        self._free: queue.LifoQueue[Classifier] = queue.LifoQueue()
        self._free.put(classifier)
        for _ in range(self.size - 1):
            self._free.put(
                Classifier(classifier.info.path, threshold=classifier.info.decision.threshold)
            )

    def classify(self, source: str | bytes, preview: bool = True) -> Answer:
        """Classifies an uploaded file.

        Args:
            source: a path, or the bytes of a picture file.
            preview: whether the answer is to hold the picture, which takes another decoding.

        Raises:
            edge_app.web.uploads.LimitError: the file is beyond the limits.
            edge_app.imaging.PictureError: it cannot be read.
        """
        start = time.perf_counter()
        check_picture(source)
        classifier = self._free.get()
        try:
            prediction = classifier.classify(source)
        finally:
            self._free.put(classifier)
        elapsed_ms = (time.perf_counter() - start) * 1000
        picture = read_thumbnail(source, PREVIEW) if preview else None
        shown = "Uncertain" if prediction.uncertain else prediction.label
        return Answer(prediction, shown, elapsed_ms, picture)
