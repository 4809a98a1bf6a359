"""Plots of a model's figures, as PNG files."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn import metrics

from train.metrics import LABELS, expected_calibration_error

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
    plots = {
        "confusion_matrix": _plot_confusion,
        "scores": _plot_scores,
        "reliability": _plot_reliability,
    }
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


def _plot_reliability(smoking: np.ndarray, scores: np.ndarray, threshold: float):
    figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    edges = np.linspace(0, 1, 11)
    of_bin = np.minimum((scores * 10).astype(int), 9)
    used = np.unique(of_bin)
    means = np.array([scores[of_bin == b].mean() for b in used])
    shares = np.array([smoking[of_bin == b].mean() for b in used])
    counts = np.array([(of_bin == b).sum() for b in used])
    axes.plot([0, 1], [0, 1], "--", color="grey", label="scores that mean what they say")
    axes.plot(means, shares, "o-", color=_COLOURS["Smoking"], label="measured")
    for x, y, count in zip(means, shares, counts, strict=True):
        axes.annotate(f"{count}", (x, y), (4, -10), textcoords="offset points", fontsize=7)
    axes.set(
        title=f"Calibration error {expected_calibration_error(scores, smoking):.3f}",
        xlabel="P(Smoking), mean of the bin",
        ylabel="share of Smoking",
        xticks=edges[::2],
    )
    axes.legend(loc="lower right")
    return figure


def plot_false_alarms(groups: dict[str, list[int]], file: Path) -> None:
    """Writes a bar chart of false alarms by what people do, the worst first.

    Args:
        groups: name of the group to its false alarms and its pictures.
        file: a PNG file.
    """
    shares = sorted(
        ((alarms / count, name, alarms, count) for name, (alarms, count) in groups.items()),
        reverse=True,
    )
    shares = [row for row in shares if row[2]][:20]
    figure, axes = plt.subplots(figsize=(6, 0.8 + 0.28 * max(1, len(shares))), layout="constrained")
    names = [f"{name.replace('_', ' ')} ({alarms} of {count})" for _, name, alarms, count in shares]
    axes.barh(names, [100 * share for share, *_ in shares], color=_COLOURS["Smoking"])
    axes.invert_yaxis()
    axes.set(title="False alarms by activity", xlabel="% of its pictures called Smoking")
    figure.savefig(file, dpi=120)
    plt.close(figure)
