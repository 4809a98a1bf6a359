"""The baseline, the notebook that this project began as: a frozen backbone, a hidden layer."""

from __future__ import annotations

import keras
import numpy as np

from train.views import SIZE

Arrays = tuple[np.ndarray, np.ndarray]  # uint8[n, SIZE, SIZE, 3], RGB; labels float32[n, 1]


def train_notebook(training: Arrays, validation: Arrays, seed: int) -> keras.Model:
    """Trains as the notebook did; Validation is only watched, and its threshold is 0.5."""
    keras.utils.set_random_seed(seed)
    model = build_notebook_model()
    model.compile(keras.optimizers.Adam(3e-4), "binary_crossentropy", metrics=["accuracy"])
    model.fit(*training, batch_size=32, epochs=15, validation_data=validation, verbose=2)
    return model


def build_notebook_model(weights: str | None = "imagenet") -> keras.Model:
    """The notebook's model: augmentation inside the graph, a frozen backbone.

    Args:
        weights: "imagenet" (downloads), a ``.weights.h5`` file of the backbone, or None (random).

    Returns:
        float32 ``[n, SIZE, SIZE, 3]``, RGB in [0, 255], to P(Smoking), float32 ``[n, 1]``.
    """
    layers, shape = keras.layers, (SIZE, SIZE, 3)
    backbone = keras.applications.MobileNetV2(shape, include_top=False, weights=weights)
    backbone.trainable = False
    augmentation = keras.Sequential(
        [
            *(layers.RandomFlip("horizontal"), layers.RandomRotation(0.1), layers.RandomZoom(0.15)),
            *(layers.RandomTranslation(0.1, 0.1), layers.RandomContrast(0.15)),
            layers.RandomBrightness(0.1),
        ],
        name="data_augmentation",
    )
    pixels = keras.Input(shape)
    x = layers.Rescaling(1 / 127.5, offset=-1)(augmentation(pixels))
    x = layers.GlobalAveragePooling2D()(backbone(x, training=False))
    x = layers.Dropout(0.5)(layers.Dense(128, activation="relu")(x))
    smoking = layers.Dense(1, activation="sigmoid")(x)
    return keras.Model(pixels, smoking, name="smoker_detection_mobilenetv2")
