"""The baseline, the notebook that this project began as: a frozen backbone, a hidden layer."""

from __future__ import annotations

import sys

import keras
import numpy as np

from train.views import SIZE

EPOCHS = 15
BATCH = 32
LEARNING_RATE = 3e-4


def train_notebook(
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray] | None,
    weights: str,
    seed: int,
) -> keras.Model:
    """Trains as the notebook did; its threshold is 0.5.

    Args:
        training: pixels ``uint8[n, size, size, 3]`` and labels ``bool[n]``.
        validation: likewise, only to be watched; or None.
        weights: of the backbone, as in `build_notebook_model`.
        seed: of everything random.
    """
    keras.utils.set_random_seed(seed)
    model = build_notebook_model(weights)
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss=keras.losses.BinaryCrossentropy(),
        metrics=["accuracy"],
    )
    model.fit(
        *_arrays(*training),
        batch_size=BATCH,
        epochs=EPOCHS,
        validation_data=validation and _arrays(*validation),
        verbose=1 if sys.stderr.isatty() else 2,
    )
    return model


def build_notebook_model(
    weights: str | None = "imagenet", size: int = SIZE, alpha: float = 1.0
) -> keras.Model:
    """The notebook's model: augmentation inside the graph, a frozen backbone.

    Args:
        weights: "imagenet" (downloads), a ``.weights.h5`` file of the backbone, or None (random).
        size: side of the input in pixels.
        alpha: width of the backbone.

    Returns:
        float32 ``[n, size, size, 3]``, RGB in [0, 255], to P(Smoking), float32 ``[n, 1]``.
    """
    backbone = keras.applications.MobileNetV2(
        include_top=False, input_shape=(size, size, 3), alpha=alpha, weights=weights
    )
    backbone.trainable = False
    augmentation = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(0.1),
            keras.layers.RandomZoom(0.15),
            keras.layers.RandomTranslation(0.1, 0.1),
            keras.layers.RandomContrast(0.15),
            keras.layers.RandomBrightness(0.1),
        ],
        name="data_augmentation",
    )
    pixels = keras.Input((size, size, 3))
    x = augmentation(pixels)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = backbone(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(128, activation="relu")(x)
    x = keras.layers.Dropout(0.5)(x)
    smoking = keras.layers.Dense(1, activation="sigmoid")(x)
    return keras.Model(pixels, smoking, name="smoker_detection_mobilenetv2")


def _arrays(pixels: np.ndarray, smoking: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return pixels.astype(np.float32), smoking[:, None].astype(np.float32)
