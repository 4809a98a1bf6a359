"""The student: MobileNetV2, trained with Keras `fit` on fresh views, resumable at any time."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from edge_app.files import whole_file
from edge_app.wording import first_line
from train.recipe import Recipe, StudentRecipe
from train.views import SIZE


def build_student(start: str | Path | None = "imagenet") -> keras.Model:
    """MobileNetV2 with global average pooling, dropout and one dense unit.

    With nothing but a dense layer behind the pooling, each cell of the last feature map adds its
    own share to the logit (class activation map), so where the model looks can be computed exactly.

    Args:
        start: "imagenet" (downloads), a ``.keras`` file of this model, or None (random).

    Returns:
        float32 ``[n, SIZE, SIZE, 3]``, RGB in [0, 255], to P(Smoking), float32 ``[n, 1]``.
    """
    if str(start).endswith(".keras"):
        try:
            return keras.models.load_model(start, compile=False)
        except Exception as error:  # Keras raises whatever its readers and layers raise
            hint = f"Keras {keras.__version__} cannot load it; did a newer Keras write it?"
            raise ValueError(f"{start}: {hint} ({first_line(error)})") from None
    pixels = keras.Input((SIZE, SIZE, 3), name="pixels")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="to_minus_one_to_one")(pixels)
    x = keras.applications.MobileNetV2((SIZE, SIZE, 3), include_top=False, weights=start)(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(0.3, name="dropout")(x)
    # Zeros: random weights would disturb the features before they mean anything.
    dense = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="zeros", name="smoking")
    return keras.Model(pixels, dense(x), name="smoking_mobilenetv2")


def start_weights(start: str | dict[str, str], folder: Path) -> str:
    """Finds what the student starts at: ``imagenet``, or a file whose checksum is verified.

    Args:
        start: of the recipe: ``imagenet``, a path, or ``{git, sha256}`` for a file of this
            repository's history, ``commit:path``.
        folder: of this training, where a file from git is kept.

    Raises:
        ValueError: the file is missing or is another one.
    """
    if isinstance(start, str):
        if start != "imagenet" and not Path(start).is_file():
            raise ValueError(f"{start}: there is no such file to start at")
        return start
    file = folder / "start.keras"
    if not file.exists():
        show = ["git", "-C", str(Path(__file__).parent.parent), "show", start["git"]]
        shown = subprocess.run(show, capture_output=True, check=False)
        if shown.returncode:
            raise ValueError(
                f"git show {start['git']} failed: this needs a clone with its history "
                f"(git fetch --unshallow), or that file as {file}"
            )
        with whole_file(file) as partial:
            partial.write_bytes(shown.stdout)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != start["sha256"]:
        raise ValueError(
            f"{file}: is another file than the recipe starts at (SHA-256 {digest}, expected "
            f"{start['sha256']})"
        )
    return str(file)


def open_folder(folder: Path, fingerprint: dict[str, Any]) -> None:
    """Makes the folder of a training, or makes sure that the one there is of this training.

    Raises:
        ValueError: the folder holds something else; nothing in it is touched.
    """
    record = folder / "training.json"
    if record.exists():
        if json.loads(record.read_text()) != fingerprint:
            raise ValueError(
                f"{folder}: holds a training with another recipe, start or other pictures. "
                "Continue with those, or give another folder: --state FOLDER"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder}: is not empty; give another folder: --state FOLDER")
    with whole_file(record) as partial:
        partial.write_text(json.dumps(fingerprint, indent=2) + "\n")


def fit(
    start: Callable[[], keras.Model],
    batches: Callable[[int, int], keras.utils.PyDataset],
    state: Path,
    recipe: Recipe,
    say: Callable[[str], None],
) -> keras.Model:
    """Trains, or resumes from the last checkpoint with the same result, since views, dropout and
    the optimizer's state depend on the step alone. Gives the model with the averaged weights.

    Args:
        start: makes the model that a new training begins with.
        batches: gives the batches from a step on, and how many.
        state: file of the checkpoint.
        recipe: the numbers.
        say: gets one line per checkpoint, with the time to go.
    """
    numbers = recipe.student
    keras.utils.set_random_seed(recipe.seed)
    model = keras.models.load_model(state) if state.exists() else _compiled(start(), numbers)
    done = first = int(model.optimizer.iterations.numpy())
    began = time.monotonic()
    while done < numbers.steps:
        steps = min(numbers.checkpoint, numbers.steps - done)
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):  # its state of its own is in no file
                layer.seed_generator.state.assign([recipe.seed, done])
        # At its end, `fit` replaces the weights by their moving average.
        history = model.fit(batches(done, steps), verbose=0, shuffle=False).history
        done += steps
        with whole_file(state) as partial:
            model.save(partial)
        pace = (time.monotonic() - began) / (done - first)
        say(
            f"{time.strftime('%H:%M:%S')} {done}/{numbers.steps} loss {history['loss'][0]:.4f} "
            f"{pace:.2f} s/step, {pace * (numbers.steps - done) / 60:.0f} min to go"
        )
    return model


def _compiled(model: keras.Model, numbers: StudentRecipe) -> keras.Model:
    model.trainable = True
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    peak, falling = numbers.learning_rate, numbers.steps - numbers.warmup
    rate = keras.optimizers.schedules.CosineDecay(
        peak / 10, falling, warmup_target=peak, warmup_steps=numbers.warmup
    )
    averaged = {"use_ema": True, "ema_momentum": numbers.ema}
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=numbers.weight_decay, clipnorm=numbers.clip, **averaged
    )
    model.compile(optimizer, "binary_crossentropy")
    return model
