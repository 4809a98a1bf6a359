"""The evaluation of a model, for people, as Markdown."""

from __future__ import annotations

import numpy as np

_FIRST_GROUPS = ("drinking", "phoning", "brushing_teeth", "blowing_bubbles")
"""What people do that looks most like smoking; these come first in the table."""


def to_markdown(report: dict, plots: str) -> str:
    """The report of `train.evaluate` as Markdown.

    Args:
        report: what evaluation.json holds.
        plots: name of the folder of the plots, from where the document lies.
    """
    parts = [
        f"# Evaluation of {report['model']}",
        f"SHA-256 `{report['sha256']}`, threshold {report['threshold']:g}, "
        f"{report['split']} pictures. Written by `python -m train.evaluate`; brackets are 95 % "
        "intervals (Wilson's for shares, bootstrap for areas). *Cross-validated*: each picture was "
        "scored, in float, by a model that was trained without its part of the data.",
        _figures(report["datasets"]),
    ]
    if "robustness" in report:
        parts.append(_robustness(report["robustness"]))
    if "against_keras" in report:
        parts.append(_against_keras(report["against_keras"]))
    for name, result in report["datasets"].items():
        parts.append(_dataset(name, result, f"{plots}/{plot_folder(name)}"))
    return "\n\n".join(parts) + "\n"


def plot_folder(dataset: str) -> str:
    """The name of a data set as a folder: ``smoker, cross-validated`` in ``smoker_unseen``."""
    return dataset.replace(", cross-validated", "_unseen").replace(" ", "_")


def _figures(datasets: dict[str, dict]) -> str:
    rows = [
        "| pictures | count | accuracy | ROC AUC | average precision | Smoking recall "
        "| false alarms | calibration error |",
        "|---|---:|---|---|---:|---|---|---:|",
    ]
    for name, result in datasets.items():
        smoking, other = (result["classes"][label] for label in ("Smoking", "NotSmoking"))
        alarms = "-"
        if other["pictures"]:
            low, high = other["recall_interval"]
            alarms = _share(1 - other["recall"], (1 - high, 1 - low))
        cells = (
            name,
            str(result["pictures"]),
            _share(result["accuracy"], result["accuracy_interval"]),
            _area(result["roc_auc"], result["roc_auc_interval"]),
            _area(result["average_precision"] if other["pictures"] else None),
            _share(smoking["recall"], smoking["recall_interval"]),
            alarms,
            f"{result['calibration_error']:.3f}",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _share(value: float, interval: tuple[float, float] | None) -> str:
    if interval is None:
        return "-"
    return f"{value:.1%} [{interval[0]:.1%}, {interval[1]:.1%}]"


def _area(value: float | None, interval: tuple[float, float] | None = None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def _robustness(accuracy: dict[str, float]) -> str:
    (plain, reference), *changed = accuracy.items()
    rows = [
        "## Accuracy on changed pictures",
        "",
        "| pictures | accuracy | points lost |",
        "|---|---:|---:|",
        f"| {plain} | {reference:.1%} | |",
    ]
    rows += [f"| {n} | {a:.1%} | {100 * (reference - a):.1f} |" for n, a in changed]
    return "\n".join(rows)


def _against_keras(difference: dict) -> str:
    return (
        "## Against the Keras model\n\n"
        f"Of {difference['pictures']} pictures, {difference['other_label']} get another label, "
        f"{difference['other_label_and_far_from_the_threshold']} of them where the Keras score is "
        "more than 0.1 from the threshold. The scores differ by "
        f"{difference['mean_difference']:.4f} on average and by "
        f"{difference['largest_difference']:.4f} at most."
    )


def _dataset(name: str, result: dict, plots: str) -> str:
    parts = [f"## {name}"]
    if folds := result.get("accuracy_by_fold"):
        parts.append(
            f"Accuracy by fold: {', '.join(f'{fold:.1%}' for fold in folds)}; "
            f"mean {np.mean(folds):.1%}, standard deviation {np.std(folds, ddof=1):.1%}."
        )
    images = ["confusion_matrix", "scores", "reliability"]
    images += ["curves"] if result["roc_auc"] is not None else []
    if groups := result.get("false_alarms_by_group"):
        images.append("false_alarms")
        first = [g for g in _FIRST_GROUPS if g in groups]
        rest = sorted(set(groups) - set(first), key=lambda g: (-groups[g][0] / groups[g][1], g))
        named = [f"{g.replace('_', ' ')} {groups[g][0]} of {groups[g][1]}" for g in first + rest]
        parts.append(f"False alarms: {', '.join(named)}.")
    if result["worst_mistakes"]:
        worst = ", ".join(f"`{file}` {score:.2f}" for file, score in result["worst_mistakes"])
        parts.append(f"Worst mistakes, with P(Smoking): {worst}.")
    parts.append("\n".join(f"![{i.replace('_', ' ')}]({plots}/{i}.png)" for i in images))
    return "\n\n".join(parts)
