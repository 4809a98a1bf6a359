"""The figures by which a model is judged, each with its count and a 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats
from sklearn import metrics

LABELS = ("NotSmoking", "Smoking")
ALARMS = (0.01, 0.02, 0.05)  # shares of false alarms at which the recall is reported

Figure = dict[str, Any]
"""A number with its 95 % interval: ``value``, ``interval``, and for shares ``hits`` and ``of``."""


def share(hits: int, of: int) -> Figure:
    """A proportion with its count and the interval of Wilson's score (1927).

    >>> share(1, 4)["value"]
    0.25
    """
    hits, of = int(hits), int(of)
    if not of:
        return {"hits": 0, "of": 0, "value": None, "interval": None}
    interval = stats.binomtest(hits, of).proportion_ci(method="wilson")
    return {"hits": hits, "of": of, "value": hits / of, "interval": [*map(float, interval)]}


def measure(
    smoking: np.ndarray,
    scores: np.ndarray,
    threshold: float,
    uncertain: tuple[float, float] | None = None,
    others: np.ndarray | None = None,
) -> dict[str, Any]:
    """Computes the figures of scores over labelled pictures.

    Args:
        smoking: the true labels, ``bool[n]``.
        scores: P(Smoking), ``float[n]`` in [0, 1].
        threshold: a picture is labelled Smoking from this score on.
        uncertain: the range of uncertain scores.
        others: scores of NotSmoking pictures, for AUC and recall at given false alarms where these
            pictures have too few of their own.

    Returns:
        A dictionary that JSON can hold.
    """
    positive, negative = scores[smoking], scores[~smoking]
    predicted = scores >= threshold
    confusion = metrics.confusion_matrix(smoking, predicted, labels=[False, True])
    (kept, alarms), (_, hits) = confusion
    against = negative if others is None or len(negative) >= 50 else others
    low, high = uncertain or (threshold, threshold)
    auc, ranked = delong(positive, against), np.concatenate([positive, against])
    truth = np.arange(len(ranked)) < len(positive)
    right, recall = share(kept + hits, len(smoking)), share(hits, len(positive))
    return {
        "pictures": len(smoking),
        "accuracy": right["value"],
        "accuracy_interval": right["interval"],
        "recall": recall,
        "false_alarms": share(alarms, len(negative)),
        "uncertain": share(((scores >= low) & (scores < high)).sum(), len(scores)),
        "auc": auc,
        "average_precision": auc and float(metrics.average_precision_score(truth, ranked)),
        "recall_at": {f"{limit:g}": recall_at(positive, against, limit) for limit in ALARMS},
        "calibration_error": expected_calibration_error(scores, smoking),
        "confusion_matrix": confusion.tolist(),
        "classes": {
            "NotSmoking": {"pictures": len(negative), "recall": kept / max(1, len(negative))},
            "Smoking": {"pictures": len(positive), "recall": recall["value"] or 0.0},
        },
    }


def recall_at(positive: np.ndarray, negative: np.ndarray, limit: float) -> Figure | None:
    """The recall at the lowest threshold with at most ``limit`` false alarms."""
    if not len(positive) or not len(negative):
        return None
    return share((positive > highest(negative, limit)).sum(), len(positive))


def highest(negative: np.ndarray, limit: float) -> float:
    """The score that at most ``limit`` of the NotSmoking pictures exceed."""
    ordered = np.sort(negative)[::-1]
    return float(ordered[min(len(ordered) - 1, math.floor(limit * len(ordered)))])


def delong(positive: np.ndarray, negative: np.ndarray) -> Figure | None:
    """The area under the ROC curve with DeLong's interval (Biometrics 1988), cut off at 1.

    Computed from ranks, as by Sun and Xu (IEEE Signal Processing Letters, 2014).
    """
    m, n = len(positive), len(negative)
    if not m or not n:
        return None
    ranks = stats.rankdata(np.concatenate([positive, negative]))
    of_positive = (ranks[:m] - stats.rankdata(positive)) / n
    of_negative = 1 - (ranks[m:] - stats.rankdata(negative)) / m
    area = float(of_positive.mean())
    if min(m, n) < 2:
        return {"value": area, "interval": None}
    error = 1.96 * math.sqrt(of_positive.var(ddof=1) / m + of_negative.var(ddof=1) / n)
    return {"value": area, "interval": [max(0.0, area - error), min(1.0, area + error)]}


def expected_calibration_error(scores: np.ndarray, smoking: np.ndarray, bins: int = 15) -> float:
    """Mean distance of score and share of Smoking over bins of equal width, by their pictures.

    The expected calibration error of Naeini and others (2015) with the bins of Guo and others
    (2017), of P(Smoking) rather than of the confidence in the label.
    """
    of_bin = np.minimum((np.asarray(scores) * bins).astype(int), bins - 1)
    gaps = [abs(scores[of_bin == b].sum() - smoking[of_bin == b].sum()) for b in np.unique(of_bin)]
    return float(sum(gaps) / max(1, len(scores)))


def percent(figure: Figure | None) -> str:
    """A `share` as text: ``97.8 % (219 of 224; 94.9 to 99.0)``; a dash if there is none."""
    if not figure or figure["value"] is None:
        return "-"
    low, high = (100 * bound for bound in figure["interval"])
    counts = f"{figure['hits']} of {figure['of']}"
    return f"{100 * figure['value']:.1f} % ({counts}; {low:.1f} to {high:.1f})"


def area(figure: Figure | None) -> str:
    """An AUC for people: ``0.984 (0.978 to 0.990)``."""
    if not figure:
        return "-"
    bounds = figure["interval"]
    return f"{figure['value']:.3f}" + (f" ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else "")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
