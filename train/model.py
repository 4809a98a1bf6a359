"""The Keras models: ours, and the one of the notebook this project began as.

Both take float32 ``[n, size, size, 3]``, RGB in [0, 255], map it to [-1, 1] inside the graph, and
give float32 ``[n, 1]``: P(Smoking).
"""

from __future__ import annotations

import math
from pathlib import Path

import keras

from train.recipe import Recipe

SIZE = 224


def build_model(
    weights: str | Path | None = "imagenet", dropout: float = Recipe.dropout
) -> keras.Model:
    """MobileNetV2 1.0 with a head of global average pooling, dropout and one dense layer.

    With nothing but a dense layer behind the pooling, each cell of the last feature map adds its
    own share to the logit, so that where the model looks can be computed exactly.

    Args:
        weights: "imagenet" (downloads), a ``.weights.h5`` file of the backbone, a ``.keras`` file
            that this function's model was saved to, or None (random).
        dropout: share of the features that the last layer does not see in training.
    """
    pixels = keras.Input((SIZE, SIZE, 3), name="pixels")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="to_minus_one_to_one")(pixels)
    x = _backbone(None if is_whole(weights) else weights, SIZE, alpha=1.0)(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    # Zeros: weights at random would pull the features about before they know anything.
    dense = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="zeros", name="smoking")
    model = keras.Model(pixels, dense(x), name="smoking_mobilenetv2")
    if is_whole(weights):
        model.set_weights(keras.models.load_model(weights, compile=False).get_weights())
    return model


def is_whole(weights: str | Path | None) -> bool:
    """Whether the weights are those of a whole model, with its last layer."""
    return str(weights).endswith(".keras")


def cut_model(model: keras.Model, cut: str, hints: int = 0) -> tuple[keras.Model, keras.Model]:
    """Cuts a model in two, which share its layers: training the second part trains the model.

    Batch normalization stays as it is in both: batches of 32 give worse statistics than
    ImageNet's.

    Args:
        model: from `build_model`.
        cut: name of the backbone's layer that the first part ends with.
        hints: how many numbers a place the second part gives beside, see `train.hints`.

    Returns:
        The first part: ``float32[n, size, size, 3]`` in [0, 255] to what the cut layer gives. The
        second part: from there to ``smoking`` ``float32[n, 1]``, P(Smoking), and ``cells``
        ``float32[n, rows, columns]``: a logit for each cell of the last feature map, of a head that
        is there for training alone. With hints: ``hints`` ``float32[n, 1 + rows * columns, hints]``
        too, of the whole picture and of each cell, by such heads as well.
    """
    backbone = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    middle = backbone.get_layer(cut).output
    pixels = keras.Input(model.inputs[0].shape[1:])
    first = keras.Model(backbone.inputs[0], middle)(model.get_layer("to_minus_one_to_one")(pixels))
    prefix = keras.Model(pixels, first, name="prefix")
    prefix.trainable = False

    rest = keras.Model(middle, backbone.outputs[0], name="rest")
    for layer in rest.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    given = keras.Input(middle.shape[1:])
    features = rest(given)
    whole = model.get_layer("pool")(features)
    pooled = model.get_layer("dropout")(whole)
    # Few cells show anything: begun at even odds, the others would drown out all else (the prior of
    # Lin and others, "Focal Loss for Dense Object Detection", 2017).
    _, rows, columns, _ = features.shape
    rare = keras.initializers.Constant(-math.log(rows * columns))
    dense = keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer=rare)
    dropout = keras.layers.SpatialDropout2D(model.get_layer("dropout").rate)
    heads = {
        "smoking": model.get_layer("smoking")(pooled),
        "cells": keras.layers.Reshape((rows, columns), name="cells")(dense(dropout(features))),
    }
    if hints:
        cells = keras.layers.Reshape((rows * columns, -1))(features)
        of_whole = keras.layers.Dense(hints, name="hint_of_whole")(whole[:, None])
        of_cells = keras.layers.Dense(hints, name="hint_of_cells")(cells)
        heads["hints"] = keras.layers.Concatenate(axis=1, name="hints")([of_whole, of_cells])
    return prefix, keras.Model(given, heads, name="suffix")


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
