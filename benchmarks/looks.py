"""Which looks to take: what each kind finds, and what it costs.

    python -m benchmarks.looks ../shared/data/stanford40 ../shared/data/no_person --limit 500

Every candidate look at every picture is taken once (`candidate_logits`): squares of three sizes
around the highest cell of the evidence map, the same around the best cell away from it (a second
person), and all of them mirrored. Then the mean logits of sets of looks are compared on pictures
with a label (`train.data` lists the layouts of folders).
"""

from __future__ import annotations

import csv
import itertools
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import numpy as np
from sklearn.metrics import roc_auc_score

from edge_app import Classifier, PictureError
from edge_app.classifier import DEFAULT_MODEL
from edge_app.imaging import Source, read_picture
from edge_app.looks import logit, square
from edge_app.parallel import count_cores, map_ahead
from train.data import Example, find_examples

SIZES = (0.85, 0.7, 0.55)
SETS = {
    "one look": ("1",),
    "0.85": ("1", "0.85"),
    "0.7": ("1", "0.7"),
    "0.55": ("1", "0.55"),
    "0.85, 0.7": ("1", "0.85", "0.7"),
    "0.85, 0.55": ("1", "0.85", "0.55"),
    "0.7, 0.55": ("1", "0.7", "0.55"),
    "0.85, 0.7, 0.55": ("1", "0.85", "0.7", "0.55"),
    "0.7 at two peaks": ("1", "0.7", "0.7 second"),
    "0.55 at two peaks": ("1", "0.55", "0.55 second"),
    "mirrored": ("1", "1 mirrored"),
    "0.7, both mirrored": ("1", "1 mirrored", "0.7", "0.7 mirrored"),
}
LOWEST = (-16.0, -4.0, -3.0, -2.0, -1.0)
_APART = 2  # cells between two peaks, in either direction
_FALSE_ALARMS = 0.02


def candidate_logits(classifier: Classifier, source: Source) -> dict[str, float]:
    """The logits of all candidate looks at a picture.

    Args:
        classifier: of a model with an evidence map.
        source: as `edge_app.Classifier.classify` takes it.

    Returns:
        By name: ``1`` for the whole picture, ``0.7`` for a square of that size around the highest
        cell, ``0.7 second`` around the highest cell away from it; each also ``mirrored``.

    Raises:
        PictureError: it cannot be read.
    """
    picture = read_picture(source, classifier.info.size)
    first = classifier.classify_pixels(picture.pixels)
    boxes = {"1": (0, 0, picture.width, picture.height)}
    for suffix, centre in zip(("", " second"), _peaks(first.evidence), strict=True):
        for share in SIZES:
            boxes[f"{share:g}{suffix}"] = square(centre, share, picture.width, picture.height)
    logits = {}
    for name, box in boxes.items():
        for suffix, mirrored in (("", False), (" mirrored", True)):
            pixels = picture.crop(box, mirrored=mirrored)
            logits[name + suffix] = logit(classifier.classify_pixels(pixels).smoking)
    return logits


def _peaks(evidence: np.ndarray) -> list[tuple[float, float]]:
    """Centres of the highest cell and of the highest one away from it, x and y in [0, 1]."""
    rows, columns = np.indices(evidence.shape)
    row, column = np.unravel_index(np.argmax(evidence), evidence.shape)
    away = np.maximum(abs(rows - row), abs(columns - column)) > _APART
    second = np.unravel_index(np.argmax(np.where(away, evidence, -np.inf)), evidence.shape)
    height, width = evidence.shape
    return [((c + 0.5) / width, (r + 0.5) / height) for r, c in ((row, column), second)]


def _measure(smoking: np.ndarray, logits: np.ndarray) -> tuple[float, float]:
    """AUC, and recall at the threshold of 2 % false alarms."""
    threshold = np.quantile(logits[~smoking], 1 - _FALSE_ALARMS)
    return float(roc_auc_score(smoking, logits)), float((logits[smoking] > threshold).mean())


def _combined(found: dict[str, np.ndarray], names: tuple[str, ...], lowest: float) -> np.ndarray:
    mean = np.mean([found[name] for name in names], axis=0)
    return np.where(found["1"] >= lowest, mean, found["1"])


@click.command(epilog="Example: python -m benchmarks.looks ../shared/data/stanford40 --limit 300")
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--model", type=click.Path(path_type=Path), default=DEFAULT_MODEL, help="Use this .tflite file."
)
@click.option(
    "--limit", type=click.IntRange(2), metavar="N", help="Take N pictures of each label at most."
)
@click.option("--csv", "out", type=click.Path(path_type=Path), help="Write all logits to FILE.")
def main(folders: tuple[Path, ...], model: Path, limit: int | None, out: Path | None) -> None:
    """Compare sets of looks on labelled pictures."""
    examples = [example for folder in folders for example in find_examples(folder)]
    random.Random(0).shuffle(examples)
    of_each = ([e for e in examples if e.smoking is smoking][:limit] for smoking in (True, False))
    examples = list(itertools.chain.from_iterable(of_each))
    if len({example.smoking for example in examples}) < 2:
        raise click.UsageError("The folders hold pictures of one label; both are needed.")
    classifier = Classifier(model, looks=1)

    def take(example: Example) -> tuple[Example, dict[str, float]]:
        try:
            return example, candidate_logits(classifier, example.path)
        except PictureError as error:
            click.echo(f"{example.path}: {error}", err=True)
            return example, {}

    with ThreadPoolExecutor(count_cores()) as pool:
        taken = [one for one in map_ahead(pool, take, examples, 64) if one[1]]
    smoking = np.array([example.smoking for example, _ in taken])
    found = {name: np.array([logits[name] for _, logits in taken]) for name in taken[0][1]}
    if out:
        with open(out, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["name", "smoking", *found])
            writer.writerows([e.name, int(e.smoking), *logits.values()] for e, logits in taken)

    pixels = read_picture(taken[0][0].path, classifier.info.size).pixels
    start = time.perf_counter()
    for _ in range(20):
        classifier.classify_pixels(pixels)
    once = (time.perf_counter() - start) * 50
    print(f"{smoking.sum()} Smoking, {(~smoking).sum()} NotSmoking; one look {once:.1f} ms\n")
    print("| looks at all pictures | AUC | recall at 2 % false alarms | ms per picture |")
    print("|---|--:|--:|--:|")
    for kind, names in SETS.items():
        auc, recall = _measure(smoking, _combined(found, names, -np.inf))
        print(f"| {kind} | {auc:.4f} | {recall:.1%} | {once * len(names):.1f} |")
    print("\n| looks, from a first logit of | looked at again | AUC | recall at 2 % |")
    print("|---|--:|--:|--:|")
    for kind in ("0.7", "0.85, 0.7"):
        for lowest in LOWEST:
            auc, recall = _measure(smoking, _combined(found, SETS[kind], lowest))
            again = (found["1"] >= lowest).mean()
            print(f"| {kind}, {lowest:g} | {again:.0%} | {auc:.4f} | {recall:.1%} |")


if __name__ == "__main__":
    main()
