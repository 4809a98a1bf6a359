"""Trains a model on labelled pictures held in memory."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from edge_app.decision import Decision, append_decision
from edge_app.files import whole_file
from train.augment import augment
from train.data import Example
from train.recipe import Recipe


class Batches(keras.utils.PyDataset):
    """Draws augmented batches: ``float32[batch, size, size, 3]`` in [0, 255], ``float32[batch]``.

    Each picture is drawn by its weight, so that classes and data sets are balanced whatever their
    sizes. A batch depends on the seed, the epoch and its number only.
    """

    def __init__(self, examples: Sequence[Example], pixels: np.ndarray, recipe: Recipe):
        super().__init__(workers=2, max_queue_size=8)
        self.pixels = pixels
        self.labels = np.array([example.smoking for example in examples], np.float32)
        self.weights = sampling_weights(examples, recipe.smoking_share)
        self.recipe = recipe
        self.epoch = 0

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self.recipe.seed, self.epoch, step])
        drawn = rng.choice(len(self.labels), self.recipe.batch, p=self.weights)
        pixels = np.stack([augment(self.pixels[i], rng) for i in drawn]).astype(np.float32)
        return pixels, self.labels[drawn]

    def on_epoch_end(self) -> None:
        self.epoch += 1


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


def fit(
    model: keras.Model,
    training: tuple[Sequence[Example], np.ndarray],
    validation: tuple[Sequence[Example], np.ndarray],
    recipe: Recipe,
    log: Path | None = None,
) -> None:
    """Trains the model in place, with a progress bar an epoch.

    Args:
        model: as from `train.model.build_model`.
        training: examples and their pixels ``uint8[n, size, size, 3]``.
        validation: likewise; only watched, never used to pick an epoch.
        recipe: the numbers.
        log: a CSV file that gets a line an epoch.
    """
    keras.utils.set_random_seed(recipe.seed)
    total = recipe.epochs * recipe.steps
    warmup = min(recipe.steps, total // 5)
    schedule = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 20,
        decay_steps=total - warmup,
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup,
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay),
        loss=keras.losses.BinaryCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy"), keras.metrics.AUC(name="auc")],
    )
    examples, pixels = validation
    labels = np.array([example.smoking for example in examples], np.float32)
    model.fit(
        Batches(*training, recipe),
        epochs=recipe.epochs,
        validation_data=(pixels, labels),
        verbose=1 if sys.stderr.isatty() else 2,
        callbacks=[keras.callbacks.CSVLogger(str(log))] if log else [],
    )


def set_decision(
    model: keras.Model, scores: np.ndarray, labels: np.ndarray, recipe: Recipe
) -> Decision:
    """Moves the model's bias so that 0.5 is the threshold, and says how it was chosen.

    The threshold is the lowest one at which at most ``recipe.false_alarms`` of the NotSmoking
    validation pictures are called Smoking. Shifting the last bias by its logit puts it at 0.5,
    where every standard runner, which only knows the larger score, decides the same.

    Args:
        model: ends in a dense layer with a sigmoid; changed in place.
        scores: P(Smoking) of the validation pictures, ``float[n]``.
        labels: ``bool[n]``.
    """
    negatives = np.sort(scores[~labels])
    allowed = int(recipe.false_alarms * len(negatives))
    threshold = float(np.clip(negatives[-allowed - 1], 1e-4, 1 - 1e-4)) + 1e-6
    head = model.layers[-1]
    kernel, bias = head.get_weights()
    head.set_weights([kernel, bias - math.log(threshold / (1 - threshold))])
    return Decision(
        threshold=0.5,
        chosen=(
            f"the last bias was shifted so that at most {recipe.false_alarms:.0%} of the "
            f"{len(negatives)} NotSmoking validation pictures score 0.5 or more"
        ),
    )


def save(model: keras.Model, decision: Decision, path: Path) -> None:
    """Writes the model with its decision to a ``.keras`` file, whole or not at all."""
    with whole_file(path) as partial:
        # A model around the same layers without the optimizer, whose state is twice the weights.
        keras.Model(model.inputs[0], model.outputs[0], name=model.name).save(partial)
        append_decision(str(partial), decision)
