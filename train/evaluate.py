"""The command ``python -m train.evaluate``: the figures of a model, ``.keras`` or ``.tflite``."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import numpy as np
from tqdm import tqdm

from edge_app import Classifier, ModelError
from edge_app.decision import Decision, read_decision
from train.data import (
    SPLITS,
    TESTING,
    DatasetError,
    Example,
    find_examples,
    load_pixels,
)
from train.metrics import measure


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: python -m train.evaluate models/smoking_mobilenetv2_int8.tflite smoker",
)
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--split", type=click.Choice([*SPLITS, "all"]), default=TESTING, show_default=True)
@click.option(
    "--threshold", type=click.FloatRange(0, 1), help="[default: the one in the model file]"
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for evaluation.json and the plots.  [default: MODEL's name + _evaluation]",
)
def main(
    model: Path, data: tuple[Path, ...], split: str, threshold: float | None, out: Path | None
) -> None:
    """Measures a .keras or .tflite model on labelled pictures (DATA: folders as for training).

    A .keras model is given pixels from 0 to 255, so its preprocessing has to be inside its graph.

    Prints a table, and writes evaluation.json and plots.
    """
    try:
        examples = [example for folder in data for example in find_examples(folder)]
    except DatasetError as error:
        raise click.BadParameter(str(error), param_hint="DATA") from None
    examples = [e for e in examples if split in ("all", e.split)]
    if not examples:
        raise click.UsageError(f"There are no {split} pictures in {', '.join(map(str, data))}.")
    if threshold is None:
        threshold = (read_decision(str(model)) or Decision()).threshold
    try:
        examples, scores = score(model, examples)
    except (ModelError, ValueError) as error:
        raise click.ClickException(str(error)) from None

    results = evaluate(examples, scores, threshold)
    report = {
        "model": model.name,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "split": split,
        "datasets": results,
    }
    out = out or model.with_name(f"{model.stem}_evaluation")
    out.mkdir(parents=True, exist_ok=True)
    (out / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n")
    from train.plots import plot_all

    for name in results:
        of_dataset = np.array([e.dataset == name for e in examples])
        smoking = np.array([e.smoking for e in examples])
        plot_all(smoking[of_dataset], scores[of_dataset], threshold, out / name)
    _print_table(results)
    click.echo(f"Wrote {out}{os.sep}evaluation.json and plots.")


def score(model: Path, examples: Sequence[Example]) -> tuple[list[Example], np.ndarray]:
    """Scores pictures with a model of either kind, with progress bars.

    Returns:
        The examples that could be read, and their P(Smoking) ``float32[n]``.

    Raises:
        edge_app.ModelError: a ``.tflite`` file cannot be used.
        ValueError: a ``.keras`` file cannot be used.
    """
    if model.suffix == ".tflite":
        classifier = Classifier(model)
        examples, pixels = load_pixels(examples, classifier.info.size)
        scores = [
            classifier.classify_pixels(picture).smoking
            for picture in tqdm(pixels, "Classifying", unit="picture", disable=None)
        ]
        return examples, np.array(scores, np.float32)

    import keras

    network = keras.models.load_model(model, compile=False)
    examples, pixels = load_pixels(examples, network.inputs[0].shape[1])
    batches = [pixels[i : i + 32] for i in range(0, len(pixels), 32)]
    scores = [
        network.predict_on_batch(batch.astype(np.float32))[:, -1]
        for batch in tqdm(batches, "Classifying", unit="batch", disable=None)
    ]
    return examples, np.concatenate(scores)


def evaluate(examples: Sequence[Example], scores: np.ndarray, threshold: float) -> dict[str, dict]:
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
    click.echo(f"{'':<16}" + "".join(f"{name:>16}" for name in columns))
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
        click.echo(f"{dataset:<16}" + "".join(f"{cell:>16}" for cell in cells))


if __name__ == "__main__":
    main()
