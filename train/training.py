"""Trains a model on labelled pictures held in memory."""

from __future__ import annotations

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from edge_app.decision import Decision, append_decision
from edge_app.files import whole_file
from train.augment import augment, blank
from train.data import Example
from train.recipe import Recipe


class CheckpointError(ValueError):
    """What a broken off run left behind does not belong to this one."""


class Batches(keras.utils.PyDataset):
    """Draws augmented batches.

    A batch is ``float32[batch, size, size, 3]`` in [0, 255] and its targets: ``smoking``
    ``float32[batch, 1]`` and ``action`` ``float32[batch, actions]``, a row of zeros, which costs
    nothing whatever is answered, where the data set does not say what is done.

    Each picture is drawn by its weight, so that classes and data sets are balanced whatever their
    sizes. A batch depends on the seed, the epoch and its number only.
    """

    def __init__(self, examples: Sequence[Example], pixels: np.ndarray, recipe: Recipe, epoch: int):
        super().__init__(workers=2, max_queue_size=8)
        self.pixels = pixels
        self.smoking = np.array([[example.smoking] for example in examples], np.float32)
        self.actions = action_targets(examples)
        self.weights = sampling_weights(examples, recipe.smoking_share)
        self.recipe = recipe
        self.epoch = epoch

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, step: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        recipe = self.recipe
        size = recipe.size_at(self.epoch)
        rng = np.random.default_rng([recipe.seed, self.epoch, step])
        drawn = rng.choice(len(self.weights), recipe.batch, p=self.weights)
        pixels = np.empty((recipe.batch, size, size, 3), np.float32)
        smoking, actions = self.smoking[drawn], self.actions[drawn]
        for place, picture in enumerate(drawn):
            if rng.random() < recipe.blanks:
                pixels[place] = blank(rng, size)
                smoking[place], actions[place] = 0, 0
            else:
                pixels[place] = augment(self.pixels[picture], rng, size)
        if recipe.mixup and rng.random() < 0.5:
            share = rng.beta(recipe.mixup, recipe.mixup, (recipe.batch, 1)).astype(np.float32)
            pixels = _mix(pixels, share[..., None, None])
            smoking, actions = _mix(smoking, share), _mix(actions, share)
        return pixels, {"smoking": smoking, "action": actions}


def _mix(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Mixes each with its neighbour in the batch."""
    return values * share + np.roll(values, 1, axis=0) * (1 - share)


def action_targets(examples: Sequence[Example]) -> np.ndarray:
    """One-hot actions, ``float32[n, actions]``; zeros for pictures of sets without actions.

    A data set has actions where it has a folder for each of more than two things.
    """
    groups = defaultdict(set)
    for example in examples:
        groups[example.dataset].add(example.group)
    actions = sorted(
        (dataset, group)
        for dataset, of_dataset in groups.items()
        if len(of_dataset) > 2
        for group in of_dataset
    )
    places = {action: place for place, action in enumerate(actions)}
    targets = np.zeros((len(examples), max(1, len(actions))), np.float32)
    for row, example in zip(targets, examples, strict=True):
        if (place := places.get((example.dataset, example.group))) is not None:
            row[place] = 1
    return targets


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


class WeightAverage(keras.callbacks.Callback):
    """Keeps an exponential moving average of the trained weights, and validates with it.

    Early on it follows more closely, as ``(1 + steps) / (10 + steps)``, so that it does not drag
    the untrained weights along (as TensorFlow's ExponentialMovingAverage does with num_updates).
    """

    def __init__(self, variables: Sequence, momentum: float):
        super().__init__()
        self.variables = list(variables)
        self.momentum = momentum
        self.steps = 0
        self.averages = [_copy_of(variable) for variable in self.variables]

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        momentum = min(self.momentum, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        for average, variable in zip(self.averages, self.variables, strict=True):
            average += (1 - momentum) * (keras.ops.convert_to_numpy(variable) - average)

    def on_test_begin(self, logs: dict | None = None) -> None:
        self.swap()

    def on_test_end(self, logs: dict | None = None) -> None:
        self.swap()

    def swap(self) -> None:
        """Exchanges the weights and their averages."""
        for place, variable in enumerate(self.variables):
            current = _copy_of(variable)
            variable.assign(self.averages[place])
            self.averages[place] = current


def _copy_of(variable: keras.Variable) -> np.ndarray:
    """The values of a variable, which the array that a backend gives may share memory with."""
    return np.array(keras.ops.convert_to_numpy(variable))


def fit(
    model: keras.Model,
    training: tuple[Sequence[Example], np.ndarray],
    validation: tuple[Sequence[Example], np.ndarray],
    recipe: Recipe,
    log: Path | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Trains the model in place, with a progress bar an epoch.

    Args:
        model: as from `train.model.build_model` with ``size=None``.
        training: examples and their pixels ``uint8[n, size, size, 3]``.
        validation: likewise; only watched, never used to pick an epoch.
        recipe: the numbers.
        log: a CSV file that gets a line an epoch.
        checkpoint: a file that holds all there is to go on with after each epoch. Where it is
            there already and of the same recipe, the training goes on from it.
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
    trainer = _with_actions(model, action_targets(training[0]).shape[1])
    trainer.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay),
        loss={
            "smoking": keras.losses.BinaryCrossentropy(label_smoothing=recipe.label_smoothing),
            "action": keras.losses.CategoricalCrossentropy(from_logits=True),
        },
        loss_weights={"smoking": 1.0, "action": recipe.action_weight},
        metrics={"smoking": [keras.metrics.AUC(name="auc")]},
    )
    trainer.optimizer.build(trainer.trainable_variables)
    average = WeightAverage(trainer.trainable_variables, recipe.weight_average)
    first = _restore(checkpoint, recipe, trainer, average)
    watched = (
        validation[1],
        {
            "smoking": np.array([[example.smoking] for example in validation[0]], np.float32),
            "action": np.zeros((len(validation[0]), trainer.output["action"].shape[1])),
        },
    )
    for epoch in range(first, recipe.epochs):
        trainer.fit(
            Batches(*training, recipe, epoch),
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,  # they are drawn at random, by their number
            validation_data=watched if _is_watched(epoch, recipe) else None,
            verbose=1 if sys.stderr.isatty() else 2,
            callbacks=[
                average,
                *([keras.callbacks.CSVLogger(str(log), append=epoch > 0)] if log else []),
            ],
        )
        if checkpoint:
            _save_state(checkpoint, recipe, trainer, average, epoch + 1)
    if recipe.weight_average:
        average.swap()
    if checkpoint:
        checkpoint.unlink(missing_ok=True)


def _is_watched(epoch: int, recipe: Recipe) -> bool:
    """Every fourth epoch and the last: validation costs a fifth of an epoch of small pictures."""
    return epoch % 4 == 3 or epoch == recipe.epochs - 1


def _with_actions(model: keras.Model, actions: int) -> keras.Model:
    """The model with a second head on the same features, used in training only."""
    features = model.get_layer("dropout").output
    action = keras.layers.Dense(actions, name="action")(features)
    return keras.Model(model.inputs[0], {"smoking": model.outputs[0], "action": action})


def _state(trainer: keras.Model) -> list:
    return [*trainer.variables, *trainer.optimizer.variables]


def _save_state(
    path: Path, recipe: Recipe, trainer: keras.Model, average: WeightAverage, epochs: int
) -> None:
    arrays = {f"state_{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(_state(trainer))}
    arrays |= {f"average_{i}": array for i, array in enumerate(average.averages)}
    with whole_file(path) as partial, open(partial, "wb") as file:
        np.savez(file, recipe=repr(recipe), epochs=epochs, steps=average.steps, **arrays)


def _restore(
    path: Path | None, recipe: Recipe, trainer: keras.Model, average: WeightAverage
) -> int:
    """Goes back to where a killed run was; returns the number of epochs that are done."""
    if path is None or not path.exists():
        return 0
    with np.load(path) as saved:
        if str(saved["recipe"]) != repr(recipe):
            raise CheckpointError(
                f"{path} is what another recipe left behind; delete it to begin anew, "
                f"or go on with: {saved['recipe']}"
            )
        for i, variable in enumerate(_state(trainer)):
            variable.assign(saved[f"state_{i}"])
        average.averages = [saved[f"average_{i}"] for i in range(len(average.averages))]
        average.steps = int(saved["steps"])
        return int(saved["epochs"])


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
