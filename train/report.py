"""The evaluation of a model for people: Markdown, a table for the terminal, and plots."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn import metrics

from train.metrics import LABELS, area, expected_calibration_error, percent, table

_COLOURS = {"NotSmoking": "#2a9d8f", "Smoking": "#d1495b"}
_TABLES = {
    "datasets": "By data set",
    "kinds_without_smoking": "Without smoking, by kind or activity",
    "kinds_with_smoking": "With smoking, by kind",
    "sizes": "By the size of what is smoked",
    "appearance": "By the look of the picture",
}
_START, _END = "<!-- figures -->", "<!-- /figures -->"


def to_markdown(report: dict[str, Any], plots: str) -> str:
    """The report of `train.evaluate` as Markdown.

    Args:
        report: what evaluation.json holds.
        plots: name of the folder of the plots, from where the document lies.
    """
    speed, looks = report["speed"], report["looks"]
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
            f"{squares} of its shorter side): {speed['looked_again']:.1%} of these pictures, "
            f"{speed['looked_again_without_smoking']:.1%} of those without smoking. The model "
            f"alone takes {speed['one_look_ms']:.1f} ms for one look and "
            f"{speed['all_looks_ms']:.1f} ms per picture with all looks, on the machine of this "
            "evaluation."
        )
    rows = [
        [name, label, *_judged(report[key][name])]
        for name in report["all_looks"]
        for key, label in (("one_look", "one"), ("all_looks", "all"))
        if looks or key == "all_looks"
    ]
    parts.append(table(["pictures", "looks", *_JUDGED], rows))
    for key, title in _TABLES.items():
        if report[key]:
            parts += [f"## {title}", table(["pictures", *_SHORT], _rows(report[key]))]
    if "conditions" in report:
        parts += ["## Changed pictures (one look)", _conditions(report["conditions"])]
    if alone := report.get("looks_alone"):
        rows = [[n, str(r["pictures"]), f"{r['auc']:.3f}"] for n, r in alone.items()]
        parts += [
            "## What the look alone tells",
            "AUC of a random forest that sees file size, shape, mean colour, contrast, sharpness "
            "and borders, on groups it was not trained on. 0.5: the look says nothing about the "
            "label.",
            table(["set", "pictures", "AUC"], rows),
        ]
    if against := report.get("against_keras"):
        parts += [
            "## Against the Keras model (one look)",
            f"Of {against['pictures']} pictures, {against['other_label']} get another label. The "
            f"scores differ by {against['mean_difference']:.4f} on average and by "
            f"{against['largest_difference']:.4f} at most.",
        ]
    parts.append("## Plots")
    parts.append("\n".join(f"![{p[:-4].replace('_', ' ')}]({plots}/{p})" for p in report["plots"]))
    return "\n\n".join(parts) + "\n"


_JUDGED = (
    *("AUC", "recall at 1 %", "recall at 2 %", "recall at 5 %", "recall", "false alarms"),
    *("uncertain", "calibration error"),
)
_SHORT = ("count", "recall", "false alarms", "uncertain", "AUC")


def _judged(result: dict[str, Any]) -> list[str]:
    return [
        area(result["auc"]),
        *(percent(figure) for figure in result["recall_at"].values()),
        percent(result["recall"]),
        percent(result["false_alarms"]),
        percent(result["uncertain"]),
        f"{result['calibration_error']:.3f}",
    ]


def _rows(results: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Rows of a table, the worst first."""

    def badness(item: tuple[str, dict[str, Any]]) -> float:
        recall, alarms = item[1]["recall"]["value"], item[1]["false_alarms"]["value"]
        return -(alarms or 0) - (1 - recall if recall is not None else 0)

    return [
        [
            name.replace("_", " "),
            str(r["pictures"]),
            *(percent(r[key]) for key in ("recall", "false_alarms", "uncertain")),
            area(r["auc"]),
        ]
        for name, r in sorted(results.items(), key=badness)
    ]


def _conditions(results: dict[str, dict[str, Any]]) -> str:
    first = next(iter(results.values()))
    rows = [
        [
            name,
            str(r["pictures"]),
            f"{r['accuracy']:.1%}",
            f"{100 * (first['accuracy'] - r['accuracy']):.1f}",
            percent(r["recall"]),
            percent(r["false_alarms"]),
        ]
        for name, r in results.items()
    ]
    return table(["pictures", "count", "accuracy", "points lost", "recall", "false alarms"], rows)


def print_table(report: dict[str, Any]) -> str:
    """The most important figures for the terminal."""
    lines = [
        f"{'':<26}{'AUC':>8}{'recall at 2 %':>15}{'recall':>9}{'false alarms':>14}{'uncertain':>11}"
    ]
    for name, r in {**report["all_looks"], **report["datasets"]}.items():
        at = r["recall_at"]["0.02"]
        cells = (r["auc"] and r["auc"]["value"], at and at["value"], r["recall"]["value"])
        cells += (r["false_alarms"]["value"], r["uncertain"]["value"])
        auc, *shares = ("-" if cell is None else cell for cell in cells)
        texts = [f"{s:.1%}" if isinstance(s, float) else s for s in shares]
        auc = f"{auc:.4f}" if isinstance(auc, float) else auc
        widths = (8, 15, 9, 14, 11)
        lines.append(
            f"{name:<26}" + "".join(f"{t:>{w}}" for t, w in zip((auc, *texts), widths, strict=True))
        )
    return "\n".join(lines)


def figures_block(report: dict[str, Any], file: Path) -> None:
    """Replaces what stands between the comments ``figures`` and ``/figures`` of a document.

    Raises:
        ValueError: the document has no such comments.
    """
    text = file.read_text(encoding="utf-8")
    if _START not in text or _END not in text:
        raise ValueError(f"{file}: expected the comments {_START} and {_END}")
    rows = []
    for name, r in report["datasets"].items():
        if name.startswith("smoker"):
            right = {"hits": round(r["accuracy"] * r["pictures"]), "of": r["pictures"]}
            figure = {**right, "value": r["accuracy"], "interval": r["accuracy_interval"]}
            where = name if ", " in name else f"{name}, {report['split']}"
            rows.append([f"{where}: accuracy", percent(figure)])
    for name, r in report["all_looks"].items():
        if name == "all pictures":
            continue
        if r["recall"]["value"] is not None:
            rows.append([f"{name}: AUC", area(r["auc"])])
            rows.append([f"{name}: recall at 2 % false alarms", percent(r["recall_at"]["0.02"])])
        rows.append([f"{name}: false alarms", percent(r["false_alarms"])])
    rows.append(
        [
            "all: calibration error",
            f"{report['all_looks']['all pictures']['calibration_error']:.3f}",
        ]
    )
    block = f"{_START}\n{table(['figure', 'value'], [r for r in rows if r[1] != '-'])}\n{_END}"
    pattern = re.compile(f"{re.escape(_START)}.*?{re.escape(_END)}", re.DOTALL)
    file.write_text(pattern.sub(lambda _: block, text), encoding="utf-8")


def write_plots(
    smoking: np.ndarray,
    scores: np.ndarray,
    families: np.ndarray,
    report: dict[str, Any],
    folder: Path,
) -> None:
    """Writes plots, and their names into the report."""
    plots = {
        "confusion_matrix.png": _plot_confusion,
        "scores.png": _plot_scores,
        "reliability.png": _plot_reliability,
    }
    if len(np.unique(smoking)) == 2:
        plots["curves.png"] = _plot_curves
    if report["kinds_without_smoking"]:
        plots["false_alarms.png"] = _plot_false_alarms
    for name, plot in plots.items():
        figure = plot(smoking, scores, families, report)
        figure.savefig(folder / name, dpi=100)
        plt.close(figure)
    report["plots"] = list(plots)


def _plot_confusion(smoking, scores, families, report):
    figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    predicted = scores >= report["threshold"]
    metrics.ConfusionMatrixDisplay.from_predictions(
        *(smoking, predicted),
        labels=[False, True],
        display_labels=LABELS,
        cmap="BuGn",
        colorbar=False,
        ax=axes,
    )
    axes.set_title(f"{np.mean(predicted == smoking):.1%} of {len(smoking)} pictures right")
    return figure


def _plot_scores(smoking, scores, families, report):
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for name, of_class in zip(LABELS, (~smoking, smoking), strict=True):
        bins = np.linspace(0, 1, 41)
        axes.hist(scores[of_class], bins, alpha=0.65, label=name, color=_COLOURS[name])
    axes.axvline(report["threshold"], color="black", linestyle="--", label="threshold")
    axes.set(title="Scores", xlabel="P(Smoking)", ylabel="pictures", yscale="log")
    axes.legend()
    return figure


def _plot_curves(smoking, scores, families, report):
    figure, axes = plt.subplots(figsize=(5.4, 4.6), layout="constrained")
    for name in ["all pictures", *np.unique(families)]:
        of = (families == name) | (name == "all pictures")
        negative = of & ~smoking if (of & ~smoking).sum() >= 50 else ~smoking
        chosen = (of & smoking) | negative
        if (of & smoking).any():
            metrics.RocCurveDisplay.from_predictions(
                smoking[chosen], scores[chosen], ax=axes, name=name
            )
    axes.set(title="ROC", xscale="log", xlim=(2e-3, 1), xlabel="false alarms", ylabel="recall")
    axes.set_aspect("auto")
    return figure


def _plot_reliability(smoking, scores, families, report):
    figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    of_bin = np.minimum((scores * 10).astype(int), 9)
    axes.plot([0, 1], [0, 1], "--", color="grey", label="perfectly calibrated")
    points = [
        (scores[of_bin == b].mean(), smoking[of_bin == b].mean(), (of_bin == b).sum())
        for b in np.unique(of_bin)
    ]
    x, y, counts = zip(*points, strict=True)
    axes.plot(x, y, "o-", color=_COLOURS["Smoking"], label="measured")
    for place, count in enumerate(counts):
        axes.annotate(
            f"{count}", (x[place], y[place]), (4, -10), textcoords="offset points", fontsize=7
        )
    error = expected_calibration_error(scores, smoking)
    axes.set(title=f"Calibration error {error:.3f}", xlabel="P(Smoking), mean of the bin")
    axes.set_ylabel("share of Smoking")
    axes.legend(loc="lower right")
    return figure


def _plot_false_alarms(smoking, scores, families, report):
    kinds = report["kinds_without_smoking"].items()
    worst = sorted(
        ((r["false_alarms"]["value"], name, r) for name, r in kinds), key=lambda x: -x[0]
    )[:20]
    figure, axes = plt.subplots(figsize=(7, 0.8 + 0.28 * len(worst)), layout="constrained")
    names = [
        f"{name.replace('_', ' ')} ({r['false_alarms']['hits']} of {r['pictures']})"
        for _, name, r in worst
    ]
    axes.barh(names, [100 * value for value, *_ in worst], color=_COLOURS["Smoking"])
    axes.invert_yaxis()
    axes.set(title="False alarms by kind", xlabel="% of its pictures called Smoking")
    return figure
