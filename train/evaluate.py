"""The command ``python -m train.evaluate``: the figures of a model, ``.keras`` or ``.tflite``."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import numpy as np
from tqdm import tqdm

from edge_app import Classifier, ModelError
from edge_app.decision import Decision, read_decision
from train.data import (
    TESTING,
    TRAINING,
    VALIDATION,
    DatasetError,
    Example,
    find_examples,
    load_pixels,
    names_in,
)
from train.metrics import measure
from train.report import plot_folder, to_markdown
from train.robustness import CHANGES
from train.unseen import Unseen, read_unseen

Scorer = Callable[[np.ndarray], np.ndarray]


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: python3 run.py evaluate models/smoking_mobilenetv2_int8.tflite smoker",
)
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--split",
    type=click.Choice([TRAINING, VALIDATION, TESTING, "all"]),
    default=TESTING,
    show_default=True,
)
@click.option(
    "--threshold", type=click.FloatRange(0, 1), help="[default: the one in the model file]"
)
@click.option(
    "--unseen",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The .csv file that training wrote: what cross-validation said of the other pictures.",
)
@click.option(
    "--wrong-labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV file whose column picture names what is set aside in the figures of --unseen.",
)
@click.option(
    "--keras",
    "original",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The .keras file that a .tflite file was made from, to compare their scores.",
)
@click.option(
    "--robustness", is_flag=True, help="Measure also what blur, noise, JPEG and darkness cost."
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for evaluation.json and the plots. The report lies beside it, with its name in "
    "capitals: evaluation and EVALUATION.md.  [default: MODEL's name and format + _evaluation]",
)
def main(
    model: Path,
    data: tuple[Path, ...],
    split: str,
    threshold: float | None,
    unseen: Path | None,
    wrong_labels: Path | None,
    original: Path | None,
    robustness: bool,
    out: Path | None,
) -> None:
    """Measures a .keras or .tflite model on labelled pictures (DATA: folders as for training).

    A .keras model is given pixels from 0 to 255, so its preprocessing has to be inside its graph.

    Prints a table, and writes evaluation.json, plots, and a report that shows them.
    """
    try:
        examples = [example for folder in data for example in find_examples(folder)]
    except DatasetError as error:
        raise click.BadParameter(str(error), param_hint="DATA") from None
    examples = [e for e in examples if split in ("all", e.split)]
    if not examples and not unseen:
        raise click.UsageError(
            f"There are no {split} pictures in {', '.join(map(str, data))}. Sets without splits "
            "are trained on whole: --unseen FILE shows what cross-validation said of them, --split "
            "all measures a model that has not seen them."
        )
    if threshold is None:
        threshold = (read_decision(str(model)) or Decision()).threshold
    try:
        size, score = load_scorer(model)
        examples, pixels = load_pixels(examples, size)
        scores = score(pixels) if examples else np.empty(0)
        report = {
            "model": model.name,
            "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
            "split": split,
            "threshold": threshold,
            "datasets": evaluate(examples, scores, threshold),
        }
        measured = {
            name: [(e, s) for e, s in zip(examples, scores, strict=True) if e.dataset == name]
            for name in report["datasets"]
        }
        if unseen:
            for name, part in _cross_validated(unseen, names_in(wrong_labels)).items():
                report["datasets"] |= {name: _with_folds(part, threshold)}
                measured[name] = part
        if robustness and examples:
            report["robustness"] = _robustness(score, examples, pixels, threshold)
        if original and examples:
            report["against_keras"] = _against(original, pixels, scores, threshold)
    except (ModelError, ValueError) as error:
        raise click.ClickException(str(error)) from None

    for name, part in measured.items():
        report["datasets"][name]["worst_mistakes"] = _worst(part, threshold)
    out = out or model.with_name(f"{model.stem}_{model.suffix[1:]}_evaluation")
    out.mkdir(parents=True, exist_ok=True)
    (out / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n")
    _write_plots(report, measured, out)
    document = out.with_name(f"{out.name.upper()}.md")
    document.write_text(to_markdown(report, out.name))
    _print_table(report["datasets"])
    click.echo(f"Wrote {out}{os.sep}evaluation.json and plots, and {document}.")


def _cross_validated(file: Path, wrong: set[str]) -> dict[str, list[tuple[Unseen, float]]]:
    parts = defaultdict(list)
    for picture in read_unseen(file):
        if picture.name not in wrong:
            parts[f"{picture.dataset}, cross-validated"].append((picture, picture.score))
    return dict(parts)


def _with_folds(part: list[tuple[Unseen, float]], threshold: float) -> dict:
    """The figures of all folds together, and the accuracy of each."""
    pictures, scores = zip(*part, strict=True)
    (result,) = evaluate(pictures, np.array(scores), threshold).values()
    right = defaultdict(list)
    for picture, value in part:
        right[picture.fold].append((value >= threshold) == picture.smoking)
    result["accuracy_by_fold"] = [float(np.mean(right[fold])) for fold in sorted(right)]
    return result


def _robustness(
    score: Scorer, examples: Sequence[Example], pixels: np.ndarray, threshold: float
) -> dict[str, float]:
    smoking = np.array([e.smoking for e in examples])
    accuracy = {}
    for name, change in {"as they are": lambda picture: picture, **CHANGES}.items():
        scores = score(np.stack([change(picture) for picture in pixels]))
        accuracy[name] = float(np.mean((scores >= threshold) == smoking))
    return accuracy


def _against(
    original: Path, pixels: np.ndarray, scores: np.ndarray, threshold: float
) -> dict[str, float]:
    _, score_original = load_scorer(original)
    expected = score_original(pixels)
    flips = (expected >= threshold) != (scores >= threshold)
    return {
        "pictures": len(scores),
        "other_label": int(flips.sum()),
        "other_label_and_far_from_the_threshold": int(
            (flips & (np.abs(expected - threshold) > 0.1)).sum()
        ),
        "mean_difference": float(np.abs(expected - scores).mean()),
        "largest_difference": float(np.abs(expected - scores).max()),
    }


def _worst(part: Sequence[tuple[Example | Unseen, float]], threshold: float) -> list[list]:
    """Names and scores of the ten pictures that are furthest on the wrong side."""
    mistakes = [
        (abs(value - threshold), picture.name, float(value))
        for picture, value in part
        if (value >= threshold) != picture.smoking
    ]
    return [[name, round(value, 3)] for _, name, value in sorted(mistakes, reverse=True)[:10]]


def _write_plots(report: dict, measured: dict, out: Path) -> None:
    from train.plots import plot_all, plot_false_alarms

    for name, part in measured.items():
        folder = out / plot_folder(name)
        smoking = np.array([picture.smoking for picture, _ in part])
        plot_all(smoking, np.array([value for _, value in part]), report["threshold"], folder)
        if groups := report["datasets"][name].get("false_alarms_by_group"):
            plot_false_alarms(groups, folder / "false_alarms.png")


def load_scorer(model: Path) -> tuple[int, Scorer]:
    """Loads a model of either kind.

    Returns:
        The side of its input in pixels, and a function that takes pixels
        ``uint8[n, size, size, 3]``, RGB, and gives P(Smoking) ``float32[n]``, with a progress bar.

    Raises:
        edge_app.ModelError: a ``.tflite`` file cannot be used.
        ValueError: a ``.keras`` file cannot be used.
    """
    if model.suffix == ".tflite":
        classifier = Classifier(model)

        def classify(pixels: np.ndarray) -> np.ndarray:
            bar = tqdm(pixels, "Classifying", unit="picture", disable=None)
            scores = [classifier.classify_pixels(picture).smoking for picture in bar]
            return np.array(scores, np.float32)

        return classifier.info.size, classify

    import keras

    network = keras.models.load_model(model, compile=False)

    def predict(pixels: np.ndarray) -> np.ndarray:
        batches = [pixels[i : i + 32] for i in range(0, len(pixels), 32)]
        scores = [
            network.predict_on_batch(batch.astype(np.float32))[:, -1]
            for batch in tqdm(batches, "Classifying", unit="batch", disable=None)
        ]
        return np.concatenate(scores)

    return network.inputs[0].shape[1], predict


def evaluate(
    examples: Sequence[Example | Unseen], scores: np.ndarray, threshold: float
) -> dict[str, dict]:
    """Figures for each data set, with false alarms by group where it has many groups.

    Args:
        examples: the pictures.
        scores: their P(Smoking), ``float[n]``.
        threshold: from which score on a picture is labelled Smoking.
    """
    places = defaultdict(list)
    for place, example in enumerate(examples):
        places[example.dataset].append(place)
    results = {}
    for dataset, of_dataset in places.items():
        smoking = np.array([examples[i].smoking for i in of_dataset])
        results[dataset] = measure(smoking, scores[of_dataset], threshold)
        alarms = defaultdict(list)
        for i in of_dataset:
            if not examples[i].smoking:
                alarms[examples[i].group].append(bool(scores[i] >= threshold))
        if len(alarms) > 1:
            results[dataset]["false_alarms_by_group"] = {
                group: [sum(of_group), len(of_group)] for group, of_group in sorted(alarms.items())
            }
    return results


def _print_table(results: dict[str, dict]) -> None:
    columns = ("pictures", "accuracy", "loss", "ROC AUC", "Smoking recall", "false alarms")
    click.echo(f"{'':<28}" + "".join(f"{name:>16}" for name in columns))
    for dataset, result in results.items():
        smoking, not_smoking = result["classes"]["Smoking"], result["classes"]["NotSmoking"]
        cells = (
            str(result["pictures"]),
            f"{result['accuracy']:.2%}",
            f"{result['loss']:.3f}",
            f"{result['roc_auc']:.4f}" if result["roc_auc"] is not None else "-",
            f"{smoking['recall']:.1%}" if smoking["pictures"] else "-",
            f"{1 - not_smoking['recall']:.1%}" if not_smoking["pictures"] else "-",
        )
        click.echo(f"{dataset:<28}" + "".join(f"{cell:>16}" for cell in cells))


if __name__ == "__main__":
    main(prog_name="python3 run.py evaluate")
