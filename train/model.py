"""The Keras models: ours, and the one of the notebook this project began as.

Both take float32 ``[n, size, size, 3]``, RGB in [0, 255], map it to [-1, 1] inside the graph, and
give float32 ``[n, 1]``: P(Smoking).
"""

from __future__ import annotations

from pathlib import Path

import keras

from train.recipe import Recipe

SIZE = 224


def build_model(
    weights: str | Path | None = "imagenet",
    unfreeze_from: str = Recipe.unfreeze_from,
    size: int | None = SIZE,
) -> keras.Model:
    """MobileNetV2 1.0 with a head of global average pooling, dropout and one dense layer.

    With nothing but a dense layer behind the pooling, each cell of the last feature map adds its
    own share to the logit, so that where the model looks can be computed exactly.

    Args:
        weights: "imagenet" (downloads), a ``.weights.h5`` file of the backbone, or None (random).
        unfreeze_from: name of the first backbone layer that is trained. Batch normalization stays
            frozen everywhere: batches of 32 give worse statistics than ImageNet's.
        size: side of the input in pixels; None for a model that takes any multiple of 32, to
            be trained at several.
    """
    backbone = _backbone(weights, SIZE, alpha=1.0)
    if size is None:
        # The same layers behind an input of any size. Built at 224, they pad as 224 needs, which
        # is what every multiple of 32 needs; built without a size, they would pad otherwise.
        backbone = keras.models.clone_model(
            backbone,
            input_tensors=keras.Input((None, None, 3)),
            clone_function=lambda layer: layer,
        )
    names = [layer.name for layer in backbone.layers]
    first = names.index(unfreeze_from)
    for index, layer in enumerate(backbone.layers):
        layer.trainable = index >= first and not isinstance(layer, keras.layers.BatchNormalization)
    pixels = keras.Input((size, size, 3), name="pixels")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="to_minus_one_to_one")(pixels)
    x = backbone(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(0.3, name="dropout")(x)
    smoking = keras.layers.Dense(1, activation="sigmoid", name="smoking")(x)
    return keras.Model(pixels, smoking, name="smoking_mobilenetv2")


def build_notebook_model(
    weights: str | Path | None = "imagenet", size: int = SIZE, alpha: float = 1.0
):
    """The original notebook's model: augmentation inside the graph, a frozen backbone.

    Args:
        weights: as in `build_model`.
        size: side of the input in pixels.
        alpha: width of the backbone.
    """
    backbone = _backbone(weights, size, alpha)
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


def _backbone(weights: str | Path | None, size: int, alpha: float) -> keras.Model:
    return keras.applications.MobileNetV2(
        include_top=False,
        input_shape=(size, size, 3),
        alpha=alpha,
        weights=str(weights) if weights else None,
    )
