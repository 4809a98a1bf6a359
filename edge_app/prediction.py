"""The prediction for a picture, and the description of a loaded model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge_app.decision import Decision
from edge_app.looks import Box
from edge_app.metadata import Metadata


class ModelError(ValueError):
    """A model file that cannot be used. The message names it and says what to do."""


@dataclass(frozen=True)
class Prediction:
    """The prediction for one picture.

    Attributes:
        label: ``Smoking`` or ``NotSmoking``, or what the model calls them, by its threshold.
        confidence: score of that label, in [0, 1].
        smoking: score of the positive label, P(Smoking), in [0, 1].
        uncertain: whether the score is in the range where the model is often wrong, as measured in
            training; False if the file does not say.
        evidence: class activation map of the whole picture, calibrated: how much each cell speaks
            for the positive label, ``float32[rows, columns]`` in logits. Their mean plus the
            model's bias is the logit of the first look. None if the model has none.
        looks: how many looks at the picture the score is the mean of; 1 for the whole picture.
        region: where the closest look was taken, ``(left, top, right, bottom)`` in pixels of the
            upright picture; None for one look.
        incomplete: whether the file ends too early, so that a part of the picture is missing.

    >>> Prediction("Smoking", confidence=0.93, smoking=0.93).uncertain
    False
    """

    label: str
    confidence: float
    smoking: float
    uncertain: bool = False
    evidence: np.ndarray | None = field(default=None, repr=False, compare=False)
    looks: int = 1
    region: Box | None = None
    incomplete: bool = False

    def __post_init__(self) -> None:
        for name in ("confidence", "smoking"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"expected {name} in [0, 1], got {getattr(self, name)}")


@dataclass(frozen=True)
class ModelInfo:
    """What a loaded model is.

    Attributes:
        path: the file.
        sha256: checksum of the file, in hexadecimal.
        network: short checksum of the file without its decision. Files that differ in threshold
            or looks alone have the same.
        metadata: name, version, labels, normalization, from the file.
        decision: positive label, threshold, looks, from the file or the user.
        size: side of the input in pixels.
        input_dtype: as ``uint8``.
        quantization: scale and zero point of the input; (0.0, 0) for a float model.
        runtime: name and version of the interpreter.
        evidence: rows and columns of the evidence map; None where the model gives none.
    """

    path: Path
    sha256: str
    network: str
    metadata: Metadata
    decision: Decision
    size: int
    input_dtype: str
    quantization: tuple[float, int]
    runtime: str
    evidence: tuple[int, int] | None = None

    @property
    def other_label(self) -> str:
        """The label that is not the positive one."""
        return next(name for name in self.metadata.labels if name != self.decision.label)
