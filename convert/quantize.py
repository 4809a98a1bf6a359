"""Keras to TFLite, in any of the formats, without the last dense layer."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from convert.canonical import CanonicalModel
from convert.loading import ConversionError, QuantizationError

FORMATS = ("int8", "float16", "float32", "dynamic")
"""What the weights are stored in, and whether the arithmetic is done in integers (int8 alone)."""


def to_tflite(
    canonical: CanonicalModel,
    form: str,
    calibration: np.ndarray | None = None,
) -> bytes:
    """Converts all but the last dense layer, and the pooling before it where there is one.

    Args:
        canonical: the model.
        form: one of `FORMATS`.
        calibration: pictures ``uint8[n, size, size, 3]`` that the ranges of the activations are
            read off; for int8 only.

    Returns:
        The bytes of a ``.tflite`` file without metadata. The input is float32 in [low, high]; for
        int8, uint8 whose quantization parameters are the map from 0..255 to [low, high]. The
        output is float32, ``[1, features]`` or ``[1, rows, columns, features]``.

    Raises:
        ConversionError: an operation has no integer version, or the input did not get the
            quantization that it has to have.
    """
    network = canonical.feature_map or canonical.features
    # Without a trackable object, the converter freezes the variables of the function into
    # constants; with the Keras 3 model it leaves them as variables that nothing initializes.
    function = as_function(network, canonical.size)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if form != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if form == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if form == "int8":
        converter.representative_dataset = lambda: _samples(canonical, calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.float32
    try:
        model = converter.convert()
    except Exception as error:  # The converter raises whatever its passes raise.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise QuantizationError(
            f"TensorFlow's converter cannot make {form} of it: {reason}"
        ) from error
    if form == "int8":
        _check_input(model, canonical)
    return model


def as_function(network: keras.Model, size: int):
    """The network in use as a function for TensorFlow's converter, of one picture in float32."""
    spec = tf.TensorSpec([1, size, size, 3], tf.float32, name="pixels")
    function = tf.function(lambda pixels: network(pixels, training=False))
    return function.get_concrete_function(spec)


def _samples(canonical: CanonicalModel, calibration: np.ndarray) -> Iterator[list[np.ndarray]]:
    for pixels in calibration:
        # One black and one white pixel, so that the range of the input is [low, high] exactly.
        pixels = pixels.copy()
        pixels[0, 0], pixels[0, 1] = 0, 255
        yield [canonical.to_input(pixels[None])]


def _check_input(model: bytes, canonical: CanonicalModel) -> None:
    details = tf.lite.Interpreter(model_content=model).get_input_details()[0]
    scale, zero_point = details["quantization"]
    black, white = scale * (0 - zero_point), scale * (255 - zero_point)
    if max(abs(black - canonical.low), abs(white - canonical.high)) > scale:
        raise ConversionError(
            f"expected an input quantized to [{canonical.low:g}, {canonical.high:g}], "
            f"got [{black:.4f}, {white:.4f}]"
        )
