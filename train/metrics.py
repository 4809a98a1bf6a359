"""The figures by which a model is judged, with scikit-learn."""

from __future__ import annotations

import numpy as np
from scipy import stats
from sklearn import metrics

LABELS = ("NotSmoking", "Smoking")


def measure(smoking: np.ndarray, scores: np.ndarray, threshold: float) -> dict:
    """Computes the figures of a classifier over labelled pictures.

    Args:
        smoking: the true labels, ``bool[n]``.
        scores: P(Smoking), ``float[n]`` in [0, 1].
        threshold: from which score on a picture is labelled Smoking.

    Returns:
        A dictionary that JSON can hold. ``confusion_matrix`` has a row a true class and a column
        a predicted one, both in the order of `LABELS`. Figures that need both classes are None
        where there is one only. The intervals are of 95 %: Wilson's for shares, bootstrap for AUC.
    """
    predicted = scores >= threshold
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        smoking, predicted, labels=[False, True], zero_division=0
    )
    both_classes = len(np.unique(smoking)) == 2
    return {
        "pictures": len(smoking),
        "threshold": threshold,
        "accuracy": float(metrics.accuracy_score(smoking, predicted)),
        "accuracy_interval": wilson(int((smoking == predicted).sum()), len(smoking)),
        "calibration_error": expected_calibration_error(scores, smoking),
        "loss": float(metrics.log_loss(smoking, scores.astype(np.float64), labels=[False, True])),
        "roc_auc": float(metrics.roc_auc_score(smoking, scores)) if both_classes else None,
        "roc_auc_interval": _auc_interval(smoking, scores) if both_classes else None,
        "average_precision": (
            float(metrics.average_precision_score(smoking, scores)) if both_classes else None
        ),
        "confusion_matrix": metrics.confusion_matrix(
            smoking, predicted, labels=[False, True]
        ).tolist(),
        "classes": {
            name: {
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "recall_interval": wilson(
                    int((predicted[smoking == bool(i)] == bool(i)).sum()), int(support[i])
                ),
                "f1": float(f1[i]),
                "pictures": int(support[i]),
            }
            for i, name in enumerate(LABELS)
        },
    }


def wilson(successes: int, trials: int) -> tuple[float, float] | None:
    """The 95 % interval of a share by Wilson's score (1927); None where nothing was tried."""
    if not trials:
        return None
    interval = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def _auc_interval(smoking: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Of 1,000 draws with replacement inside each class, the middle 95 %."""
    rng = np.random.default_rng(0)
    positive, negative = scores[smoking], scores[~smoking]
    labels = np.repeat([True, False], [len(positive), len(negative)])
    drawn = [
        metrics.roc_auc_score(
            labels,
            np.concatenate([rng.choice(part, len(part)) for part in (positive, negative)]),
        )
        for _ in range(1000)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def expected_calibration_error(scores: np.ndarray, smoking: np.ndarray, bins: int = 15) -> float:
    """Mean distance of score and share of Smoking over bins of equal width, by their pictures.

    The expected calibration error of Naeini and others (2015) with the bins of Guo and others
    (2017), of P(Smoking) rather than of the confidence in the label.

    Args:
        scores: P(Smoking), ``float[n]``.
        smoking: labels, ``bool[n]``.
        bins: how many.
    """
    of_bin = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = [abs(scores[of_bin == b].sum() - smoking[of_bin == b].sum()) for b in np.unique(of_bin)]
    return float(sum(gaps) / len(scores))
