"""What a student learns beside the labels: what a larger network gives for each cell.

A label is one number a picture. The features that a teacher ends with are hundreds, for each part
of it, and say what is there (Romero and others, "FitNets: Hints for Thin Deep Nets", 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import keras
import numpy as np

from train.recipe import Recipe

if TYPE_CHECKING:
    from train.training import TrainingSet

FITTED = 1500
"""Views that the heads are fitted to before training begins."""
RIDGE = 0.03
"""Of the regression, as a share of the mean square of the student's features."""
WHOLE_WEIGHT = 0.5
"""How much the whole picture counts beside the mean of its cells."""


@dataclass(frozen=True)
class Hints:
    """What teachers give for the views of all pictures.

    Attributes:
        tokens: one array a teacher: of the whole picture, then of each cell by rows,
            ``float16[views, n, 1 + CELLS * CELLS, width]``. Several are averaged.
    """

    tokens: Sequence[np.ndarray]

    @property
    def width(self) -> int:
        return self.tokens[0].shape[-1]

    def of(self, of_view: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Of views of pictures, ``int[m]`` each: ``float32[m, 1 + CELLS * CELLS, width]``.

        Each number is standardized: over the first views of every seventh picture (those of the
        scored fold among them, no label) it has a mean of 0 and a standard deviation of 1.
        """
        mean, std = self._moments
        return (self._raw(of_view, drawn) - mean) / std

    def _raw(self, of_view, drawn) -> np.ndarray:
        return np.mean([t[of_view, drawn].astype(np.float32) for t in self.tokens], axis=0)

    @cached_property
    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        """``float32[1 + CELLS * CELLS, width]`` each; the cells have theirs in common."""
        tokens = self._raw(0, slice(None, None, 7))
        parts = tokens[:, :1], tokens[:, 1:]
        count = tokens.shape[1] - 1
        moments = []
        for moment in (np.mean, np.std):
            whole, cells = (moment(part, axis=(0, 1), keepdims=True)[0] for part in parts)
            moments.append(np.concatenate([whole, np.repeat(cells, count, axis=0)]))
        return moments[0], moments[1]


def hint_loss(targets, given):
    """Mean squared error, of the whole picture and of its cells.

    Args:
        targets: from `Hints.of`, ``float32[n, 1 + CELLS * CELLS, width]``.
        given: by the student's heads, of the same shape.

    Returns:
        ``float32[n]``
    """
    squares = keras.ops.mean(keras.ops.square(targets - given), axis=2)
    return keras.ops.mean(squares[:, 1:], axis=1) + WHOLE_WEIGHT * squares[:, 0]


def fit_heads(suffix: keras.Model, training: TrainingSet, recipe: Recipe) -> None:
    """Begins the heads with the ridge regression on what the student gives already.

    Begun at random, they would first pull its features to wherever they happen to look.

    Args:
        suffix: from `train.model.cut_model`, with hints; its heads are set.
        training: with hints.
        recipe: the seed and the number of views.
    """
    rng = np.random.default_rng(recipe.seed)
    count = min(FITTED, len(training.places))
    chosen = rng.choice(training.places, count, replace=False)
    sums = [0.0, 0.0]
    for drawn in np.array_split(chosen, -(-count // recipe.batch)):
        of_view = rng.integers(recipe.views, size=len(drawn))
        views = training.views.features[of_view, drawn].astype(np.float32)
        features = keras.ops.convert_to_numpy(suffix.get_layer("rest").predict_on_batch(views))
        hints = training.hints.of(of_view, drawn)
        cells = features.reshape(len(drawn), -1, features.shape[-1])
        parts = (cells, hints[:, 1:]), (cells.mean(axis=1, keepdims=True), hints[:, :1])
        for i, (x, y) in enumerate(parts):
            x = x.reshape(-1, x.shape[-1]).astype(np.float64)
            x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
            # X'X and X'y in one array.
            sums[i] = sums[i] + x.T @ np.hstack([x, y.reshape(len(x), -1)])
    for name, total in zip(("hint_of_cells", "hint_of_whole"), sums, strict=True):
        squares, products = np.split(total, [len(total)], axis=1)
        ridge = RIDGE * np.trace(squares[:-1, :-1]) / (len(squares) - 1)
        weights = np.linalg.solve(squares + ridge * np.eye(len(squares)), products)
        suffix.get_layer(name).set_weights([weights[:-1], weights[-1]])
