"""The original notebook's recipe: a frozen backbone, one hidden layer, one small data set."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import keras
import numpy as np

from edge_app.decision import Decision
from train.data import Example
from train.model import build_notebook_model

EPOCHS = 15
BATCH = 32
LEARNING_RATE = 3e-4


def train_notebook(
    training: tuple[Sequence[Example], np.ndarray],
    validation: tuple[Sequence[Example], np.ndarray],
    weights: str,
    seed: int,
) -> tuple[keras.Model, Decision]:
    """Trains as the notebook did.

    Args:
        training: examples and their pixels ``uint8[n, size, size, 3]``.
        validation: likewise, watched only; may be empty.
        weights: of the backbone, as in `train.model.build_model`.
        seed: of everything random.

    Returns:
        The model, and its decision: 0.5.
    """
    keras.utils.set_random_seed(seed)
    model = build_notebook_model(weights)
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss=keras.losses.BinaryCrossentropy(),
        metrics=["accuracy"],
    )
    watched = _arrays(validation) if len(validation[0]) else None
    model.fit(
        *_arrays(training),
        batch_size=BATCH,
        epochs=EPOCHS,
        validation_data=watched,
        verbose=1 if sys.stderr.isatty() else 2,
    )
    return model, Decision(chosen="0.5, as in the notebook")


def _arrays(part: tuple[Sequence[Example], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    examples, pixels = part
    return pixels.astype(np.float32), np.array([[e.smoking] for e in examples], np.float32)
