"""Networks to TFLite in any of the formats, by TensorFlow's converter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from convert.canonical import CanonicalModel
from convert.errors import QuantizationError
from convert.graph import read
from edge_app.wording import first_line

FORMATS = ("int8", "float16", "float32", "dynamic")
"""What the weights are stored in, and whether the arithmetic is done in integers (int8 alone)."""


def to_tflite(
    canonical: CanonicalModel,
    format: str,
    calibration: np.ndarray | None = None,
) -> bytes:
    """Converts all but the last dense layer, and the pooling before it where there is one.

    Args:
        canonical: the model.
        format: one of `FORMATS`.
        calibration: pictures ``uint8[n, size, size, 3]`` that the ranges of the activations are
            read off; for int8 only.

    Returns:
        The bytes of a ``.tflite`` file without metadata. The input is float32 in [low, high]; for
        int8, uint8 whose quantization parameters are the map from 0..255 to [low, high]. The
        output is float32, ``[1, features]`` or ``[1, rows, columns, features]``.

    Raises:
        QuantizationError: an operation has no integer version, or the input did not get the
            quantization that it has to have.
    """
    network = canonical.feature_map or canonical.features
    function = as_function(lambda pixels: network(pixels, training=False), canonical.size)
    limits = (canonical.low, canonical.high)
    return convert_function(function, format, limits, calibration)


def as_function(network: Callable[[Any], Any], size: int) -> Any:
    """The network in inference mode as a function for TensorFlow's converter, of one picture.

    Without a trackable object, the converter freezes the variables of the function into
    constants; with the Keras 3 model it leaves them as variables that nothing initializes.
    """
    spec = tf.TensorSpec([1, size, size, 3], tf.float32, name="pixels")
    return tf.function(lambda pixels: network(pixels)).get_concrete_function(spec)


def convert_function(
    function: Any,
    format: str,
    limits: tuple[float, float],
    calibration: np.ndarray | None = None,
    integers_only: bool = True,
    may_shield: bool = True,
) -> bytes:
    """Converts a function; arguments, result and errors as in `to_tflite`.

    Args:
        function: from `as_function`.
        format: one of `FORMATS`.
        limits: the values of a black and a white pixel.
        calibration: pictures ``uint8[n, size, size, 3]``, for int8.
        integers_only: whether to refuse int8 where an operation has only a float version.
        may_shield: whether to put a convolution between the input and a graph that would set its
            scale.
    """
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if format != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if format == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if format == "int8":
        if calibration is None:
            raise ValueError("expected pictures to calibrate int8 on")
        converter.representative_dataset = lambda: _samples(calibration, limits)
        kinds = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        if not integers_only:
            kinds.append(tf.lite.OpsSet.TFLITE_BUILTINS)
        converter.target_spec.supported_ops = kinds
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.float32
    try:
        model = converter.convert()
    except Exception as error:  # The converter raises whatever its passes raise.
        raise QuantizationError(
            f"TensorFlow's converter cannot make {format} of it: {first_line(error)}"
        ) from error
    if format != "int8":
        return model
    try:
        _check_input(model, limits)
    except QuantizationError:
        if not may_shield:
            raise
        shielded = _shielded(function)
        return convert_function(shielded, format, limits, calibration, integers_only, False)
    return model


def _shielded(function: Any) -> Any:
    """The same function behind a convolution that changes nothing.

    The converter gives both sides of an operation such as `STRIDED_SLICE` or `PACK` one scale, so
    what comes behind would otherwise set that of the input.
    """
    same = np.eye(3, dtype=np.float32)[None, None]
    (spec,) = (tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in function.inputs[:1])
    return tf.function(
        lambda pixels: function(tf.nn.conv2d(pixels, same, 1, "VALID"))
    ).get_concrete_function(spec)


def to_input(pixels: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """uint8 pixels to float32 from the value of black to that of white."""
    low, high = limits
    return (low + pixels * ((high - low) / 255)).astype(np.float32)


def _samples(calibration: np.ndarray, limits: tuple[float, float]) -> Any:
    for pixels in calibration:
        # One black and one white pixel, so that the range of the input is [low, high] exactly.
        pixels = pixels.copy()
        pixels[0, 0], pixels[0, 1] = 0, 255
        yield [to_input(pixels[None], limits)]


def _check_input(model: bytes, limits: Sequence[float]) -> None:
    graph = read(model).subgraphs[0]
    quantization = graph.tensors[graph.inputs[0]].quantization
    scale, zero_point = float(quantization.scale[0]), int(quantization.zeroPoint[0])
    black, white = scale * (0 - zero_point), scale * (255 - zero_point)
    if max(abs(black - limits[0]), abs(white - limits[1])) > scale:
        raise QuantizationError(
            f"expected an input quantized to [{limits[0]:g}, {limits[1]:g}], "
            f"got [{black:.4f}, {white:.4f}]"
        )
