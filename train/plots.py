"""Plots of a model's figures, as PNG files."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn import metrics

from train.metrics import LABELS

_COLOURS = {"NotSmoking": "#2a9d8f", "Smoking": "#d1495b"}


def plot_all(smoking: np.ndarray, scores: np.ndarray, threshold: float, folder: Path) -> list[Path]:
    """Writes the plots that the labels allow, and returns their paths.

    Args:
        smoking: the true labels, ``bool[n]``.
        scores: P(Smoking), ``float[n]``.
        threshold: from which score on a picture is labelled Smoking.
        folder: where to; made where it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plots = {"confusion_matrix": _plot_confusion, "scores": _plot_scores}
    if len(np.unique(smoking)) == 2:
        plots["curves"] = _plot_curves
    paths = []
    for name, plot in plots.items():
        figure = plot(smoking, scores, threshold)
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=120)
        plt.close(figure)
    return paths


def _plot_confusion(smoking: np.ndarray, scores: np.ndarray, threshold: float):
    figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    metrics.ConfusionMatrixDisplay.from_predictions(
        smoking,
        scores >= threshold,
        labels=[False, True],
        display_labels=LABELS,
        cmap="BuGn",
        colorbar=False,
        ax=axes,
    )
    accuracy = metrics.accuracy_score(smoking, scores >= threshold)
    axes.set_title(f"{accuracy:.1%} of {len(smoking)} pictures right")
    return figure


def _plot_scores(smoking: np.ndarray, scores: np.ndarray, threshold: float):
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    bins = np.linspace(0, 1, 41)
    for name, of_class in zip(LABELS, (~smoking, smoking), strict=True):
        axes.hist(scores[of_class], bins, alpha=0.65, label=name, color=_COLOURS[name])
    axes.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:g}")
    axes.set(title="Scores", xlabel="P(Smoking)", ylabel="pictures", yscale="log")
    axes.legend()
    return figure


def _plot_curves(smoking: np.ndarray, scores: np.ndarray, threshold: float):
    figure, (roc, precision_recall) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    metrics.RocCurveDisplay.from_predictions(smoking, scores, ax=roc, name="model")
    roc.set_title("ROC")
    metrics.PrecisionRecallDisplay.from_predictions(
        smoking, scores, ax=precision_recall, name="model"
    )
    precision_recall.set_title("Precision and recall")
    chosen = metrics.confusion_matrix(smoking, scores >= threshold, labels=[False, True])
    (tn, fp), (fn, tp) = chosen
    roc.plot(fp / (fp + tn), tp / (tp + fn), "o", color="black", label="at the threshold")
    precision_recall.plot(tp / (tp + fn), tp / max(tp + fp, 1), "o", color="black")
    for axes in (roc, precision_recall):
        axes.legend(loc="lower left" if axes is precision_recall else "lower right")
        axes.set_xlabel(axes.get_xlabel().split(" (")[0])
        axes.set_ylabel(axes.get_ylabel().split(" (")[0])
    return figure
