"""The command ``python3 run.py evaluate``: the figures of any model on any labelled pictures."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import timeit
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from scipy.special import expit
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from edge_app.decision import Decision, read_decision
from edge_app.files import whole_file
from edge_app.imaging import read_thumbnail
from edge_app.looks import combine_all
from train.data import SPLITS, TESTING, DatasetError, Example, describe
from train.metrics import measure, share
from train.recipe import FILE, FOLDER, NEW_FILE, Data, Recipe, command
from train.report import contact_sheet, print_table, to_markdown, write_plots
from train.scoring import load_model, score

SIZES = {"below 16 pixels": 16, "16 to 32": 32, "32 to 64": 64, "64 and more": 1e9}
"""Longer side of what is smoked in the model's input, in pixels, and the upper limit."""


def _jpeg(pixels: np.ndarray, quality: int = 30) -> np.ndarray:
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)


def _noise(pixels: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(int(pixels.sum()))
    return (pixels + rng.normal(0, 12, pixels.shape)).clip(0, 255).astype(np.uint8)


CONDITIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as they are": lambda pixels: pixels,
    "blur (sigma 2)": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 2.0),
    "noise (sigma 12)": _noise,
    "JPEG of quality 30": _jpeg,
    "low light (a quarter)": lambda pixels: (pixels * 0.25).astype(np.uint8),
    "mirrored": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
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
@click.option("--threshold", type=click.FloatRange(0, 1), help="[default: that of the model file]")
@click.option("--quick", is_flag=True, help="Leave out changed pictures and the check of looks.")
@click.option("--worst", type=NEW_FILE, help="Write the worst mistakes as a picture, FILE.jpg.")
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
    quick: bool,
    worst: Path | None,
    out: Path | None,
) -> None:
    """Measure a .keras or .tflite MODEL on labelled pictures.

    DATA are folders as for train. Prints a table, and writes evaluation.json, plots and a report.
    A .keras file gets pixels from 0 to 255; one that expects others has to be converted first.
    """
    found = find(folders, assign=bool(set(splits) - {"all"})).examples
    examples = [e for e in found if "all" in splits or e.split in (splits or (TESTING,))]
    if splits and not examples:
        raise DatasetError(f"there are no {' or '.join(splits)} pictures; try --split all")
    examples = examples or found
    click.echo(describe(examples))
    decision = read_decision(str(model)) or Decision()
    decision = decision if threshold is None else decision.with_threshold(threshold)
    loaded, looks = load_model(model), decision.looks
    further = (looks.sizes, looks.upscale) if looks else ()
    examples, logits = score(loaded, examples, *further)
    if not examples:
        raise DatasetError("none of the pictures could be read")
    one, all_looks = (expit(combine_all(logits, taken)) for taken in (None, looks))
    smoking = _smoking(examples)
    again = logits[:, 0] >= (looks.lowest if looks else np.inf)
    black = np.zeros((1, loaded.size, loaded.size, 3), np.uint8)
    ms = 100 * min(timeit.repeat(lambda: loaded.run(black), repeat=5, number=10))
    families = [recipe.family_of(e.dataset) for e in examples]
    report = {
        "model": model.name,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "split": " and ".join(sorted({e.split or "all" for e in examples})),
        "threshold": decision.threshold,
        "chosen": decision.chosen,
        "uncertain": decision.uncertain,
        "looks": looks and looks.to_dict(),
        "ms_one_look": ms,
        "ms_all_looks": ms * (1 + (again[:, None] & ~np.isnan(logits[:, 1:])).sum() / len(again)),
        "looked_again": share(again.sum(), len(again)),
        "looked_again_without_smoking": share((again & ~smoking).sum(), (~smoking).sum()),
        **figures_of(examples, families, one, all_looks, decision),
    }
    if not quick:
        sample = examples[:: max(1, len(examples) // 600)]
        report["conditions"] = {
            name: measure(_smoking(readable), expit(changed[:, 0]), decision.threshold)
            for name, change in CONDITIONS.items()
            for readable, changed in [score(loaded, sample, change=change)]
        }
        report["looks_alone"] = looks_alone(examples)
    out = out or model.with_name(f"{model.stem}_{model.suffix[1:]}_evaluation")
    write_plots(smoking, all_looks, np.array(families), decision.threshold, out / "plots.png")
    document, content = out.with_name(f"{out.name.upper()}.md"), to_markdown(report, out.name)
    texts = {document: content, out / "evaluation.json": json.dumps(report, indent=1) + "\n"}
    for path, text in texts.items():
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
    if worst:
        contact_sheet(examples, all_looks, decision.threshold, worst)
        click.echo(f"Wrote {worst}.")
    click.echo(print_table(report))
    if (auc := report["all_looks"]["all pictures"]["auc"]) and auc["value"] < 0.5:
        click.echo("Worse than chance: does the model's positive label mean NotSmoking here?")
    click.echo(f"Wrote {out}{os.sep}evaluation.json and plots, and {document}.")


def _smoking(examples: Sequence[Example]) -> np.ndarray:
    return np.array([e.smoking for e in examples], bool)


def figures_of(
    examples: Sequence[Example],
    families: Sequence[str],
    one: np.ndarray,
    all_looks: np.ndarray,
    decision: Decision,
) -> dict[str, Any]:
    """All figures of scores: over families by looks, by set, kind, size and look of the picture.

    Args:
        examples, families: the pictures, and the family of each.
        one, all_looks: P(Smoking) after one look and after all, ``float[n]``.
        decision: threshold and uncertain range.
    """
    smoking, one_split = _smoking(examples), len({e.split for e in examples}) < 2

    def table(names: Iterable[str | None], scores: np.ndarray = all_looks) -> dict[str, dict]:
        places = defaultdict(list)
        for place, name in enumerate(names):
            if name is not None:
                places[name].append(place)
        rule = decision.threshold, decision.uncertain, scores[~smoking]
        return {name: measure(smoking[of], scores[of], *rule) for name, of in places.items()}

    everything = ["all pictures"] * len(examples)
    kinds = [f"{e.dataset}: {e.kind}" if e.kind else None for e in examples]
    return {
        "one_look": table(everything, one) | table(families, one),
        "all_looks": table(everything) | table(families),
        "datasets": table(
            e.dataset if one_split or not e.split else f"{e.dataset}, {e.split}" for e in examples
        ),
        "kinds_without_smoking": table(np.where(smoking, None, kinds)),
        "kinds_with_smoking": table(np.where(smoking, kinds, None)),
        "sizes": table(map(_size, examples)),
        "appearance": table(map(_appearance, examples)),
    }


def _size(example: Example) -> str | None:
    if not example.smoking or not example.boxes:
        return None
    side = 224 * max(max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in example.boxes)
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
    that they say nothing; where it is high, a model can learn the look of a set for its label. Per
    set with both labels, and over all.
    """
    features = np.array([_features(e) for e in examples])
    names, groups = (np.array([getattr(e, key) for e in examples]) for key in ("dataset", "group"))
    smoking, found = _smoking(examples), {}
    for name in ["all pictures", *np.unique(names).tolist()]:
        of = (names == name) | (name == "all pictures")
        if min(len(np.unique(groups[of & label])) for label in (smoking, ~smoking)) < 10:
            continue
        forest = RandomForestClassifier(200, min_samples_leaf=3, random_state=0, n_jobs=1)
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
        predicted = cross_val_predict(
            forest, features[of], smoking[of], groups=groups[of], cv=folds, method="predict_proba"
        )
        auc = float(roc_auc_score(smoking[of], predicted[:, 1]))
        found[name] = {"auc": auc, "pictures": int(of.sum())}
    return found


if __name__ == "__main__":
    main(prog_name="python3 run.py evaluate")
