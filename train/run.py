"""A training run: pictures in, a cross-validated and calibrated ``.keras`` file out."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from train.boxes import Boxes
from train.calibration import Calibration, calibrate
from train.crossvalidation import CrossValidation, read_fold, train_model
from train.data import Example, assign_folds, load_pixels
from train.model import SIZE, build_model, cut_model, is_whole
from train.recipe import Recipe
from train.scene import Scene
from train.teachers import fold_file, folds_of, stand_in, start_student
from train.training import Start, TrainingError, save
from train.unseen import write_unseen
from train.views import Views, choose_companions, make_views

if TYPE_CHECKING:
    from train.vit import VitTeacher

LARGER = 320
"""Side of the pictures that views are cut from: a close one shows more than the input would."""
FEWEST_PICTURES = 10
"""Of each class; below that there is nothing to cross-validate."""


@dataclass(frozen=True)
class Run:
    """What a model is made of.

    Attributes:
        examples: the pictures, none of them for testing.
        weights: what to begin with, as in `train.model.build_model`.
        teachers: ``.keras`` files to learn from, and to begin as the first of, in its place.
        unseen: names of the pictures that neither has been trained on.
        wrong: names of the pictures whose labels are wrong.
        boxes: by the name of a picture.
        recipe: the numbers.
        vit: an ONNX file for `train.vit`: one more teacher.
    """

    examples: Sequence[Example]
    weights: str | Path | None
    teachers: Sequence[Path]
    unseen: set[str]
    wrong: set[str]
    boxes: dict[str, Boxes]
    recipe: Recipe
    vit: Path | None = None

    def start(self, fold: int | None, said: np.ndarray | None = None) -> Start:
        """What the model of a fold begins with, or, where that is None, the last one.

        Args:
            fold: of the cross-validation.
            said: what the transformer says of all views, where there is one.
        """
        if self.teachers:
            return start_student(self.teachers, self.recipe, fold, said)
        if is_whole(self.weights):
            return Start(stand_in(Path(self.weights), fold))
        return Start(self.weights)


def train(run: Run, out: Path, keep_folds: bool, only: Sequence[int] = ()) -> None:
    """Cross-validates, trains one model on all pictures, and writes it with its decision.

    Writes ``out``, the scores of the cross-validation to a ``.csv`` file and the losses of the last
    training to a ``.log.csv`` file beside it. What is computed on the way lies in a folder beside
    it too, until all is done; a run that was broken off goes on from there.

    Args:
        run: what it is made of.
        out: the ``.keras`` file.
        keep_folds: whether the models of the folds are written as well.
        only: folds to train, and stop; several processes may share a cross-validation so.

    Raises:
        TrainingError: there are too few pictures, the weights or teachers do not fit, the folder
            holds what is left of another run, the disk is too small, or there is no such fold.
    """
    taught = folds_of(run.teachers or ([Path(run.weights)] if is_whole(run.weights) else []))
    if taught is not None:
        run = replace(run, unseen=run.unseen & taught.keys())
    _check(run)
    recipe = run.recipe
    folder = out.with_suffix(".training")
    pictures = _prepare(run, folder, taught, only)
    examples, views, vit = pictures.examples, pictures.views, pictures.vit

    def start(fold: int | None) -> Start:
        if vit is None:
            return run.start(fold)
        return replace(run.start(fold, vit.says(fold)), hints=vit.hints(fold))

    final = replace(recipe, steps=recipe.final_steps, learning_rate=recipe.final_learning_rate)
    # Labels alone are soon learnt: such a student is never trained for longer than the last model.
    brief = run.teachers and not vit
    validation = CrossValidation(
        start,
        examples,
        pictures.usable,
        views,
        pictures.folds,
        final if brief else recipe,
        folder,
    )
    for fold in only:
        click.echo(f"Wrote {validation.train_fold(fold)}.")
    if only:
        click.echo("When all folds are there, go on with the same command without --fold.")
        return
    logits, average = validation.run()
    model, _ = train_model(
        start(None) if brief else replace(start(None), arrays=average),
        examples,
        views,
        np.flatnonzero(pictures.usable),
        final,
        name="All pictures",
        log=out.with_suffix(".log.csv"),
        checkpoint=folder / "all.checkpoint.npz",
    )
    tested = pictures.usable & (pictures.folds >= 0)
    labels = np.array([e.smoking for e in examples])
    calibration = calibrate(logits[tested], labels[tested], recipe.false_alarms)
    calibration.apply(model)
    scores_file = out.with_suffix(".csv")
    save(model, calibration.decision, out)
    write_unseen(scores_file, examples, pictures.folds, calibration.scores(logits))
    if keep_folds:
        _save_folds(folder, calibration, out)
    shutil.rmtree(folder)
    click.echo(f"Wrote {out}. Decision: {calibration.decision.chosen}.")
    click.echo(f"Wrote {scores_file}: what cross-validation said of each picture.")


@dataclass(frozen=True)
class _Pictures:
    """What a run is trained and scored on.

    Attributes:
        examples: the pictures that could be read.
        usable: which have a label that can be relied on, ``bool[n]``.
        folds: the fold of each that scores it, ``int[n]``; -1 where none does.
        views: of them and of the blanks.
        vit: what a transformer says of these views.
    """

    examples: Sequence[Example]
    usable: np.ndarray
    folds: np.ndarray
    views: Views
    vit: VitTeacher | None


def _prepare(
    run: Run, folder: Path, taught: dict[str, int] | None, only: Sequence[int]
) -> _Pictures:
    """Reads the pictures and makes their views; what can be wrong is found out before that."""
    recipe = run.recipe
    given = _folds(run.examples, run, taught).tolist()
    scored = sorted({fold for fold in given if 0 <= fold < recipe.scored_folds})
    if not set(only) <= set(scored):
        raise TrainingError(f"--fold: this cross-validation has the folds {scored}")
    try:
        prefix, _ = cut_model(build_model((*run.teachers, run.weights)[0]), recipe.cut)
    except ValueError as error:
        raise TrainingError(f"The model could not be built: {error}") from None
    run.start(None)  # loads all teachers
    if run.vit:
        from train.dinov2 import load
        from train.vit import VitTeacher, make_tokens, vit_bytes

        front, _ = load(run.vit, SIZE)
    examples, as_served = load_pixels(run.examples, SIZE)
    examples, larger = load_pixels(examples, LARGER, "Reading them larger, for close views")
    scenes = [
        Scene.of(picture, example.smoking, run.boxes.get(example.name))
        for picture, example in zip(larger, examples, strict=True)
    ]
    smokers = [scene for scene in scenes if scene.smoking]
    located = sum(scene.located for scene in smokers)
    click.echo(f"{located} of {len(smokers)} pictures Smoking have boxes around what is smoked")
    folds = _folds(examples, run, taught)
    _claim(folder, run, examples, folds)
    size = 2 * math.prod(prefix.output.shape[1:]) + (vit_bytes(SIZE, len(scored)) if run.vit else 0)
    _check_disk(folder, (recipe.views + 1) * (len(examples) + recipe.blanks) * size)
    labels = np.array([e.smoking for e in examples])
    usable = np.array([e.name not in run.wrong for e in examples])
    companions = choose_companions(folds, labels, usable, recipe)
    views = make_views(folder, prefix, scenes, as_served, companions, recipe, bool(run.vit))
    folds[folds >= recipe.scored_folds] = -1  # after the companions, which never leave their fold
    vit = None
    if run.vit:
        tokens = make_tokens(folder, front, views)
        vit = VitTeacher(run.vit, tokens, examples, usable, folds, recipe, folder)
    return _Pictures(examples, usable, folds, views, vit)


def _check(run: Run) -> None:
    smoking = sum(e.smoking for e in run.examples)
    others = len(run.examples) - smoking
    click.echo(f"{smoking} pictures Smoking, {others} NotSmoking")
    if min(smoking, others) < FEWEST_PICTURES:
        raise TrainingError(
            f"Training needs {FEWEST_PICTURES} pictures of each class; add another --data."
        )
    of_unseen = [e.smoking for e in run.examples if e.name in run.unseen]
    smoking, others = sum(of_unseen), len(of_unseen) - sum(of_unseen)
    if min(smoking, others) < FEWEST_PICTURES:
        raise TrainingError(
            f"--unseen names {smoking} of the pictures Smoking and {others} NotSmoking; it needs "
            f"{FEWEST_PICTURES} of each."
        )
    if run.vit and not all(map(importlib.util.find_spec, ("torch", "onnx"))):
        raise TrainingError("--vit needs packages: python -m pip install -r requirements-vit.txt")
    unknown = run.wrong - {e.name for e in run.examples}
    if unknown:
        click.echo(f"--wrong-labels names {len(unknown)} pictures that are not here.")


def _folds(examples: Sequence[Example], run: Run, taught: dict[str, int] | None) -> np.ndarray:
    """The fold of each picture, ``int[n]``; -1 where all models are trained on it, as what they
    begin with was."""
    folds = np.full(len(examples), -1)
    scored = np.array([e.name in run.unseen for e in examples])
    of_scored = list(compress(examples, scored))
    if taught is None:
        folds[scored] = assign_folds(of_scored, run.recipe.folds)
    else:
        folds[scored] = [taught[e.name] for e in of_scored]
    return folds


def _claim(folder: Path, run: Run, examples: Sequence[Example], folds: np.ndarray) -> None:
    """Makes the folder of a run, or makes sure that what it holds is of the same run."""
    given = [Path(str(file)) for file in (*(run.teachers or [run.weights]), run.vit)]
    kinds = (None, *range(run.recipe.folds))
    begin = [_digest(str(stand_in(file, fold))) for file in given for fold in kinds]
    boxes = [run.boxes.get(e.name, Boxes()) for e in examples]
    known = [
        (e.name, e.smoking, e.path.stat().st_size, b.smoked.tolist(), b.heads.tolist())
        for e, b in zip(examples, boxes, strict=True)
    ]
    everything = repr((run.recipe, begin, known, sorted(run.wrong), folds.tolist()))
    identity = hashlib.sha256(everything.encode()).hexdigest()
    file = folder / "run.sha256"
    folder.mkdir(parents=True, exist_ok=True)
    if file.exists() and file.read_text() != identity:
        raise TrainingError(
            f"{folder} is what a run of other data, weights or numbers left behind; delete it to "
            "begin anew, or go on with its own command"
        )
    file.write_text(identity)


def _check_disk(folder: Path, needed: int) -> None:
    """Makes sure that a run's files fit: mapped ones end the process where a disk is full.

    Args:
        folder: of the run; what is in it already is part of what is needed.
        needed: in bytes.
    """
    there = sum(file.stat().st_blocks * 512 for file in folder.iterdir())
    free = shutil.disk_usage(folder).free
    if needed - there > free:
        raise TrainingError(
            f"{folder} would need {(needed - there) / 1e9:.1f} GB, and {free / 1e9:.1f} GB are "
            "free there; --out on another disk, or fewer views (--set views=8)"
        )


def _digest(weights: str) -> str:
    file = Path(weights)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else weights


def _save_folds(folder: Path, calibration: Calibration, out: Path) -> None:
    """Writes the folds' models, on the scale of the last one: they stand in for it as teachers."""
    for kept in folder.glob("fold*.npz"):
        fold = kept.stem.removeprefix("fold")
        if not fold.isdecimal():  # a checkpoint
            continue
        model = build_model(None)
        weights, _ = read_fold(kept)
        model.set_weights(weights)
        calibration.apply(model)
        model.save(fold_file(out, int(fold)))
