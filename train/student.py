"""The student: MobileNetV2, trained with Keras `fit` on fresh views, resumable at any time."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from edge_app.files import whole_file
from train.recipe import StudentRecipe
from train.views import SIZE

RECORD = "training.json"
"""The file by which the folder of a training is known."""


class TrainingError(ValueError):
    """A training that cannot begin or go on; the message says what to do."""


def build_student(weights: str | Path | None = "imagenet", alpha: float = 1.0) -> keras.Model:
    """MobileNetV2 with global average pooling, dropout and one dense unit.

    With nothing but a dense layer behind the pooling, each cell of the last feature map adds its
    own share to the logit (class activation map), so where the model looks can be computed exactly.

    Args:
        weights: "imagenet" (downloads), a ``.weights.h5`` file of the backbone, a ``.keras`` file
            of this model, or None (random).
        alpha: width of the backbone.

    Returns:
        float32 ``[n, SIZE, SIZE, 3]``, RGB in [0, 255], to P(Smoking), float32 ``[n, 1]``.
    """
    if str(weights).endswith(".keras"):
        return keras.models.load_model(weights, compile=False)
    pixels = keras.Input((SIZE, SIZE, 3), name="pixels")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="to_minus_one_to_one")(pixels)
    shape, start = (SIZE, SIZE, 3), str(weights) if weights else None
    x = keras.applications.MobileNetV2(shape, alpha, include_top=False, weights=start)(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(0.3, name="dropout")(x)
    # Zeros: random weights would disturb the features before they mean anything.
    dense = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="zeros", name="smoking")
    return keras.Model(pixels, dense(x), name="smoking_mobilenetv2")


def start_weights(start: str | dict[str, str], folder: Path, given: Path | None = None) -> str:
    """Finds what the student starts at: ``imagenet``, or a file whose checksum is verified.

    Args:
        start: of the recipe: ``imagenet``, a path, or ``{sha256, file or git}``, where ``git`` is
            ``commit:path`` in this repository.
        folder: of this training, where a file from git is kept.
        given: a file of the user's own, instead of ``file`` or ``git``; still verified where the
            recipe has a checksum.

    Raises:
        TrainingError: the file is missing or is another one.
    """
    if isinstance(start, str):
        start = {"file": start}
    file = given or Path(start.get("file", folder / "start.keras"))
    if str(file) == "imagenet":
        return "imagenet"
    if given is None and "git" in start and not file.exists():
        show = ["git", "-C", str(Path(__file__).parent.parent), "show", start["git"]]
        shown = subprocess.run(show, capture_output=True, check=False)
        if shown.returncode:
            raise TrainingError(
                f"git show {start['git']} failed: this needs a clone with its history "
                "(git fetch --unshallow), or the file itself: --start FILE.keras"
            )
        with whole_file(file) as partial:
            partial.write_bytes(shown.stdout)
    if not file.is_file():
        raise TrainingError(f"{file}: there is no such file to start at")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != start.get("sha256", digest):
        raise TrainingError(
            f"{file}: is another file than the recipe starts at (SHA-256 {digest}, expected "
            f"{start['sha256']}); change [start] in a recipe of your own to use it"
        )
    return str(file)


def open_folder(folder: Path, fingerprint: dict[str, Any]) -> None:
    """Makes the folder of a training, or makes sure that the one there is of this training.

    Raises:
        TrainingError: the folder holds something else; nothing in it is touched.
    """
    record = folder / RECORD
    if record.exists():
        if json.loads(record.read_text()) != fingerprint:
            raise TrainingError(
                f"{folder}: holds a training with another recipe, start or other pictures. "
                "Continue with those, or give another folder: --state FOLDER"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TrainingError(f"{folder}: is not empty; give another folder: --state FOLDER")
    with whole_file(record) as partial:
        partial.write_text(json.dumps(fingerprint, indent=2) + "\n")


def fit(
    start: Callable[[], keras.Model],
    batches: Callable[[int, int], keras.utils.PyDataset],
    state: Path,
    recipe: StudentRecipe,
    seed: int,
    say: Callable[[str], None],
) -> keras.Model:
    """Trains, or resumes from the last checkpoint, with the same result: views, dropout and the
    optimizer's state depend on the step alone.

    Args:
        start: makes the model that a new training begins with.
        batches: gives the batches from a step on, and how many.
        state: file of the checkpoint.
        recipe, seed: the numbers.
        say: gets one line per checkpoint, with the time to go.

    Returns:
        The model with the averaged weights.
    """
    keras.utils.set_random_seed(seed)
    model = keras.models.load_model(state) if state.exists() else _compiled(start(), recipe)
    done = first = int(model.optimizer.iterations.numpy())
    began = time.monotonic()
    while done < recipe.steps:
        steps = min(recipe.checkpoint, recipe.steps - done)
        # Dropout has a state of its own, which no file keeps.
        for layer in _layers(model, keras.layers.Dropout):
            layer.seed_generator.state.assign([seed, done])
        # At its end, `fit` replaces the weights by their moving average.
        history = model.fit(batches(done, steps), verbose=0, shuffle=False).history
        done += steps
        with whole_file(state) as partial:
            model.save(partial)
        pace = (time.monotonic() - began) / (done - first)
        say(
            f"{time.strftime('%H:%M:%S')} {done}/{recipe.steps} loss {history['loss'][0]:.4f} "
            f"{pace:.2f} s/step, {pace * (recipe.steps - done) / 60:.0f} min to go"
        )
    if recipe.batch_norm == "trained":
        measure_statistics(model, batches(recipe.steps, 100))
    return model


def measure_statistics(model: keras.Model, batches: Sequence) -> None:
    """Measures the batch normalization statistics of averaged weights as means over batches."""
    norms = _layers(model, keras.layers.BatchNormalization)
    momenta = [norm.momentum for norm in norms]
    for index in range(len(batches)):
        for norm in norms:
            norm.momentum = index / (index + 1)
        model(batches[index][0], training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _compiled(model: keras.Model, recipe: StudentRecipe) -> keras.Model:
    model.trainable = True
    for layer in _layers(model, keras.layers.BatchNormalization):
        layer.trainable = recipe.batch_norm == "trained"
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 10,
        recipe.steps - recipe.warmup,
        warmup_target=recipe.learning_rate,
        warmup_steps=recipe.warmup,
    )
    optimizer = keras.optimizers.AdamW(
        rate,
        weight_decay=recipe.weight_decay,
        use_ema=True,
        ema_momentum=recipe.ema,
        clipnorm=recipe.clip,
    )
    model.compile(optimizer, "binary_crossentropy")
    return model


def _layers(model: keras.Model, kind: type) -> list[keras.layers.Layer]:
    return [layer for layer in model._flatten_layers() if isinstance(layer, kind)]
