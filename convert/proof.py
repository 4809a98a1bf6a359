"""How far a converted model is from the Keras model, on real pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """The difference between two models' scores.

    Attributes:
        pictures: how many were compared.
        flips: how many got another label.
        mean_difference: mean of \\|p - q\\|.
        max_difference: largest \\|p - q\\|.
    """

    pictures: int
    flips: int
    mean_difference: float
    max_difference: float


def compare(keras_scores: np.ndarray, tflite_scores: np.ndarray, threshold: float) -> Agreement:
    """Compares P(Smoking) of two models over the same pictures.

    Args:
        keras_scores: ``float[n]``
        tflite_scores: ``float[n]``
        threshold: from which score on a picture is Smoking.
    """
    difference = np.abs(keras_scores - tflite_scores)
    flips = (keras_scores >= threshold) != (tflite_scores >= threshold)
    return Agreement(
        pictures=len(difference),
        flips=int(flips.sum()),
        mean_difference=float(difference.mean()),
        max_difference=float(difference.max()),
    )
