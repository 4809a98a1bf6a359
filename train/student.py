"""The student: MobileNetV2, trained with one Keras `fit` on fresh views, resumable at any time."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from edge_app.files import whole_file
from train.data import Example
from train.views import SIZE, ViewRecipe, Views

STATE, RECORD = "state.keras", "training.json"
"""What a training writes into its folder, beside the start weights; nothing else is touched."""


class TrainingError(ValueError):
    """A training that cannot begin or go on; the message says what to do."""


@dataclass(frozen=True)
class StudentRecipe:
    """The numbers of the student's training, see `train/recipe.toml`."""

    steps: int
    batch: int
    learning_rate: float
    warmup: int
    weight_decay: float
    ema: float
    clip: float
    batch_norm: str
    checkpoint: int
    planned: list[list[int]]

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "checkpoint"):
            if getattr(self, name) < 1:
                raise ValueError(f"[student] {name}: expected 1 or more")
        if not 0 <= self.warmup < self.steps:
            raise ValueError("[student] warmup: expected fewer steps than [student] steps")
        if not 0 < self.ema < 1:
            raise ValueError("[student] ema: expected a number between 0 and 1")
        if self.planned != sorted(self.planned) or any(len(pair) != 2 for pair in self.planned):
            raise ValueError("[student] planned: expected [[step, steps], ...] in order")
        if self.batch_norm not in ("frozen", "trained"):
            raise ValueError('[student] batch_norm: expected "frozen" or "trained"')

    def length(self, step: int) -> tuple[int, int]:
        """How many steps the schedule is planned for at a step, and where that ends."""
        for until, steps in self.planned:
            if step < until:
                return steps, until
        return self.steps, self.steps


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
    x = keras.applications.MobileNetV2(
        include_top=False,
        input_shape=(SIZE, SIZE, 3),
        alpha=alpha,
        weights=str(weights) if weights else None,
    )(x)
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
        root = Path(__file__).parent.parent
        shown = subprocess.run(
            ["git", "-C", str(root), "show", start["git"]], capture_output=True, check=False
        )
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


def open_folder(folder: Path, fingerprint: dict) -> None:
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


def train_student(
    examples: Sequence[Example],
    pictures: Sequence[np.ndarray],
    boxes: dict[str, np.ndarray],
    weights: np.ndarray,
    folder: Path,
    start: Callable[[], keras.Model],
    recipe: StudentRecipe,
    views: ViewRecipe,
    seed: int,
    *,
    workers: int = 1,
    say: Callable[[str], None],
) -> keras.Model:
    """Trains, or resumes from the last checkpoint, with the same result (the views and the
    optimizer's state depend on the step alone).

    Args:
        examples: Training pictures.
        pictures: of each, ``uint8[height, width, 3]``, RGB.
        boxes: from `train.data.read_boxes`.
        weights: from `train.data.draw_weights`.
        folder: for checkpoints.
        start: makes the model that a new training begins with.
        recipe, views, seed: the numbers.
        workers: processes that make views beside the training; 1 for a thread.
        say: gets one line per checkpoint, with the time to go.

    Returns:
        The model with the averaged weights.
    """
    keras.utils.set_random_seed(seed)
    smoking = np.array([e.smoking for e in examples], int)
    if len(np.unique(smoking)) < 2:
        raise TrainingError("expected Training pictures of both labels")
    none = np.empty((0, 4))
    boxes_of = [boxes.get(e.name, none) if e.smoking else none for e in examples]
    say(f"{len(examples)} pictures, {sum(map(bool, map(len, boxes_of)))} with boxes")
    state = folder / STATE
    model = keras.models.load_model(state) if state.exists() else _prepare(start(), recipe)
    done = first = int(model.optimizer.iterations.numpy()) if state.exists() else 0
    options = {"workers": workers, "use_multiprocessing": workers > 1, "max_queue_size": 8}
    began = time.monotonic()
    planned = None
    while done < recipe.steps:
        length, until = recipe.length(done)
        if length != planned:
            _compile(model, recipe, length)
            planned = length
        steps = min(recipe.checkpoint, until - done)
        batches = Views(
            *(pictures, boxes_of, smoking, weights, views),
            **{"first": done, "steps": steps, "batch": recipe.batch, "seed": seed},
            **options,
        )
        # Dropout has a state of its own, which no file keeps.
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):
                layer.seed_generator.state.assign([seed, done])
        history = model.fit(batches, epochs=1, verbose=0, shuffle=False)
        done += steps
        with whole_file(state) as partial:
            model.save(partial)
        pace = (time.monotonic() - began) / (done - first)
        say(
            f"{time.strftime('%H:%M:%S')} {done}/{recipe.steps} "
            f"loss {history.history['loss'][0]:.4f} {pace:.2f} s/step, "
            f"{pace * (recipe.steps - done) / 60:.0f} min to go"
        )
    model.optimizer.finalize_variable_values(model.trainable_variables)
    if recipe.batch_norm == "trained":
        extra = Views(
            *(pictures, boxes_of, smoking, weights, views),
            **{"first": recipe.steps, "steps": 100, "batch": recipe.batch, "seed": seed},
        )
        measure_statistics(model, extra)
    return model


def measure_statistics(model: keras.Model, batches: Sequence) -> None:
    """Measures the batch normalization statistics of averaged weights as means over batches."""
    norms = [x for x in model._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for index in range(len(batches)):
        for norm in norms:
            norm.momentum = index / (index + 1)
        model(batches[index][0], training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _prepare(model: keras.Model, recipe: StudentRecipe) -> keras.Model:
    model.trainable = True
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = recipe.batch_norm == "trained"
    return model


def _compile(model: keras.Model, recipe: StudentRecipe, steps: int) -> None:
    """Gives the model an optimizer for a schedule of so many steps, in the state of its last."""
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 10,
        steps - recipe.warmup,
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
    before = model.optimizer.variables if model.compiled else None
    model.compile(optimizer, "binary_crossentropy")
    if before is not None:
        optimizer.build(model.trainable_variables)
        for variable, value in zip(optimizer.variables, before, strict=True):
            variable.assign(value)
