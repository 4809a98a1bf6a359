"""The command ``python3 run.py evaluate``: the figures of any model on any labelled pictures."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from PIL import Image, ImageDraw
from scipy.special import expit
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from edge_app.decision import Decision, read_decision
from edge_app.files import whole_file
from edge_app.imaging import read_thumbnail
from edge_app.looks import combine_all
from train.data import SPLITS, TESTING, DatasetError, Example, describe
from train.metrics import measure
from train.recipe import FILE, FOLDER, NEW_FILE, Data, Recipe, command
from train.report import figures_block, print_table, to_markdown, write_plots
from train.scoring import Scores, load_model, score

CONDITION_PICTURES = 600
"""Largest number of pictures changed by each condition."""

SIZES = {"below 16 pixels": 16, "16 to 32": 32, "32 to 64": 64, "64 and more": 1e9}
"""Longer side of what is smoked in the model's input, in pixels, and the upper limit."""


def _jpeg(pixels: np.ndarray, quality: int = 30) -> np.ndarray:
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)


def _noise(pixels: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(int(pixels.sum()))
    return (pixels + rng.normal(0, 12, pixels.shape)).clip(0, 255).astype(np.uint8)


def _film_still(pixels: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = ((grey - grey.mean()) * 1.3 + 90).clip(0, 255)
    bar = len(grey) // 8
    grey[:bar] = grey[-bar:] = 0
    return np.repeat(grey.astype(np.uint8)[..., None], 3, 2)


CONDITIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as they are": lambda pixels: pixels,
    "blur (sigma 2)": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 2.0),
    "noise (sigma 12)": _noise,
    "JPEG of quality 30": _jpeg,
    "low light (a quarter)": lambda pixels: (pixels * 0.25).astype(np.uint8),
    "mirrored": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
    "as a film still (dark, black and white, bars)": _film_still,
}
"""Each takes and gives the model's input, ``uint8[size, size, 3]``, RGB."""


@command("python3 run.py evaluate model.tflite mine --positive smoker")
@click.argument("model", type=FILE)
@click.argument(
    "folders", metavar="DATA...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--split",
    "splits",
    type=click.Choice([*SPLITS, "all"]),
    multiple=True,
    help="Measure these pictures; repeat it for several splits.  [default: Testing; all if "
    "there are none]",
)
@click.option(
    "--threshold", type=click.FloatRange(0, 1), help="[default: the one in the model file]"
)
@click.option(
    "--keras",
    "original",
    type=FILE,
    help="Compare with the .keras file that a .tflite file was made from.",
)
@click.option("--quick", is_flag=True, help="Leave out changed pictures and the check of looks.")
@click.option(
    "--worst", type=NEW_FILE, help="Write a contact sheet of the worst mistakes to FILE.jpg."
)
@click.option(
    "--figures",
    type=FILE,
    multiple=True,
    help="Put the most important figures into this Markdown file, between the comments figures "
    "and /figures.",
)
@click.option(
    "--out",
    type=FOLDER,
    help="Write evaluation.json and plots to this folder, and beside it the report, its name in "
    "capitals.  [default: MODEL's name and format + _evaluation]",
)
def main(
    recipe: Recipe,
    find: Callable[..., Data],
    model: Path,
    folders: tuple[Path, ...],
    splits: tuple[str, ...],
    threshold: float | None,
    original: Path | None,
    quick: bool,
    worst: Path | None,
    figures: tuple[Path, ...],
    out: Path | None,
) -> None:
    """Measure a .keras or .tflite MODEL on labelled pictures.

    DATA are folders as for train. Prints a table, and writes evaluation.json, plots and a report.
    """
    found = find(folders, assign=bool(set(splits) - {"all"}))
    examples = _choose(found.examples, splits, found.known)
    click.echo(describe(examples))
    decision = read_decision(str(model)) or Decision()
    decision = decision if threshold is None else decision.with_threshold(threshold)
    loaded, looks = load_model(model), decision.looks
    scores = (
        score(loaded, examples, looks.sizes, looks.upscale) if looks else score(loaded, examples)
    )
    examples = scores.examples
    if not examples:
        raise DatasetError("none of the pictures could be read")
    one, all_looks = (expit(combine_all(scores.logits, taken)) for taken in (None, looks))
    families = [recipe.family_of(e.dataset) for e in examples]
    report = {
        "model": model.name,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "split": " and ".join(sorted({e.split or "all" for e in examples})),
        "threshold": decision.threshold,
        "chosen": decision.chosen,
        "uncertain": decision.uncertain,
        "looks": looks and looks.to_dict(),
        "speed": _speed(scores, decision),
        **figures_of(examples, families, one, all_looks, decision, found.boxes(recipe)),
    }
    if not quick:
        sample = examples[:: max(1, len(examples) // CONDITION_PICTURES)]
        report["conditions"] = {
            name: measure(_smoking(s.examples), expit(s.logits[:, 0]), decision.threshold)
            for name, change in CONDITIONS.items()
            for s in [score(loaded, sample, change=change)]
        }
        report["looks_alone"] = looks_alone(examples)
    if original:
        expected = expit(score(load_model(original), examples).logits[:, 0])
        limit = decision.threshold
        report["against_keras"] = {
            "pictures": len(one),
            "other_label": int(np.sum((expected >= limit) != (one >= limit))),
            "mean_difference": float(np.abs(expected - one).mean()),
            "largest_difference": float(np.abs(expected - one).max()),
        }
    out = out or model.with_name(f"{model.stem}_{model.suffix[1:]}_evaluation")
    out.mkdir(parents=True, exist_ok=True)
    write_plots(_smoking(examples), all_looks, np.array(families), report, out)
    document = out.with_name(f"{out.name.upper()}.md")
    written = {
        out / "evaluation.json": json.dumps(report, indent=1) + "\n",
        document: to_markdown(report, out.name),
    }
    for path, text in written.items():
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
    for file in figures:
        figures_block(report, file)
    if worst:
        contact_sheet(examples, all_looks, decision.threshold, worst)
        click.echo(f"Wrote {worst}.")
    click.echo(print_table(report))
    click.echo(f"Wrote {out}{os.sep}evaluation.json and plots, and {document}.")


def _smoking(examples: Sequence[Example]) -> np.ndarray:
    return np.array([e.smoking for e in examples], bool)


def _choose(examples: Sequence[Example], splits: Sequence[str], known: bool) -> list[Example]:
    if not splits:
        tested = [e for e in examples if e.split == TESTING]
        return tested or ([] if known else list(examples))
    chosen = [e for e in examples if "all" in splits or e.split in splits]
    if not chosen:
        raise DatasetError(f"there are no {' or '.join(splits)} pictures; try --split all")
    return chosen


def figures_of(
    examples: Sequence[Example],
    families: Sequence[str],
    one: np.ndarray,
    all_looks: np.ndarray,
    decision: Decision,
    boxes: dict[str, np.ndarray],
) -> dict[str, Any]:
    """All figures of scores: over families by looks, by set, kind, size and look of the picture.

    Args:
        examples, families: the pictures, and the family of each.
        one, all_looks: P(Smoking) after one look and after all, ``float[n]``.
        decision: threshold and uncertain range.
        boxes: around what is smoked.
    """
    smoking, one_split = _smoking(examples), len({e.split for e in examples}) < 2

    def table(names: Sequence[str | None], scores: np.ndarray = all_looks) -> dict[str, dict]:
        places = defaultdict(list)
        for place, name in enumerate(names):
            if name is not None:
                places[name].append(place)
        rule = decision.threshold, decision.uncertain, scores[~smoking]
        return {name: measure(smoking[of], scores[of], *rule) for name, of in places.items()}

    def kinds(smoking: bool) -> list[str | None]:
        return [
            f"{e.dataset}: {e.kind}" if e.kind and e.smoking == smoking else None for e in examples
        ]

    everything = ["all pictures"] * len(examples)
    return {
        "one_look": table(everything, one) | table(families, one),
        "all_looks": table(everything) | table(families),
        "datasets": table(
            [e.dataset if one_split else f"{e.dataset}, {e.split}" for e in examples]
        ),
        "kinds_without_smoking": table(kinds(False)),
        "kinds_with_smoking": table(kinds(True)),
        "sizes": table([_size(e, boxes) for e in examples]),
        "appearance": table([_appearance(e) for e in examples]),
    }


def _size(example: Example, boxes: dict[str, np.ndarray]) -> str | None:
    found = boxes.get(example.name)
    if not example.smoking or found is None:
        return None
    side = 224 * (found[:, 2:] - found[:, :2]).max()
    return next(name for name, limit in SIZES.items() if side < limit)


@functools.cache
def _features(example: Example) -> np.ndarray:
    """What a picture looks like, whatever it shows."""
    image = read_thumbnail(example.path, 448)
    pixels = np.asarray(image.resize((224, 224))).astype(np.float32)
    grey = pixels.mean(2)
    edges = [grey[:20].mean(), grey[-20:].mean(), grey[:, :20].mean(), grey[:, -20:].mean()]
    shape = example.path.stat().st_size, image.width, image.height, image.width / image.height
    contrast = grey.std(), np.ptp(pixels, axis=2).mean(), cv2.Laplacian(grey, cv2.CV_32F).var()
    return np.array([*shape, *pixels.mean((0, 1)), *contrast, *edges])


def _appearance(example: Example) -> str:
    _, _, _, _, red, green, blue, _, colour, _, top, bottom, _, _ = _features(example)
    brightness = (red + green + blue) / 3
    if max(top, bottom) < 6 < brightness:
        return "film bars"
    if colour < 4:
        return "black and white"
    return "dark" if brightness < 60 else "other"


def looks_alone(examples: Sequence[Example]) -> dict[str, dict[str, Any]]:
    """How well looks alone tell the labels: AUC of a random forest on held-out groups.

    It sees file size, shape, mean colour, contrast, sharpness and borders. An AUC near 0.5 means
    that they say nothing; where it is high, a model can learn the look of a set for its label.

    Returns:
        Per set with both labels, and over all.
    """
    features = np.array([_features(e) for e in examples])
    names = np.array([e.dataset for e in examples])
    found = {}
    for name in ["all pictures", *sorted(set(names.tolist()))]:
        of = np.flatnonzero((names == name) | (name == "all pictures"))
        smoking = _smoking([examples[i] for i in of])
        groups = np.array([examples[i].group for i in of])
        fewest = min(len(set(groups[smoking].tolist())), len(set(groups[~smoking].tolist())))
        if fewest < 10:
            continue
        forest = RandomForestClassifier(200, min_samples_leaf=3, random_state=0, n_jobs=1)
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
        predicted = cross_val_predict(
            forest, features[of], smoking, groups=groups, cv=folds, method="predict_proba"
        )
        auc = float(roc_auc_score(smoking, predicted[:, 1]))
        found[name] = {"auc": auc, "pictures": len(of)}
    return found


def _speed(scores: Scores, decision: Decision) -> dict[str, float]:
    """Milliseconds of the model alone, and how many pictures are looked at again."""
    negative = ~_smoking(scores.examples)
    again = np.zeros(len(negative), bool)
    taken = (~np.isnan(scores.logits[:, 1:])).sum(1)
    if decision.looks:
        again = scores.logits[:, 0] >= decision.looks.lowest
    return {
        "one_look_ms": scores.ms,
        "all_looks_ms": float(scores.ms * (1 + np.mean(np.where(again, taken, 0)))),
        "looked_again": float(again.mean()),
        "looked_again_without_smoking": float(again[negative].mean()) if negative.any() else 0.0,
    }


def contact_sheet(
    examples: Sequence[Example], scores: np.ndarray, threshold: float, file: Path, count: int = 40
) -> None:
    """Writes the pictures that are furthest on the wrong side, with their scores."""
    smoking = _smoking(examples)
    wrong = np.flatnonzero((scores >= threshold) != smoking)
    wrong = wrong[np.argsort(-np.abs(scores[wrong] - threshold))][:count]
    side, across = 180, 8
    sheet = Image.new("RGB", (across * side, (side + 28) * -(-max(1, len(wrong)) // across)))
    draw = ImageDraw.Draw(sheet)
    for number, place in enumerate(wrong):
        x, y = number % across * side, number // across * (side + 28)
        sheet.paste(read_thumbnail(examples[place].path, side), (x, y))
        label = "Smoking" if smoking[place] else "NotSmoking"
        draw.text((x + 2, y + side), f"{scores[place]:.2f}, is {label}", "white")
        draw.text((x + 2, y + side + 13), examples[place].name[-28:], "white")
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(file)


if __name__ == "__main__":
    main(prog_name="python3 run.py evaluate")
