"""What models say of pictures that they have never seen: one model a fold, trained on the others.

Everything that has to be chosen or known before a model is released comes from here: the
temperature, the threshold, the uncertain band, wrong labels, and the figures on data sets that
have no Testing pictures of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from edge_app.files import whole_file
from train.data import TRAINING, Example
from train.hints import fit_heads
from train.model import build_model, cut_model
from train.recipe import Recipe
from train.training import Start, TrainingSet, fit, predict_logits, sampling_weights
from train.views import Views


def training_set(
    examples: Sequence[Example], views: Views, places: np.ndarray, recipe: Recipe
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
        for n in range(views.features.shape[1] - len(examples))
    ]
    everything = [*examples, *blanks]
    places = np.concatenate([places, np.arange(len(examples), len(everything))])
    weights = sampling_weights([everything[i] for i in places], recipe.smoking_share)
    return TrainingSet(views, places, weights)


def train_model(
    start: Start,
    examples: Sequence[Example],
    views: Views,
    places: np.ndarray,
    recipe: Recipe,
    **options,
) -> tuple[keras.Model, keras.Model]:
    """Trains a new model on the pictures at ``places``.

    Args:
        start: what it begins with, and who teaches it.
        examples: all pictures.
        views: of them and the blanks.
        places: which of them to train on, ``int[m]``.
        recipe: the numbers.
        options: name, log and checkpoint, as in `train.training.fit`.

    Returns:
        The model, and the part of it behind the cut.
    """
    chosen = training_set(examples, views, places, recipe)
    chosen = replace(chosen, teach=start.teach, hints=start.hints)
    model = build_model(None if start.arrays else start.weights, recipe.dropout)
    if start.arrays:
        model.set_weights(start.arrays)
    _, suffix = cut_model(model, recipe.cut, start.hints.width if start.hints else 0)
    if start.hints:
        fit_heads(suffix, chosen, recipe)
    fit(suffix, chosen, recipe, **options)
    return model, suffix


def read_fold(file: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Reads what `CrossValidation.train_fold` wrote.

    Returns:
        The model's weights in Keras' order, and its logits of the fold's pictures, ``float64[m]``.
    """
    with np.load(file) as saved:
        return [saved[f"arr_{i}"] for i in range(len(saved.files) - 1)], saved["logits"]


@dataclass(frozen=True)
class CrossValidation:
    """Scores every picture with a model that was trained without its fold.

    Attributes:
        start: what the model of a fold begins with.
        examples: the pictures.
        usable: which may be trained on, ``bool[n]``; the others are scored all the same.
        views: of them and the blanks.
        folds: the fold of each, ``int[n]``; a picture of fold -1 is trained on by all models and
            scored by none.
        recipe: the numbers.
        folder: of this run alone, for what is kept until all of it is done.
    """

    start: Callable[[int], Start]
    examples: Sequence[Example]
    usable: np.ndarray
    views: Views
    folds: np.ndarray
    recipe: Recipe
    folder: Path

    def train_fold(self, fold: int) -> Path:
        """Trains the model of a fold, unless that has been done before.

        Returns:
            A file in the folder, for `read_fold`.
        """
        kept = self.folder / f"fold{fold}.npz"
        if kept.exists():
            return kept
        model, suffix = train_model(
            self.start(fold),
            self.examples,
            self.views,
            np.flatnonzero((self.folds != fold) & self.usable),
            self.recipe,
            name=f"Fold {fold} (0 to {self.folds.max()})",
            checkpoint=self.folder / f"fold{fold}.checkpoint.npz",
        )
        logits = predict_logits(suffix, self.views.features[-1, np.flatnonzero(self.folds == fold)])
        with whole_file(kept) as partial, open(partial, "wb") as file:
            np.savez(file, *model.get_weights(), logits=logits)
        keras.utils.clear_session()
        return kept

    def run(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """Trains the folds' models that are not there yet.

        The average of their weights is a good place to go on from: models that began at the same
        weights and were fine-tuned apart lie close enough to each other, and their average does
        better than most of them (Wortsman and others, "Model soups", 2022).

        Returns:
            The logit of each picture, ``float64[n]``, NaN for those of fold -1, and the average of
            all folds' weights, in Keras' order.
        """
        logits = np.full(len(self.examples), np.nan)
        models: list[list[np.ndarray]] = []
        for fold in np.unique(self.folds[self.folds >= 0]):
            tested = np.flatnonzero(self.folds == fold)
            weights, logits[tested] = read_fold(self.train_fold(fold))
            models.append(weights)
            labels = [self.examples[i].smoking for i in tested]
            both = len(set(labels)) == 2
            area = f"ROC AUC {roc_auc_score(labels, logits[tested]):.4f}, " if both else ""
            tqdm.write(f"Fold {fold}: {area}{len(tested)} pictures")
        # In float64: what all have in common, the layers before the cut, stays as it is to the bit.
        means = [np.mean(w, axis=0, dtype=np.float64) for w in zip(*models, strict=True)]
        return logits, [mean.astype(np.float32) for mean in means]
