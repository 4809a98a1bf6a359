"""The figures by which a model is judged, with scikit-learn."""

from __future__ import annotations

import numpy as np
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
        where there is one only.
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
        "loss": float(metrics.log_loss(smoking, scores.astype(np.float64), labels=[False, True])),
        "roc_auc": float(metrics.roc_auc_score(smoking, scores)) if both_classes else None,
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
                "f1": float(f1[i]),
                "pictures": int(support[i]),
            }
            for i, name in enumerate(LABELS)
        },
    }
