"""Trains a cut model on the features of views, and sets its decision."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from edge_app.decision import Decision, append_decision
from edge_app.files import whole_file
from train.data import Example
from train.hints import Hints, hint_loss
from train.recipe import Recipe
from train.views import Views

CHECKPOINT_STEPS = 100
"""Steps from one checkpoint to the next: under a minute on two cores."""


SHARPNESS = 1.1
"""An average of logits of models that disagree is more cautious than it need be: a logistic
regression on those of the first two that were averaged so had this slope."""


Teach = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Features at the cut ``float32[n, ...]``, and of which view and picture each is, ``int[n]``, to
P(Smoking) ``float32[n, 1]``."""


class TrainingError(ValueError):
    """A run cannot begin or go on; the message says why, and what to do."""


@dataclass(frozen=True)
class TrainingSet:
    """What a model is trained on.

    Attributes:
        views: of all pictures; the last one of each, the picture as it is, is not used.
        places: which of the pictures and blanks are trained on, ``int[m]``.
        weights: how probable it is that each of ``places`` is drawn, ``float[m]``, summing to 1.
        teach: what teachers say, from `teacher`; None without them.
        hints: what a transformer gives for the cells of each view; None without one.
    """

    views: Views
    places: np.ndarray
    weights: np.ndarray
    teach: Teach | None = None
    hints: Hints | None = None

    def batch(self, recipe: Recipe, step: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Draws the batch of a step; it depends on the seed and the step only.

        Returns:
            ``float32[batch, rows, columns, channels]``, and the targets ``smoking``
            ``float32[batch, 1]`` and ``cells`` ``float32[batch, CELLS, CELLS]``, -1 where one is
            not known; and ``hints`` where there are any.
        """
        rng = np.random.default_rng([recipe.seed, step])
        drawn = rng.choice(self.places, recipe.batch, p=self.weights)
        of_view = rng.integers(recipe.views, size=recipe.batch)
        features = self.views.features[of_view, drawn].astype(np.float32)
        smoking = self.views.smoking[of_view, drawn, None].astype(np.float32)
        cells = np.nan_to_num(self.views.cells[of_view, drawn].astype(np.float32), nan=-1)
        smoking = smoking + recipe.label_smoothing * (0.5 - smoking)
        if self.teach:
            smoking += recipe.teacher_weight * (self.teach(features, of_view, drawn) - smoking)
        targets = {"smoking": smoking, "cells": cells}
        if self.hints:
            targets["hints"] = self.hints.of(of_view, drawn)
        return features, targets


@dataclass(frozen=True)
class Start:
    """What a model begins with, and who teaches it.

    Attributes:
        weights: as in `train.model.build_model`; not used where there are arrays.
        arrays: weights of the whole model, in Keras' order.
        teach: what teachers say, from `teacher`; None without them.
        hints: what a transformer gives for the cells of each view; None without one.
    """

    weights: str | Path | None = None
    arrays: Sequence[np.ndarray] | None = None
    teach: Teach | None = None
    hints: Hints | None = None


def teacher(suffixes: Sequence[keras.Model], said: np.ndarray | None = None) -> Teach:
    """What several models say together: the average of their logits, scaled by `SHARPNESS`.

    Args:
        suffixes: of cut models.
        said: logits of one more model, ``float32[views or more, n]``, blanks too.
    """

    heard: dict[tuple[int, int], float] = {}  # a long training asks for every view several times

    def teach(features: np.ndarray, of_view: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        asked = list(zip(of_view.tolist(), drawn.tolist(), strict=True))
        new = [place for place, view in enumerate(asked) if view not in heard]
        if new:
            # In eights: TensorFlow compiles a model for every other number of rows again.
            rows = features[np.resize(new, -(-len(new) // 8) * 8)]
            scores = [s.predict_on_batch(rows)["smoking"] for s in suffixes]
            logits = [to_logits(keras.ops.convert_to_numpy(s)[: len(new), 0]) for s in scores]
            if said is not None:
                logits.append(said[of_view[new], drawn[new]])
            heard.update(zip([asked[i] for i in new], np.mean(logits, axis=0), strict=True))
        mean = SHARPNESS * np.array([heard[view] for view in asked])[:, None]
        return (1 / (1 + np.exp(-mean))).astype(np.float32)

    return teach


def cell_loss(targets, logits):
    """Cross-entropy of the cells of which it is known what they show, summed over each picture.

    Args:
        targets: 1, 0, or -1 where it is not known, ``float32[n, rows, columns]``.
        logits: ``float32[n, rows, columns]``.

    Returns:
        ``float32[n]``
    """
    known = keras.ops.cast(targets >= 0, "float32")
    # log(1 + exp(z)) - t z is -t log(p) - (1 - t) log(1 - p) for p = sigmoid(z).
    losses = keras.ops.softplus(logits) - targets * logits
    return keras.ops.sum(known * losses, axis=(1, 2))


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of a recipe: it rises, stays, and falls where the recipe says so."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        share = step / max(1, self.recipe.warmup)
        if self.recipe.decay:
            left = (self.recipe.steps - step) / (self.recipe.decay * self.recipe.steps)
            share = keras.ops.minimum(share, left)
        return self.recipe.learning_rate * (0.05 + 0.95 * keras.ops.clip(share, 0, 1))


def fit(
    suffix: keras.Model,
    training: TrainingSet,
    recipe: Recipe,
    *,
    name: str = "Training",
    log: Path | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Trains the second part of a cut model in place, with a progress bar.

    What it ends with is a moving average of the weights over the last steps, which does better on
    pictures of other kinds than any one of them (Cha and others, "SWAD: Domain Generalization by
    Seeking Flat Minima", 2021).

    Args:
        suffix: from `train.model.cut_model`.
        training: what on.
        recipe: the numbers.
        name: for the progress bar.
        log: a CSV file, written anew, that gets a line every 20 steps: step, mean loss since the
            last line, learning rate. A run that goes on adds to it.
        checkpoint: a file that holds all there is to go on with, written now and then. Where
            it is there already, of the same recipe, training goes on from it.

    Raises:
        TrainingError: the checkpoint is of another recipe.
    """
    keras.utils.set_random_seed(recipe.seed)
    schedule = Schedule(recipe)
    losses = {"smoking": keras.losses.BinaryCrossentropy(), "cells": cell_loss}
    loss_weights = {"smoking": 1.0, "cells": recipe.cell_weight}
    if training.hints:
        losses["hints"] = hint_loss
        loss_weights["hints"] = recipe.hint_weight
    suffix.compile(
        optimizer=keras.optimizers.AdamW(
            schedule,
            weight_decay=recipe.weight_decay,
            use_ema=True,
            ema_momentum=recipe.ema_momentum,
        ),
        loss=losses,
        loss_weights=loss_weights,
    )
    suffix.optimizer.build(suffix.trainable_variables)
    done = _restore(checkpoint, recipe, suffix)
    if log and not done:
        log.write_text("step,loss,learning_rate\n")
    steps = recipe.steps
    with tqdm(range(done, steps), name, initial=done, total=steps, disable=None) as bar:
        for step in bar:
            features, targets = training.batch(recipe, step)
            # What Keras returns is an average since the metrics were last reset.
            loss = suffix.train_on_batch(features, targets, return_dict=True)["loss"]
            if (step + 1) % 20 == 0 or step + 1 == steps:
                suffix.reset_metrics()
                loss = float(loss)
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
                if log:
                    with log.open("a") as file:
                        file.write(f"{step + 1},{loss:.5f},{float(schedule(step)):.3g}\n")
            if checkpoint and (step + 1) % CHECKPOINT_STEPS == 0:
                _save_state(checkpoint, recipe, suffix, step + 1)
    suffix.optimizer.finalize_variable_values(suffix.trainable_variables)
    if checkpoint:
        checkpoint.unlink(missing_ok=True)


def predict_logits(suffix: keras.Model, features: np.ndarray) -> np.ndarray:
    """The logit of P(Smoking) of pictures, ``float32[n]``, from their features at the cut."""
    scores = [
        keras.ops.convert_to_numpy(suffix.predict_on_batch(part.astype(np.float32))["smoking"])
        for part in np.array_split(features, max(1, len(features) // 64))
    ]
    return to_logits(np.concatenate(scores)[:, 0])


def to_logits(scores: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)), ``float64[n]``, finite for scores of 0 and 1 too."""
    scores = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log(scores / (1 - scores))


def sampling_weights(examples: Sequence[Example], smoking_share: float) -> np.ndarray:
    """How probable it is that each picture is drawn; sums to 1.

    The classes get ``smoking_share`` and the rest; inside a class a data set gets a share that
    grows with the square root of its size, so that a small set counts for more than its number
    and a large one is not worn out.
    """
    sizes = Counter((example.smoking, example.dataset) for example in examples)
    roots = {key: math.sqrt(size) for key, size in sizes.items()}
    of_class = {
        smoking: sum(root for (of, _), root in roots.items() if of == smoking)
        for smoking in (False, True)
    }
    class_share = {True: smoking_share, False: 1 - smoking_share}
    weights = np.array(
        [
            class_share[e.smoking]
            * roots[e.smoking, e.dataset]
            / of_class[e.smoking]
            / sizes[e.smoking, e.dataset]
            for e in examples
        ]
    )
    return weights / weights.sum()


def _state(suffix: keras.Model) -> list:
    return [*suffix.variables, *suffix.optimizer.variables]


def _save_state(path: Path, recipe: Recipe, suffix: keras.Model, steps: int) -> None:
    arrays = {f"state_{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(_state(suffix))}
    with whole_file(path) as partial, open(partial, "wb") as file:
        np.savez(file, recipe=repr(recipe), steps=steps, **arrays)


def _restore(path: Path | None, recipe: Recipe, suffix: keras.Model) -> int:
    """Goes back to where a killed run was; returns the number of steps that are done."""
    if path is None or not path.exists():
        return 0
    with np.load(path) as saved:
        if str(saved["recipe"]) != repr(recipe):
            raise TrainingError(
                f"{path} is what another recipe left behind; delete it to begin anew, "
                f"or go on with: {saved['recipe']}"
            )
        for i, variable in enumerate(_state(suffix)):
            variable.assign(saved[f"state_{i}"])
        return int(saved["steps"])


def save(model: keras.Model, decision: Decision, path: Path) -> None:
    """Writes the model with its decision to a ``.keras`` file, whole or not at all."""
    with whole_file(path) as partial:
        # A model around the same layers without the optimizer, whose state is twice the weights.
        keras.Model(model.inputs[0], model.outputs[0], name=model.name).save(partial)
        append_decision(str(partial), decision)
