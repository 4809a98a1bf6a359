"""Several models of ours that one model is made of: it begins as the first and learns from all.

Models that were trained apart are wrong about different pictures, so what they say together is
better than what any of them says (Hinton and others, "Distilling the Knowledge in a Neural
Network", 2015).

A model that came out of a cross-validation has been trained on all pictures. Where its folds'
models lie beside it, as ``train --keep-folds`` writes them, they stand in for it when the student
is cross-validated, so that no picture is scored by anything that has seen it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from train.model import build_model, cut_model
from train.recipe import Recipe
from train.training import Start, TrainingError, teacher
from train.unseen import read_unseen


def fold_file(model: Path, fold: int) -> Path:
    """Where ``--keep-folds`` writes the model of a fold: ``NAME_fold0.keras``, beside the model."""
    return model.with_name(f"{model.stem}_fold{fold}{model.suffix}")


def folds_of(models: Sequence[Path]) -> dict[str, int] | None:
    """The fold that each picture was in when models were cross-validated.

    Returns:
        By the picture's name, without names of several pictures in several folds; None where none
        has its folds' models beside it.

    Raises:
        TrainingError: the ``.csv`` file of one with folds is missing, wrong, or names other folds
            than that of another; or the model of a fold is missing.
    """
    agreed: dict[str, int] | None = None
    for model in models:
        if not fold_file(model, 0).exists():
            continue
        scores = model.with_suffix(".csv")
        if not scores.exists():
            raise TrainingError(f"{scores} is missing: it says which pictures {model}'s folds saw")
        try:
            pictures = read_unseen(scores)
        except ValueError as error:
            raise TrainingError(str(error)) from None
        folds = {picture.name: picture.fold for picture in pictures}
        # Where two splits have a picture of one name, nothing says which of them a fold has seen.
        for picture in pictures:
            if folds.get(picture.name) != picture.fold:
                folds.pop(picture.name, None)
        for fold in {picture.fold for picture in pictures}:
            if not fold_file(model, fold).exists():
                raise TrainingError(f"{fold_file(model, fold)} is missing")
        if agreed not in (None, folds):
            raise TrainingError(f"{scores} has other folds than another model's .csv file")
        agreed = folds
    return agreed


def stand_in(model: Path, fold: int | None) -> Path:
    """The model of a fold, where it lies beside a model; else, or without a fold, that model."""
    apart = model if fold is None else fold_file(model, fold)
    return apart if apart.exists() else model


def start_student(
    teachers: Sequence[Path], recipe: Recipe, fold: int | None, said: np.ndarray | None = None
) -> Start:
    """The first teacher's weights, and what all of them say together.

    Args:
        teachers: ``.keras`` files of ours.
        recipe: where they are cut.
        fold: of the cross-validation: the folds' models stand in for those that have any.
        said: what one more teacher says, see `train.training.teacher`.

    Raises:
        TrainingError: they differ before the cut, which is not trained and given to all in common.
    """
    teachers = [stand_in(model, fold) for model in teachers]
    models = [build_model(file) for file in teachers]
    cut = [cut_model(model, recipe.cut) for model in models]
    common = cut[0][0].get_weights()
    for file, (prefix, _) in zip(teachers, cut, strict=True):
        if any(map(np.any, map(np.subtract, prefix.get_weights(), common))):
            raise TrainingError(f"{file} differs from {teachers[0]} before {recipe.cut}")
    return Start(arrays=models[0].get_weights(), teach=teacher([suffix for _, suffix in cut], said))
