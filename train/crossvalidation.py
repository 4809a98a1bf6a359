"""What models say of pictures that they have never seen: one model a fold, trained on the others.

Everything that has to be chosen or known before a model is released comes from here: the
temperature, the threshold, the uncertain band, wrong labels, and the figures on data sets that
have no Testing pictures of their own.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from edge_app.files import whole_file
from train.data import TRAINING, Example
from train.model import build_model, cut_model, is_whole
from train.recipe import Recipe
from train.training import (
    TrainingSet,
    action_targets,
    fit,
    fit_head,
    predict_logits,
    sampling_weights,
)

_COLUMNS = ("picture", "dataset", "group", "smoking", "fold", "score")


@dataclass(frozen=True)
class Unseen:
    """A picture and what a model said that had not seen it.

    Attributes:
        name: ``dataset/group/file``.
        dataset: its data set.
        group: its folder.
        smoking: its label.
        fold: the part of the cross-validation that it was tested in.
        score: P(Smoking), calibrated as the released model is.
    """

    name: str
    dataset: str
    group: str
    smoking: bool
    fold: int
    score: float


def training_set(
    examples: Sequence[Example], views: np.ndarray, places: np.ndarray, recipe: Recipe
) -> TrainingSet:
    """The pictures at ``places`` and all blanks, balanced.

    Args:
        examples: all pictures.
        views: from `train.views.make_views`; the blanks lie behind the pictures.
        places: which pictures to train on, ``int[m]``.
        recipe: share of the class Smoking.
    """
    blanks = [
        Example(Path(f"{n}.png"), False, dataset="blank", group="blank", split=TRAINING)
        for n in range(views.shape[1] - len(examples))
    ]
    everything = [*examples, *blanks]
    places = np.concatenate([places, np.arange(len(examples), len(everything))])
    return TrainingSet(
        views=views,
        places=places,
        smoking=np.array([e.smoking for e in everything], np.float32),
        actions=action_targets(everything),
        weights=sampling_weights([everything[i] for i in places], recipe.smoking_share),
    )


def train_model(
    weights: str | Path | None,
    examples: Sequence[Example],
    views: np.ndarray,
    places: np.ndarray,
    recipe: Recipe,
    steps: int,
    **options,
) -> tuple[keras.Model, keras.Model]:
    """Trains a new model on the pictures at ``places``.

    Args:
        weights: of the backbone, as in `train.model.build_model`.
        examples: all pictures.
        views: their features.
        places: which of them to train on, ``int[m]``.
        recipe: the numbers.
        steps: how many batches.
        options: name, log and checkpoint, as in `train.training.fit`.

    Returns:
        The model, and the part of it behind the cut.
    """
    chosen = training_set(examples, views, places, recipe)
    model = build_model(weights, recipe.dropout)
    _, suffix = cut_model(model, recipe.cut, chosen.actions.shape[1])
    if not is_whole(weights):
        fit_head(suffix, chosen, recipe)
    fit(suffix, chosen, recipe, steps, **options)
    return model, suffix


def cross_validate(
    weights: str | Path | None,
    examples: Sequence[Example],
    usable: np.ndarray,
    views: np.ndarray,
    folds: np.ndarray,
    recipe: Recipe,
    folder: Path,
) -> np.ndarray:
    """Scores every Validation picture with a model that was trained without its fold.

    A fold that is finished is kept in ``folder``, and not done again by a later run.

    Args:
        weights: of the backbone.
        examples: the pictures.
        usable: which may be trained on, ``bool[n]``; the others are scored all the same.
        views: their features.
        folds: the fold of each, ``int[n]``; -1 for those that are always trained on.
        recipe: the numbers.
        folder: for what is kept until the whole run is done.

    Returns:
        The logit of each picture, ``float64[n]``; not a number for Training pictures.
    """
    logits = np.full(len(examples), np.nan)
    for fold in range(recipe.folds):
        kept = folder / f"fold{fold}.npz"
        tested = np.flatnonzero(folds == fold)
        known = _read_fold(kept, recipe, tested)
        if known is None:
            trained = np.flatnonzero((folds != fold) & usable)
            _, suffix = train_model(
                weights,
                examples,
                views,
                trained,
                recipe,
                recipe.steps,
                name=f"Fold {fold + 1} of {recipe.folds}",
                checkpoint=folder / f"fold{fold}.checkpoint.npz",
            )
            known = predict_logits(suffix, views[-1, tested])
            with whole_file(kept) as partial:
                np.savez(partial, recipe=repr(recipe), tested=tested, logits=known)
            keras.utils.clear_session()
        else:
            tqdm.write(f"Fold {fold + 1} of {recipe.folds} was done before.")
        logits[tested] = known
    return logits


def _read_fold(path: Path, recipe: Recipe, tested: np.ndarray) -> np.ndarray | None:
    if not path.exists():
        return None
    with np.load(path) as kept:
        same = str(kept["recipe"]) == repr(recipe) and np.array_equal(kept["tested"], tested)
        return kept["logits"] if same else None


def write_unseen(
    path: Path, examples: Sequence[Example], folds: np.ndarray, scores: np.ndarray
) -> None:
    """Writes the scores of cross-validation, a line a picture.

    Args:
        path: a CSV file.
        examples: the pictures.
        folds: the fold of each, ``int[n]``.
        scores: P(Smoking), ``float[n]``.
    """
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for example, fold, score in zip(examples, folds, scores, strict=True):
            writer.writerow(
                (
                    example.name,
                    example.dataset,
                    example.group,
                    int(example.smoking),
                    int(fold),
                    f"{score:.5f}",
                )
            )


def read_unseen(path: Path) -> list[Unseen]:
    """Reads what `write_unseen` wrote.

    Raises:
        ValueError: the file is something else.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != _COLUMNS:
            raise ValueError(f"{path}: expected the columns {', '.join(_COLUMNS)}")
        return [
            Unseen(
                name=row["picture"],
                dataset=row["dataset"],
                group=row["group"],
                smoking=row["smoking"] == "1",
                fold=int(row["fold"]),
                score=float(row["score"]),
            )
            for row in reader
        ]
