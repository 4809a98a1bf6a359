"""Scores that mean something: temperature, threshold and uncertain band from cross-validation."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from edge_app.decision import Decision

UNCERTAIN_ERRORS = 0.25
"""A score is uncertain where at least this share of the pictures that have it, both classes
weighted alike, are of the other class than the label says."""

TAIL = 0.1
"""Share of the NotSmoking pictures, those with the highest scores, that the threshold is estimated
from."""


@dataclass(frozen=True)
class Calibration:
    """What is done to a model's logit: ``slope * (logit - middle)``.

    Attributes:
        slope: one over the temperature.
        middle: the logit that becomes 0, a score of 0.5.
        decision: what goes into the model file.
    """

    slope: float
    middle: float
    decision: Decision

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated P(Smoking), ``float64[n]``, of logits ``float[n]``."""
        return 1 / (1 + np.exp(-self.slope * (logits - self.middle)))

    def apply(self, model: keras.Model) -> None:
        """Folds it into the last dense layer, so that the file itself is calibrated."""
        head = model.layers[-1]
        kernel, bias = head.get_weights()
        head.set_weights([self.slope * kernel, self.slope * (bias - self.middle)])


def calibrate(logits: np.ndarray, smoking: np.ndarray, false_alarms: float) -> Calibration:
    """Chooses temperature, threshold and uncertain band.

    The temperature is Platt's (1999): the slope of a logistic regression on the logits, with his
    targets, which are not quite 1 and 0, so that there is one also where all are told apart. The
    threshold is where ``false_alarms`` of NotSmoking pictures are to be expected; it is moved to
    0.5, where every standard runner, which only knows the larger score, decides the same.

    Args:
        logits: of pictures that the models had not seen, ``float[n]``.
        smoking: their labels, ``bool[n]``.
        false_alarms: the share that is allowed.
    """
    counts = np.array([np.sum(~smoking), np.sum(smoking)])
    targets = np.where(smoking, (counts[1] + 1) / (counts[1] + 2), 1 / (counts[0] + 2))
    regression = LogisticRegression(C=np.inf).fit(
        np.tile(logits, 2)[:, None],
        np.repeat([True, False], len(logits)),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    slope = float(regression.coef_[0, 0])
    middle = tail_threshold(logits[~smoking], false_alarms)
    scores = 1 / (1 + np.exp(-slope * (logits - middle)))
    return Calibration(
        slope,
        middle,
        Decision(
            threshold=0.5,
            chosen=(
                f"{false_alarms:.1%} false alarms are expected, from the scores of "
                f"{(~smoking).sum()} NotSmoking pictures in cross-validation"
            ),
            uncertain=uncertain_band(scores, smoking),
        ),
    )


def tail_threshold(logits: np.ndarray, false_alarms: float) -> float:
    """The logit that a share of the NotSmoking pictures reaches.

    Of a few hundred pictures a handful have such a logit, and the quantile moves by as much as
    they happen to lie apart. So it is read off an exponential distribution, fitted to how far the
    logits of the highest `TAIL` lie above the rest (peaks over a threshold: Pickands, "Statistical
    Inference Using Extreme Order Statistics", 1975, with a shape of zero).

    Args:
        logits: of NotSmoking pictures that the models had not seen, ``float[n]``.
        false_alarms: the share; from `TAIL` on, the quantile itself is given.
    """
    if false_alarms >= TAIL:
        return float(np.quantile(logits, 1 - false_alarms))
    ordered = np.sort(logits)[::-1]
    count = max(1, round(TAIL * len(ordered)))
    above = ordered[:count] - ordered[count]
    return float(ordered[count] + above.mean() * np.log(count / len(ordered) / false_alarms))


def uncertain_band(scores: np.ndarray, smoking: np.ndarray) -> tuple[float, float]:
    """The scores around 0.5 at which the label is wrong too often; see `UNCERTAIN_ERRORS`.

    How probable Smoking is at a score is read off an isotonic regression with both classes
    weighted alike.

    Args:
        scores: P(Smoking), ``float[n]``.
        smoking: labels, ``bool[n]``.

    Returns:
        The first uncertain score, and the first above it that is not.
    """
    weights = np.where(smoking, 0.5 / smoking.sum(), 0.5 / (~smoking).sum())
    curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    curve.fit(scores, smoking, sample_weight=weights)
    grid = np.linspace(0, 1, 101)
    probable = curve.predict(grid)
    low = grid[(grid <= 0.5) & (probable >= UNCERTAIN_ERRORS)]
    sure = grid[(grid >= 0.5) & (probable > 1 - UNCERTAIN_ERRORS)]
    return float(low.min(initial=0.5)), float(sure.min(initial=1.0))
