"""Keras to TFLite: weights and activations in 8 bits, uint8 pixels in, two float scores out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from convert.canonical import CanonicalModel, ConversionError
from convert.head import append_head


def to_int8(canonical: CanonicalModel, calibration: np.ndarray) -> bytes:
    """Converts to an integer model; only the last dense layer stays in float.

    Args:
        canonical: the model.
        calibration: pictures ``uint8[n, size, size, 3]`` that the ranges of the activations are
            read off.

    Returns:
        The bytes of a ``.tflite`` file without metadata: input uint8, where the quantization
        parameters are the map from 0..255 to [low, high]; output float32.

    Raises:
        ConversionError: the input did not get the quantization that it has to have.
    """
    # Without a trackable object, the converter freezes the variables of the function into
    # constants; with the Keras 3 model it leaves them as variables that nothing initializes.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([_concrete_function(canonical)])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _samples(canonical, calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.float32
    model = converter.convert()
    _check_input(model, canonical)
    return append_head(model, canonical.head)


def _concrete_function(canonical: CanonicalModel):
    spec = tf.TensorSpec([1, canonical.size, canonical.size, 3], tf.float32, name="pixels")
    function = tf.function(lambda pixels: canonical.features(pixels, training=False))
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
