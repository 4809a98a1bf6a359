"""The decision: calibration, threshold, uncertain band, and when to look again.

All of it is fitted on Validation. ``python3 run.py decide`` does it for an existing model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from edge_app.decision import Decision
from edge_app.looks import Looks, combine_all
from train.metrics import highest
from train.recipe import DecisionRecipe, Recipe
from train.scoring import Scores

TAIL = 0.1
"""Share of the NotSmoking pictures, those with the highest scores, that the threshold is estimated
from."""


class DecisionError(ValueError):
    """Scores that no decision can be fitted to; the message says why."""


@dataclass(frozen=True)
class Sample:
    """Scores of labelled pictures, ready for fitting.

    Attributes:
        logits: as `train.scoring.Scores` has them.
        smoking: labels, ``bool[n]``.
        families: name of the family of each, ``str[n]``.
        limited: families on whose NotSmoking pictures false alarms are limited, each separately.
    """

    logits: np.ndarray
    smoking: np.ndarray
    families: np.ndarray
    limited: tuple[str, ...]

    @classmethod
    def of(cls, scores: Scores, recipe: Recipe) -> Sample:
        """Scores with the families of a recipe; without its limited ones, all pictures count."""
        smoking = np.array([e.smoking for e in scores.examples], bool)
        families = np.array([recipe.family_of(e.dataset) for e in scores.examples])
        limited = tuple(f for f in recipe.decision.limited if f in families[~smoking])
        return cls(scores.logits, smoking, families, limited)

    def negatives(self) -> dict[str, np.ndarray]:
        """Places of the NotSmoking pictures of each limited family, or of all without any."""
        of = {f: np.flatnonzero(~self.smoking & (self.families == f)) for f in self.limited}
        return of or {"all": np.flatnonzero(~self.smoking)}

    def limit(self, values: np.ndarray, false_alarms: float) -> float:
        """The value that at most a share of the NotSmoking pictures of each family reaches."""
        return max(limit(values[places], false_alarms) for places in self.negatives().values())


def platt(logits: np.ndarray, smoking: np.ndarray) -> float:
    """The slope of a logistic regression on logits, with the targets of Platt (1999).

    His targets are not quite 0 and 1, so there is a slope also where all pictures are told apart.

    Raises:
        DecisionError: a label is missing, or higher scores do not mean Smoking more often.
    """
    counts = np.array([np.sum(~smoking), np.sum(smoking)])
    if not counts.all():
        raise DecisionError(
            f"expected pictures of both labels, got {counts[0]} NotSmoking and {counts[1]} Smoking"
        )
    targets = np.where(smoking, (counts[1] + 1) / (counts[1] + 2), 1 / (counts[0] + 2))
    regression = LogisticRegression(C=np.inf).fit(
        np.tile(logits, 2)[:, None],
        np.repeat([True, False], len(logits)),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    slope = float(regression.coef_[0, 0])
    if slope <= 0 or np.ptp(logits) == 0:
        raise DecisionError(
            f"higher scores do not mean Smoking more often on these {len(logits)} pictures (slope "
            f"{slope:.3f}): the model is no better than chance here, or the labels are swapped. "
            "Nothing is calibrated"
        )
    return slope


def tail_threshold(logits: np.ndarray, false_alarms: float) -> float:
    """The logit that a share of the NotSmoking pictures reaches, from their logits ``float[n]``.

    Only a handful of a few hundred pictures have such a logit, and the quantile moves with the gaps
    between them. So it is read off an exponential distribution, fitted to how far the logits of the
    highest `TAIL` lie above the rest (peaks over a threshold: Pickands, "Statistical Inference
    Using Extreme Order Statistics", 1975, with a shape of zero). For a share from `TAIL` on, the
    quantile itself is given.
    """
    if false_alarms >= TAIL or len(logits) < 2:
        return float(np.quantile(logits, 1 - false_alarms))
    ordered = np.sort(logits)[::-1]
    count = max(1, round(TAIL * len(ordered)))
    above = ordered[:count] - ordered[count]
    return float(ordered[count] + above.mean() * np.log(count / len(ordered) / false_alarms))


def limit(logits: np.ndarray, false_alarms: float) -> float:
    """The logit that a share of NotSmoking pictures reaches, by the tail and by count."""
    return max(tail_threshold(logits, false_alarms), highest(logits, false_alarms) + 1e-6)


def fit_first(sample: Sample, false_alarms: float) -> tuple[float, float]:
    """Scale and bias of the first look: calibrated, with the threshold at 0.

    There, at a score of 0.5, every standard runner decides the same, since the larger of the two
    scores is the label's.
    """
    first = sample.logits[:, 0]
    scale = platt(first, sample.smoking)
    return scale, -scale * sample.limit(first, false_alarms)


def fit_looks(sample: Sample, columns: Sequence[int], looks: Looks, false_alarms: float) -> Looks:
    """Fits scale and bias of the mean of the looks, with the threshold at 0.

    Args:
        sample: with the logits of the first look calibrated by `fit_first`, and the same scale and
            bias applied to all others.
        columns: of the looks in the sample's logits, without the first one.
        looks: sizes, lowest and upscale.
        false_alarms: the share that is allowed in each limited family.
    """
    logits = sample.logits[:, [0, *columns]]
    mean = np.nanmean(logits, axis=1)
    again = (logits[:, 0] >= looks.lowest) & ~np.isnan(logits[:, 1:]).all(axis=1)
    scale = platt(mean[again], sample.smoking[again])
    # What is not looked at again stays below the threshold, whatever the bias.
    floor = np.where(again, scale * mean, np.minimum(logits[:, 0], scale * mean[again].min()))
    bias = -sample.limit(floor, false_alarms)
    return replace(looks, scale=scale, bias=min(max(bias, -16.0), 16.0))


def uncertain_band(
    scores: np.ndarray, sample: Sample, threshold: float, recipe: DecisionRecipe
) -> tuple[float, float]:
    """The scores around the threshold at which the model is often wrong.

    How probable Smoking is at a score is read off an isotonic regression with both labels weighted
    alike. The lower end rises until no limited family has more uncertain NotSmoking pictures than
    the recipe allows.

    Args:
        scores: P(Smoking) of the sample, ``float[n]``.
        sample, threshold: labels, families and the threshold of the decision.
        recipe: which share of wrong labels is often, and how many may be uncertain.

    Returns:
        The first uncertain score, and the first above it that is not.
    """
    smoking = sample.smoking
    weights = np.where(smoking, 0.5 / smoking.sum(), 0.5 / (~smoking).sum())
    curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    curve.fit(scores, smoking, sample_weight=weights)
    grid = np.linspace(0, 1, 201)
    probable = curve.predict(grid)
    below = grid[(grid <= threshold) & (probable >= recipe.uncertain_errors)]
    above = grid[(grid >= threshold) & (probable > 1 - recipe.uncertain_errors)]
    low, high = float(below.min(initial=threshold)), float(above.min(initial=1.0))
    for places in sample.negatives().values():
        allowed = math.floor(recipe.uncertain_limit * len(places))
        inside = np.sort(scores[places][(scores[places] >= low) & (scores[places] < high)])
        if len(inside) > allowed:
            low = max(low, math.ceil(1000 * inside[len(inside) - allowed - 1] + 1e-9) / 1000)
    return min(low, threshold), high


def fit_decision(
    sample: Sample, recipe: DecisionRecipe, sizes: Sequence[float], lowest: float
) -> tuple[Decision, np.ndarray]:
    """The decision for calibrated logits, and the scores P(Smoking) ``float[n]`` it gives.

    Args:
        sample: calibrated by `fit_first`, with one column for each of ``sizes``.
        recipe: the numbers.
        sizes, lowest: of the looks; no sizes for one look.
    """
    looks = None
    if sizes:
        looks = Looks(tuple(sizes), lowest, recipe.upscale)
        looks = fit_looks(sample, range(1, 1 + len(sizes)), looks, recipe.false_alarms)
    scores = expit(combine_all(sample.logits, looks))
    measured = " and of ".join(
        f"{len(places)} NotSmoking pictures ({name})" for name, places in sample.negatives().items()
    )
    decision = Decision(
        threshold=0.5,
        chosen=(
            f"at most {recipe.false_alarms:.1%} false alarms expected on the Validation pictures "
            f"of each of these, from the tail of the scores: {measured}"
        ),
        uncertain=uncertain_band(scores, sample, 0.5, recipe),
        looks=looks,
    )
    return decision, scores
