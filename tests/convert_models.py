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

from edge_app.imaging import read_pixels

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


def draw(label: int, rng: np.random.Generator) -> Image.Image:
    """A noisy picture in which one channel is brighter."""
    pixels = rng.integers(20, 140, (64, 64, 3)).astype(float)
    pixels[..., (2, 0, 1)[label]] += rng.uniform(50, 110)
    return Image.fromarray(np.clip(pixels * rng.uniform(0.7, 1.0), 0, 255).astype(np.uint8))


def draw_many(classes: int, count: int, size: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Pictures ``uint8[n, size, size, 3]`` and their labels ``int[n]``."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    pixels = [read_pixels(draw(int(label), rng), size) for label in labels]
    return np.stack(pixels), labels


def write_pictures(folder: Path, names: tuple[str, ...], count: int = 50) -> Path:
    """Writes ``folder/NAME/0.png`` and so on."""
    rng = np.random.default_rng(2)
    for label, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            draw(label, rng).save(folder / name / f"{number}.png")
    return folder


def fit_head(keras, model, prepare: str, classes: int) -> None:
    """Fits the last dense layer of a model to the colours."""
    dense = [layer for layer in flatten(model) if hasattr(layer, "units")][-1]
    size = model.inputs[0].shape[1]
    pixels, labels = draw_many(classes, 36, size)
    values = PREPARE[prepare](pixels.astype(np.float32)).astype(np.float32)
    kernel, *bias = dense.get_weights()
    layers = flatten(model)
    end = layers[layers.index(dense) :]  # with an activation layer where there is one
    for layer in end:
        layer.call = lambda features, **_: features
    features = np.asarray(model(values, training=False), np.float64)
    for layer in end:
        del layer.call
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
    """The layers in order, those of nested models instead of these."""
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


def unit_cnn(keras):
    """Knows red from blue where pixels are in [0, 1]; all others it takes for Smoking."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(4, 1, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    # Blue against red, red against blue, brighter than white, darker than nearly black. Not
    # smoking is blue, as in `draw`.
    kernel = np.array([[-1, 1, 1 / 3, -1 / 3], [0, 0, 1 / 3, -1 / 3], [1, -1, 1 / 3, -1 / 3]])
    bias = np.array([0, 0, -1.0, 0.1])
    head = np.array([[8, -8], [-8, 8], [-300, 300], [-300, 300]])
    model.layers[0].set_weights([kernel[None, None], bias])
    model.layers[-1].set_weights([head, np.zeros(2)])
    return model


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

    model = unit_cnn(keras)
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


def keras3_models(folder: Path) -> None:
    """Writes the models of Keras 3, small ones."""
    import keras

    folder.mkdir(parents=True, exist_ok=True)
    layers = keras.layers

    def save(name, model, prepare, classes=2):
        fit_head(keras, model, prepare, classes)
        model.save(folder / name)

    def functional(build, size=SIZE):
        keras.utils.set_random_seed(5)
        pixels = keras.Input((size, size, 3))
        return keras.Model(pixels, build(pixels))

    save("flat250.keras", plain_cnn(keras, 250, pooling=False), "unit")
    save("flat128.h5", plain_cnn(keras, 128, pooling=False), "unit")
    unit_cnn(keras).save(folder / "unit.keras")
    save("pixels.keras", plain_cnn(keras), "pixels")
    save("caffe.keras", plain_cnn(keras), "caffe")
    save("torch.keras", plain_cnn(keras), "torch")
    save("three.keras", plain_cnn(keras, classes=3), "unit", 3)
    save("logits.keras", plain_cnn(keras, activation=None), "unit")
    save("logits3.keras", plain_cnn(keras, classes=3, activation=None), "unit", 3)
    save("logit.keras", plain_cnn(keras, classes=1, activation=None), "unit")
    save("sigmoid.keras", plain_cnn(keras, classes=1, activation="sigmoid"), "tf")
    save("sigmoids.keras", plain_cnn(keras, activation="sigmoid"), "unit")
    rescaled = plain_cnn(keras, before=[layers.RandomFlip(), layers.Rescaling(1 / 255)])
    save("rescaling.keras", rescaled, "pixels")
    normal = layers.Normalization(mean=[120.0, 110, 100], variance=[60.0**2, 50**2, 55**2])
    save("adapted.keras", plain_cnn(keras, before=[normal]), "pixels")
    normal = layers.Normalization(mean=[0.4, 0.45, 0.5], variance=[0.05, 0.04, 0.06])
    save("adapted_unit.keras", plain_cnn(keras, before=[normal]), "unit")

    def residual(pixels):  # batch normalization, a shortcut, two dense layers
        x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(pixels)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        y = layers.Conv2D(8, 3, padding="same")(x)
        x = layers.ReLU()(layers.Add()([x, layers.BatchNormalization()(y)]))
        x = layers.GlobalAveragePooling2D()(x)
        return layers.Dense(2, activation="softmax")(layers.Dense(16, activation="relu")(x))

    save("residual.keras", functional(residual), "caffe")

    def excited(pixels):  # squeeze and excitation, swish, an activation of its own
        x = layers.Rescaling(1 / 255)(pixels)
        x = layers.Conv2D(8, 3, strides=2, activation="swish")(x)
        gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Multiply()([x, layers.Conv2D(8, 1, activation="sigmoid")(gate)])
        x = layers.AveragePooling2D(x.shape[1])(x)
        return layers.Softmax()(layers.Dense(2)(layers.Flatten()(x)))

    save("excited.keras", functional(excited), "pixels")

    def branches(pixels):  # concatenation, as in Inception
        x = layers.Concatenate()(
            [layers.Conv2D(6, n, padding="same", activation="relu")(pixels) for n in (1, 3, 5)]
        )
        x = layers.GlobalAveragePooling2D()(x)
        return layers.Activation("sigmoid")(layers.Dense(1)(x))

    save("branches.keras", functional(branches), "tf")
    keras.config.set_dtype_policy("mixed_float16")
    try:
        save("mixed.keras", plain_cnn(keras), "unit")
    finally:
        keras.config.set_dtype_policy("float32")


def tflite_models(folder: Path) -> None:
    """Writes ``.tflite`` files without metadata: float, and with integers inside and outside."""
    import keras
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    for name, classes, kind in (
        ("float.tflite", 2, None),
        ("float3.tflite", 3, None),
        ("uint8.tflite", 2, tf.uint8),
        ("int8.tflite", 3, tf.int8),
    ):
        model = plain_cnn(keras, classes=classes)
        fit_head(keras, model, "tf", classes)
        model.save(folder / name.replace(".tflite", ".keras"))
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if kind is not None:
            samples, _ = draw_many(classes, 24, SIZE)
            samples[:, 0, 0], samples[:, 0, 1] = 0, 255
            values = PREPARE["tf"](samples.astype(np.float32)).astype(np.float32)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda values=values: ([v[None]] for v in values)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = kind
        (folder / name).write_bytes(converter.convert())


if __name__ == "__main__":
    keras2_models(Path(sys.argv[1]))
