"""The evaluation of a model for people: Markdown, a table for the terminal, and plots."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn import metrics

from edge_app.files import whole_file
from train.metrics import LABELS, area, expected_calibration_error, percent, table

_BLUE, _RED = "#2a9d8f", "#d1495b"
_TABLES = {
    "datasets": "By data set",
    "kinds_without_smoking": "Without smoking, by kind or activity",
    "kinds_with_smoking": "With smoking, by kind",
    "sizes": "By the size of what is smoked",
    "appearance": "By the look of the picture",
}
_START, _END = "<!-- figures -->", "<!-- /figures -->"


def to_markdown(report: dict[str, Any], plots: str) -> str:
    """What evaluation.json holds as Markdown; ``plots`` is the folder of its plots beside it."""
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
    head = ["pictures", "looks", "AUC", "recall at 1 %", "recall at 2 %", "recall at 5 %", "recall"]
    rows = []
    for name in report["all_looks"]:
        for key in ("one_look", "all_looks") if looks else ("all_looks",):
            r = report[key][name]
            shares = [*r["recall_at"].values(), r["recall"], r["false_alarms"], r["uncertain"]]
            error = f"{r['calibration_error']:.3f}"
            rows.append([name, key.split("_")[0], area(r["auc"]), *map(percent, shares), error])
    parts.append(table([*head, "false alarms", "uncertain", "calibration error"], rows))
    for key, title in _TABLES.items():
        if report[key]:
            head = ["pictures", "count", "recall", "false alarms", "uncertain", "AUC"]
            parts += [f"## {title}", table(head, _worst_first(report[key]))]
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


def _worst_first(results: dict[str, dict[str, Any]]) -> list[list[str]]:
    def goodness(item: tuple[str, dict[str, Any]]) -> float:
        recall, alarms = item[1]["recall"]["value"], item[1]["false_alarms"]["value"]
        return -(alarms or 0) - (1 - recall if recall is not None else 0)

    rows = []
    for name, r in sorted(results.items(), key=goodness):
        shares = map(percent, (r["recall"], r["false_alarms"], r["uncertain"]))
        rows.append([name.replace("_", " "), str(r["pictures"]), *shares, area(r["auc"])])
    return rows


def print_table(report: dict[str, Any]) -> str:
    """The most important figures for the terminal."""

    widths = (8, 15, 9, 14, 11)

    def line(name: str, *cells: str) -> str:
        return f"{name:<26}" + "".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))

    lines = [line("", "AUC", "recall at 2 %", "recall", "false alarms", "uncertain")]
    for name, r in {**report["all_looks"], **report["datasets"]}.items():
        figures = [r["recall_at"]["0.02"], r["recall"], r["false_alarms"], r["uncertain"]]
        auc = f"{r['auc']['value']:.4f}" if r["auc"] else "-"
        shares = (f"{f['value']:.1%}" if f and f["value"] is not None else "-" for f in figures)
        lines.append(line(name, auc, *shares))
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
    for name, r in list(report["all_looks"].items())[1:]:
        if r["recall"]["value"] is not None:
            rows.append([f"{name}: AUC", area(r["auc"])])
            rows.append([f"{name}: recall at 2 % false alarms", percent(r["recall_at"]["0.02"])])
        rows.append([f"{name}: false alarms", percent(r["false_alarms"])])
    error = report["all_looks"]["all pictures"]["calibration_error"]
    rows.append(["all: calibration error", f"{error:.3f}"])
    block = f"{_START}\n{table(['figure', 'value'], [r for r in rows if r[1] != '-'])}\n{_END}"
    pattern = re.compile(f"{re.escape(_START)}.*?{re.escape(_END)}", re.DOTALL)
    with whole_file(file) as partial:
        partial.write_text(pattern.sub(lambda _: block, text), encoding="utf-8")


def write_plots(
    smoking: np.ndarray,
    scores: np.ndarray,
    families: np.ndarray,
    report: dict[str, Any],
    folder: Path,
) -> None:
    """Writes plots, and their names into the report."""
    report["plots"] = []

    @contextlib.contextmanager
    def plot(name: str, width: float, height: float, **labels: Any) -> Iterator[plt.Axes]:
        figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
        yield axes
        axes.set(**labels)
        with whole_file(folder / name) as partial:
            figure.savefig(partial, dpi=100)
        plt.close(figure)
        report["plots"].append(name)

    predicted = scores >= report["threshold"]
    title = f"{np.mean(predicted == smoking):.1%} of {len(smoking)} pictures right"
    with plot("confusion_matrix.png", 4.6, 4.2, title=title) as axes:
        matrix = metrics.confusion_matrix(smoking, predicted, labels=[False, True])
        shown = metrics.ConfusionMatrixDisplay(matrix, display_labels=LABELS)
        shown.plot(cmap="BuGn", colorbar=False, ax=axes)
    labels = {"title": "Scores", "xlabel": "P(Smoking)", "ylabel": "pictures", "yscale": "log"}
    with plot("scores.png", 6, 3.6, **labels) as axes:
        for label, colour, of in zip(LABELS, (_BLUE, _RED), (~smoking, smoking), strict=True):
            axes.hist(scores[of], np.linspace(0, 1, 41), alpha=0.65, label=label, color=colour)
        axes.axvline(report["threshold"], color="black", linestyle="--", label="threshold")
        axes.legend()
    error = expected_calibration_error(scores, smoking)
    labels = {"xlabel": "P(Smoking), mean of the bin", "ylabel": "share of Smoking"}
    with plot(
        "reliability.png", 4.6, 4.2, title=f"Calibration error {error:.3f}", **labels
    ) as axes:
        axes.plot([0, 1], [0, 1], "--", color="grey", label="perfectly calibrated")
        bins = [np.minimum((scores * 10).astype(int), 9) == b for b in range(10)]
        points = [(scores[of].mean(), smoking[of].mean(), of.sum()) for of in bins if of.any()]
        axes.plot(*np.transpose(points)[:2], "o-", color=_RED, label="measured")
        for x, y, count in points:
            axes.annotate(f"{count}", (x, y), (4, -10), textcoords="offset points", fontsize=7)
        axes.legend(loc="lower right")
    if len(np.unique(smoking)) == 2:
        labels = {"title": "ROC", "xlabel": "false alarms", "ylabel": "recall", "xscale": "log"}
        with plot("curves.png", 5.4, 4.6, **labels, xlim=(2e-3, 1), aspect="auto") as axes:
            for name in ["all pictures", *np.unique(families[smoking])]:
                of = (families == name) | (name == "all pictures")
                negative = of & ~smoking if (of & ~smoking).sum() >= 50 else ~smoking
                chosen = (of & smoking) | negative
                metrics.RocCurveDisplay.from_predictions(
                    smoking[chosen], scores[chosen], ax=axes, name=name
                )
    if report["kinds_without_smoking"]:
        kinds = [(r["false_alarms"], k) for k, r in report["kinds_without_smoking"].items()]
        kinds = sorted(kinds, key=lambda kind: -kind[0]["value"])[:20]
        labels = {"title": "False alarms by kind", "xlabel": "% of its pictures called Smoking"}
        with plot("false_alarms.png", 7, 0.8 + 0.28 * len(kinds), **labels) as axes:
            names = [f"{k.replace('_', ' ')} ({r['hits']} of {r['of']})" for r, k in kinds]
            axes.barh(names, [100 * r["value"] for r, _ in kinds], color=_RED)
            axes.invert_yaxis()
