"""Small models of the kinds that people have, which know colours: red, blue and green pictures.

Each has random convolutions and a last layer that is fitted by least squares, so that it is right
on nearly all pictures with its own preprocessing, and that nothing has to be trained.
`python tests/convert_models.py FOLDER` writes those of Keras 2, which needs a process of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("NotSmoking", "Smoking", "Other")
SIZE = 48

PREPARE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tf": lambda x: x / 127.5 - 1,
    "unit": lambda x: x / 255,
    "pixels": lambda x: x,
    "caffe": lambda x: x[..., ::-1] - np.array([103.939, 116.779, 123.68]),
    "torch": lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
}
"""What authors do to pixels before they give them to their model."""


def draw(label: int, rng: np.random.Generator, size: int) -> np.ndarray:
    """A noisy picture ``uint8[size, size, 3]``, in which one channel is brighter."""
    pixels = rng.integers(20, 160, (size, size, 3)).astype(float)
    pixels[..., (2, 0, 1)[label]] += rng.uniform(30, 90)
    return np.clip(pixels * rng.uniform(0.7, 1.0), 0, 255).astype(np.uint8)


def draw_many(classes: int, count: int, size: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Pictures ``uint8[n, size, size, 3]`` and their labels ``int[n]``."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    return np.stack([draw(int(label), rng, size) for label in labels]), labels


def write_pictures(folder: Path, names: tuple[str, ...], count: int = 30) -> Path:
    """Writes ``folder/NAME/0.png`` and so on, larger than any model takes them."""
    rng = np.random.default_rng(2)
    for label, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(draw(label, rng, 64)).save(folder / name / f"{number}.png")
    return folder


def fit_head(keras, model, prepare: str, classes: int) -> None:
    """Fits the last dense layer of a model to the colours."""
    dense = [layer for layer in flatten(model) if hasattr(layer, "units")][-1]
    size = model.inputs[0].shape[1]
    pixels, labels = draw_many(classes, 48, size)
    values = PREPARE[prepare](pixels.astype(np.float32)).astype(np.float32)
    kernel, *bias = dense.get_weights()
    dense.call = lambda features: features
    features = np.asarray(model(values, training=False), np.float64)
    del dense.call
    wanted = 6.0 * (labels[:, None] == np.arange(classes)) - 3
    if kernel.shape[1] == 1:
        wanted = 6.0 * labels[:, None] - 3
    shift, scale = features.mean(0), features.std(0) + 1e-3 * np.abs(features).max() + 1e-9
    centred = (features - shift) / scale if bias else features / scale
    ridge = 0.3 * np.eye(len(scale))
    weights = np.linalg.solve(centred.T @ centred + ridge, centred.T @ wanted) / scale[:, None]
    if bias:
        dense.set_weights([weights, wanted.mean(0) - shift @ weights])
    else:
        dense.set_weights([weights])


def flatten(model) -> list:
    """The layers in order, those of nested models in place of these."""
    layers = []
    for layer in model.layers:
        layers += flatten(layer) if hasattr(layer, "layers") else [layer]
    return layers


def plain_cnn(keras, size=SIZE, classes=2, activation="softmax", pooling=True, before=()):
    """Conv, pool, dense, as in a course."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *before,
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(4),
            layers.Conv2D(12, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.GlobalAveragePooling2D() if pooling else layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(classes, activation=activation),
        ]
    )


def teachable_machine(keras, classes: int):
    """`Sequential` of `Sequential`s, the last dense layer without a bias."""
    keras.utils.set_random_seed(4)
    layers = keras.layers
    pixels = keras.Input((96, 96, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(pixels)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.Conv2D(16, 1, use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    mobile = keras.Sequential([keras.Model(pixels, x), layers.GlobalAveragePooling2D()])
    top = keras.Sequential(
        [
            layers.Dense(20, activation="relu", input_shape=(16,)),
            layers.Dense(classes, use_bias=False, activation="softmax"),
        ]
    )
    model = keras.Sequential([mobile, top])
    model.build((None, 96, 96, 3))
    return model


def keras2_models(folder: Path) -> None:
    """Writes the models of Keras 2."""
    import tf_keras as keras

    folder.mkdir(parents=True, exist_ok=True)
    layers = keras.layers
    for classes in (2, 3):
        export = folder / f"teachable{classes}"
        export.mkdir()
        model = teachable_machine(keras, classes)
        fit_head(keras, model, "tf", classes)
        model.save(export / "keras_model.h5")
        names = "".join(f"{n} {name}\n" for n, name in enumerate(NAMES[:classes]))
        (export / "labels.txt").write_text(names)
    model.save(folder / "teachable3_saved", save_format="tf")

    model = plain_cnn(keras)
    fit_head(keras, model, "unit", 2)
    model.save(folder / "plain2.keras")
    model.save(folder / "plain2_saved", save_format="tf")
    model.save(folder / "plain2.hdf5")
    (folder / "plain2.hdf5").rename(folder / "hdf5_named.keras")

    model = plain_cnn(keras, before=[layers.RandomFlip(), layers.Rescaling(1 / 255)])
    fit_head(keras, model, "pixels", 2)
    model.save(folder / "rescaling2.keras")

    pixels = keras.Input((SIZE, SIZE, 3))  # TFOpLambda and SlicingOpLambda layers
    prepared = keras.applications.imagenet_utils.preprocess_input(pixels, mode="caffe")
    x = layers.Conv2D(12, 3, strides=2, activation="relu")(prepared)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(pixels, layers.Dense(1, activation="sigmoid")(x))
    fit_head(keras, model, "pixels", 2)
    model.save(folder / "caffe_inside.h5")

    keras.mixed_precision.set_global_policy("mixed_float16")
    model = plain_cnn(keras)
    fit_head(keras, model, "unit", 2)
    model.save(folder / "mixed2.h5")


if __name__ == "__main__":
    keras2_models(Path(sys.argv[1]))
