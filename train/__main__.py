"""The command ``python -m train``."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import compress
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import numpy as np

from train.boxes import Boxes, read_boxes
from train.data import (
    TESTING,
    TRAINING,
    VALIDATION,
    DatasetError,
    Example,
    assign_folds,
    find_examples,
    load_pixels,
    names_in,
)
from train.recipe import Recipe

LARGER = 320
"""Side of the pictures that views are cut from: a close one shows more than the input would."""
FEWEST_PICTURES = 10
"""Of each class; below that there is nothing to cross-validate."""


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: python -m train --data smoker --data stanford40 --out smoking.keras",
)
@click.option(
    "--data",
    "folders",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    help="A data set; give it several times for several. See train/data.py for the layouts.",
)
@click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    help="What to begin with: imagenet (downloaded by Keras), a .weights.h5 file of the backbone, "
    "or a .keras file of ours.",
)
@click.option(
    "--unseen",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV file whose column picture names what the .keras file of --weights was not trained "
    "on, as the .csv file beside it does; only these pictures are cross-validated. Without it, "
    "all are.",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="FILE.keras"
)
@click.option(
    "--recipe",
    "kind",
    type=click.Choice(["standard", "notebook"]),
    default="standard",
    show_default=True,
    help="notebook: the one this project began with, a frozen backbone on the first --data.",
)
@click.option(
    "--wrong-labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV file whose column picture names pictures that are not trained on.",
)
@click.option(
    "--boxes",
    "boxes_files",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A CSV file of boxes around what is smoked and around heads, see train/boxes.py; with it "
    "the model learns where to look, and close views are made of the pictures. May be given "
    "several times.",
)
@click.option(
    "--teacher",
    "teachers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A .keras file of ours, given twice or more: the model begins at the mean of their "
    "weights and learns what they say together. Only pictures of --unseen are cross-validated, "
    "which none of them may have been trained on; for a teacher with the files of --keep-folds "
    "beside it, its folds' models count.",
)
@click.option(
    "--keep-folds",
    is_flag=True,
    help="Also write the models of the cross-validation, as OUT_fold0.keras and so on.",
)
@click.option(
    "--set",
    "changes",
    metavar="NAME=VALUE",
    multiple=True,
    help="Another number for the recipe, as steps=200; see train/recipe.py for their names.",
)
def main(
    folders: tuple[Path, ...],
    weights: str,
    unseen: Path | None,
    out: Path,
    kind: str,
    wrong_labels: Path | None,
    boxes_files: tuple[Path, ...],
    teachers: tuple[Path, ...],
    keep_folds: bool,
    changes: tuple[str, ...],
) -> None:
    """Fine-tunes MobileNetV2 on folders of pictures and writes a .keras file.

    Cross-validates first: what its models say of pictures they have not seen gives the threshold,
    and is written to a .csv file beside the model. A run that was broken off goes on where it was
    when the same command is given again.
    """
    if out.suffix != ".keras":
        raise click.BadParameter(f"{out} does not end in .keras", param_hint="--out")
    if weights != "imagenet" and not Path(weights).is_file():
        raise click.BadParameter(f"{weights}: there is no such file", param_hint="--weights")
    if teachers and (len(teachers) < 2 or not unseen):
        raise click.UsageError("--teacher is given twice or more, and with --unseen.")
    recipe = _change(Recipe(), changes)
    try:
        examples = [example for folder in folders for example in find_examples(folder)]
    except DatasetError as error:
        raise click.BadParameter(str(error), param_hint="--data") from None
    smoking_folders = {f"{e.dataset}/{e.group}" for e in examples if e.smoking}
    click.echo(f"Smoking: {', '.join(sorted(smoking_folders))}; every other folder is not")
    if kind == "notebook":
        _train_notebook(examples, weights, out, recipe.seed)
    else:
        wrong = _names(wrong_labels, "--wrong-labels")
        named = _names(unseen, "--unseen") if unseen else {e.name for e in examples}
        try:
            boxes = read_boxes(boxes_files)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--boxes") from None
        _train(examples, weights, out, recipe, wrong, named, boxes, teachers, keep_folds)
    click.echo(f"Evaluate it with: python -m train.evaluate {out} {' '.join(map(str, folders))}")


def _names(file: Path | None, option: str) -> set[str]:
    try:
        return names_in(file)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _train(
    examples: Sequence[Example],
    weights: str,
    out: Path,
    recipe: Recipe,
    wrong: set[str],
    unseen: set[str],
    boxes: dict[str, Boxes],
    teachers: Sequence[Path],
    keep_folds: bool,
) -> None:
    examples = [e for e in examples if e.split != TESTING]
    smoking = sum(e.smoking for e in examples)
    click.echo(f"{smoking} pictures Smoking, {len(examples) - smoking} NotSmoking")
    if min(smoking, len(examples) - smoking) < FEWEST_PICTURES:
        raise click.UsageError(
            f"Training needs {FEWEST_PICTURES} pictures of each class; add another --data."
        )
    taught = _folds_of(teachers)
    if taught is not None:
        unseen = unseen & taught.keys()
    of_unseen = [e.smoking for e in examples if e.name in unseen]
    if min(sum(of_unseen), len(of_unseen) - sum(of_unseen)) < FEWEST_PICTURES:
        raise click.UsageError(
            f"--unseen names {sum(of_unseen)} of the pictures Smoking and "
            f"{len(of_unseen) - sum(of_unseen)} NotSmoking; it needs {FEWEST_PICTURES} of each."
        )
    unknown = wrong - {e.name for e in examples}
    if unknown:
        click.echo(f"--wrong-labels names {len(unknown)} pictures that are not here.")

    from train.calibration import calibrate
    from train.crossvalidation import cross_validate, train_model
    from train.model import SIZE, build_model, cut_model
    from train.scene import Scene
    from train.teachers import start_at_mean
    from train.training import CheckpointError, Start, save
    from train.unseen import write_unseen
    from train.views import choose_companions, make_views

    examples, as_served = load_pixels(examples, SIZE)
    examples, larger = load_pixels(examples, LARGER, "Reading them larger, for close views")
    scenes = [
        Scene.of(picture, example.smoking, boxes.get(example.name))
        for picture, example in zip(larger, examples, strict=True)
    ]
    located = sum(scene.located for scene in scenes if scene.smoking)
    click.echo(f"{located} of {smoking} pictures Smoking have boxes around what is smoked")
    labels = np.array([e.smoking for e in examples])
    usable = np.array([e.name not in wrong for e in examples])
    folds = _folds(examples, unseen, taught, recipe)
    companions = choose_companions(folds, labels, usable, recipe)
    folder = out.with_suffix(".training")
    known = [
        (e.name, s.smoked.tolist(), s.heads.tolist()) for e, s in zip(examples, scenes, strict=True)
    ]
    begin = [_digest(str(file)) for file in teachers or [weights]]
    _claim(folder, recipe, begin, known, sorted(wrong), folds.tolist())
    last = replace(recipe, steps=recipe.final_steps, learning_rate=recipe.final_learning_rate)
    try:
        prefix, _ = cut_model(build_model(teachers[0] if teachers else weights), recipe.cut)
        student = start_at_mean(teachers, recipe, None) if teachers else None
    except ValueError as error:
        raise click.UsageError(f"The model could not be built: {error}") from None
    try:
        views = make_views(folder, prefix, scenes, as_served, companions, recipe)
        del scenes, larger, as_served
        logits, average = cross_validate(
            lambda fold: start_at_mean(teachers, recipe, fold) if teachers else Start(weights),
            examples,
            usable,
            views,
            folds,
            last if teachers else recipe,
            folder,
        )
        model, _ = train_model(
            student or Start(arrays=average),
            examples,
            views,
            np.flatnonzero(usable),
            last,
            name="All pictures",
            log=out.with_suffix(".log.csv"),
            checkpoint=folder / "all.checkpoint.npz",
        )
    except CheckpointError as error:
        raise click.UsageError(str(error)) from None
    tested = usable & (folds >= 0)
    calibration = calibrate(logits[tested], labels[tested], recipe.false_alarms)
    calibration.apply(model)
    scores_file = out.with_suffix(".csv")
    write_unseen(scores_file, examples, folds, calibration.scores(logits))
    save(model, calibration.decision, out)
    if keep_folds:
        _save_folds(folder, out)
    shutil.rmtree(folder)
    click.echo(f"Wrote {out}. Decision: {calibration.decision.chosen}.")
    click.echo(f"Wrote {scores_file}: what cross-validation said of each picture.")


def _folds(
    examples: Sequence[Example],
    unseen: set[str],
    taught: dict[str, int] | None,
    recipe: Recipe,
) -> np.ndarray:
    """The fold of each picture, ``int[n]``; -1 where all models are trained on it, as what they
    begin with was."""
    folds = np.full(len(examples), -1)
    scored = np.array([e.name in unseen for e in examples])
    of_scored = list(compress(examples, scored))
    if taught is None:
        folds[scored] = assign_folds(of_scored, recipe.folds)
    else:
        folds[scored] = [taught[e.name] for e in of_scored]
    return folds


def _folds_of(teachers: Sequence[Path]) -> dict[str, int] | None:
    if not teachers:
        return None
    from train.teachers import folds_of

    try:
        return folds_of(teachers)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--teacher") from None


def _save_folds(folder: Path, out: Path) -> None:
    from train.model import build_model
    from train.teachers import fold_file

    for fold, kept in enumerate(sorted(folder.glob("fold?.npz"))):
        model = build_model(None)
        with np.load(kept) as saved:
            model.set_weights([saved[f"arr_{i}"] for i in range(len(saved.files) - 1)])
        model.save(fold_file(out, fold))


def _claim(folder: Path, *run: object) -> None:
    """Makes the folder of a run, or makes sure that what it holds is of the same run."""
    identity = hashlib.sha256(repr(run).encode()).hexdigest()
    file = folder / "run.sha256"
    folder.mkdir(parents=True, exist_ok=True)
    if file.exists() and file.read_text() != identity:
        raise click.UsageError(
            f"{folder} is what a run of other data, weights or numbers left behind; delete it to "
            "begin anew, or go on with its own command"
        )
    file.write_text(identity)


def _digest(weights: str) -> str:
    file = Path(weights)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else weights


def _train_notebook(examples: Sequence[Example], weights: str, out: Path, seed: int) -> None:
    from train.notebook import train_notebook
    from train.training import save

    first = [e for e in examples if e.dataset == examples[0].dataset]
    training = load_pixels([e for e in first if e.split == TRAINING])
    validation = load_pixels([e for e in first if e.split == VALIDATION])
    model, decision = train_notebook(training, validation, weights, seed)
    save(model, decision, out)
    click.echo(f"Wrote {out}.")


def _change(recipe: Recipe, changes: tuple[str, ...]) -> Recipe:
    kinds = {field.name: type(getattr(recipe, field.name)) for field in fields(recipe)}
    for change in changes:
        name, _, value = change.partition("=")
        try:
            recipe = replace(recipe, **{name: kinds[name](value)})
        except (KeyError, ValueError):
            raise click.BadParameter(
                f"{change}: expected NAME=VALUE with one of {', '.join(kinds)}", param_hint="--set"
            ) from None
    return recipe


if __name__ == "__main__":
    main()
