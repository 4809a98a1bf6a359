"""The evaluation of a model for people: Markdown, a table for the terminal, and plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw
from sklearn import metrics
from sklearn.calibration import CalibrationDisplay

from edge_app.files import whole_file
from edge_app.imaging import read_thumbnail
from train.data import Example
from train.metrics import ALARMS, LABELS, area, expected_calibration_error, percent, table

_TABLES = {
    "datasets": "By data set",
    "kinds_without_smoking": "Without smoking, by kind or activity",
    "kinds_with_smoking": "With smoking, by kind",
    "sizes": "By the size of what is smoked",
    "appearance": "By the look of the picture",
}


def to_markdown(report: dict[str, Any], folder: str) -> str:
    """What evaluation.json holds as Markdown; ``folder`` is the one beside it with the plots."""
    looks = report["looks"]
    parts = [
        f"# Evaluation of {report['model']}",
        f"SHA-256 `{report['sha256']}`, threshold {report['threshold']:.3g}, {report['split']} "
        "pictures. Written by `python3 run.py evaluate`. Brackets: counts and 95 % intervals "
        "(Wilson's for shares, DeLong's for AUC). Where a row has fewer than 50 NotSmoking "
        "pictures, its AUC and its recall at given false alarms are against all NotSmoking "
        "pictures.",
        f"Threshold: {report['chosen']}.",
        "## One look and all looks",
    ]
    if looks:
        squares = " and ".join(f"{size:g}" for size in looks["sizes"])
        parts.append(
            f"From a logit of {looks['from']:.3g} on, a picture is looked at again (squares of "
            f"{squares} of its shorter side): {percent(report['looked_again'])} of these pictures, "
            f"{percent(report['looked_again_without_smoking'])} of those without smoking. One look "
            f"takes the model {report['ms_one_look']:.1f} ms here, all looks "
            f"{report['ms_all_looks']:.1f} ms per picture."
        )
    recalls = [f"recall at {100 * limit:g} %" for limit in ALARMS]
    head = ["pictures", "looks", "AUC", "average precision", *recalls, "recall", "false alarms"]
    rows = []
    for name in report["all_looks"]:
        for key in ("one_look", "all_looks") if looks else ("all_looks",):
            r = report[key][name]
            shares = [*r["recall_at"].values(), r["recall"], r["false_alarms"], r["uncertain"]]
            precision = f"{r['average_precision']:.3f}" if r["auc"] else "-"
            error, looked = f"{r['calibration_error']:.3f}", key.split("_")[0]
            rows.append([name, looked, area(r["auc"]), precision, *map(percent, shares), error])
    parts.append(table([*head, "uncertain", "calibration error"], rows))
    for key, title in _TABLES.items():
        rows = []
        for name, r in sorted(report[key].items(), key=lambda result: result[1]["accuracy"]):
            shares = map(percent, (r["recall"], r["false_alarms"], r["uncertain"]))
            rows.append([name.replace("_", " "), str(r["pictures"]), *shares, area(r["auc"])])
        if rows:
            head = ["pictures", "count", "recall", "false alarms", "uncertain", "AUC"]
            parts += [f"## {title}", table(head, rows)]
    if changed := report.get("conditions"):
        head = ["pictures", "count", "accuracy", "points lost", "recall", "false alarms"]
        best, rows = next(iter(changed.values()))["accuracy"], []
        for name, r in changed.items():
            right = [f"{r['accuracy']:.1%}", f"{100 * (best - r['accuracy']):.1f}"]
            shares = map(percent, (r["recall"], r["false_alarms"]))
            rows.append([name, str(r["pictures"]), *right, *shares])
        parts += ["## Changed pictures (one look)", table(head, rows)]
    if alone := report.get("looks_alone"):
        rows = [[n, str(r["pictures"]), f"{r['auc']:.3f}"] for n, r in alone.items()]
        parts += [
            "## What the look alone tells",
            "AUC of a random forest that sees file size, shape, mean colour, contrast, sharpness "
            "and borders, on groups it was not trained on. 0.5: the look says nothing about the "
            "label.",
            table(["set", "pictures", "AUC"], rows),
        ]
    parts.append(f"## Plots\n\n![Confusion matrix, scores, calibration, ROC]({folder}/plots.png)")
    return "\n\n".join(parts) + "\n"


def print_table(report: dict[str, Any]) -> str:
    """The most important figures for the terminal."""
    rows = [("", "AUC", "recall at 2 %", "recall", "false alarms", "uncertain")]
    for name, r in {**report["all_looks"], **report["datasets"]}.items():
        figures = [r["recall_at"]["0.02"], r["recall"], r["false_alarms"], r["uncertain"]]
        auc = f"{r['auc']['value']:.4f}" if r["auc"] else "-"
        shares = (f"{f['value']:.1%}" if f and f["value"] is not None else "-" for f in figures)
        rows.append((name, auc, *shares))
    return "\n".join(f"{name:<29}" + "".join(f"{c:>14}" for c in cells) for name, *cells in rows)


def write_plots(
    smoking: np.ndarray, scores: np.ndarray, families: np.ndarray, threshold: float, file: Path
) -> None:
    """Writes the confusion matrix, the scores, their calibration and ROC curves as one picture,
    from the labels ``bool[n]``, P(Smoking) ``float[n]`` and the family of each picture."""
    figure, axes = plt.subplots(2, 2, figsize=(11, 9), layout="constrained")
    (matrix, histogram), (reliability, roc) = axes
    predicted = scores >= threshold
    metrics.ConfusionMatrixDisplay.from_predictions(
        smoking, predicted, labels=[False, True], display_labels=LABELS, colorbar=False, ax=matrix
    )
    matrix.set(title=f"{np.mean(predicted == smoking):.1%} of {len(smoking)} pictures right")
    for label, of in zip(LABELS, (~smoking, smoking), strict=True):
        histogram.hist(scores[of], np.linspace(0, 1, 41), alpha=0.65, label=label)
    histogram.axvline(threshold, color="black", linestyle="--", label="threshold")
    histogram.set(title="Scores", xlabel="P(Smoking)", ylabel="pictures", yscale="log")
    histogram.legend()
    CalibrationDisplay.from_predictions(smoking, scores, n_bins=10, ax=reliability)
    error = f"Calibration error {expected_calibration_error(scores, smoking):.3f}"
    reliability.set(title=error, xlabel="P(Smoking), mean of the bin", ylabel="share of Smoking")
    for name in np.unique(families[smoking]) if not smoking.all() else ():
        of = (families == name) | ~smoking
        metrics.RocCurveDisplay.from_predictions(smoking[of], scores[of], ax=roc, name=name)
    labels = {"xlabel": "false alarms", "ylabel": "recall", "xscale": "log", "xlim": (2e-3, 1)}
    roc.set(title="ROC against all NotSmoking pictures", aspect="auto", **labels)
    with whole_file(file) as partial:
        figure.savefig(partial, dpi=100)
    plt.close(figure)


def contact_sheet(
    examples: Sequence[Example], scores: np.ndarray, threshold: float, file: Path
) -> None:
    """Writes the 40 pictures that are furthest on the wrong side, with their scores."""
    smoking = np.array([e.smoking for e in examples])
    wrong = np.flatnonzero((scores >= threshold) != smoking)
    wrong = wrong[np.argsort(-np.abs(scores[wrong] - threshold))][:40]
    side, across = 180, 8
    sheet = Image.new("RGB", (across * side, (side + 28) * -(-max(1, len(wrong)) // across)))
    draw = ImageDraw.Draw(sheet)
    for number, place in enumerate(wrong):
        x, y = number % across * side, number // across * (side + 28)
        example, score = examples[place], scores[place]
        sheet.paste(read_thumbnail(example.path, side), (x, y))
        text = f"{score:.2f}, is {LABELS[example.smoking]}\n{example.name[-28:]}"
        draw.text((x + 2, y + side), text, "white")
    with whole_file(file) as partial:
        sheet.save(partial)
