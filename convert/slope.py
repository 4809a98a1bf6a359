"""What the first operations of a model do to a pixel: whether it scales 0..255 itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from convert.quantize import as_function
from convert.source import Source

_DIVIDES = 0.05
"""A model that multiplies pixels by less than this was trained on 0..255."""
_MEAN_OF_PIXELS = 2.0
"""So was one that subtracts more than this."""

_OPERATIONS: dict[str, Callable[..., np.ndarray]] = {
    "Mul": np.multiply,
    "Add": np.add,
    "AddV2": np.add,
    "BiasAdd": np.add,
    "Sub": np.subtract,
    "RealDiv": np.divide,
    "Div": np.divide,
    "Maximum": np.maximum,
    "Sqrt": np.sqrt,
    "Rsqrt": lambda values: 1 / np.sqrt(values),
    "Cast": lambda values: values,
    "Identity": lambda values: values,
    "Reshape": lambda values, shape: values.reshape([int(n) for n in shape]),
    "ReverseV2": lambda values, axis: np.flip(values, [int(n) for n in np.atleast_1d(axis)]),
    # That of preprocess_input of Keras 2: the channels the other way round.
    "StridedSlice": lambda values, begin, end, strides: values[..., :: int(strides[-1])],
}


def scales_pixels(source: Source) -> bool:
    """Whether a model itself makes of pixels 0..255 what it was trained on.

    Its first operations are followed for a black and a white pixel. A model that subtracts the
    mean of values in [0, 1] does not take pixels, although it has a Normalization layer.
    """
    if source.kind == "TFLite":
        return False  # the converter has folded such operations into the first convolution
    graph = convert_variables_to_constants_v2(as_function(source.call, source.size)).graph
    (tensor,) = (op.outputs[0] for op in graph.get_operations() if op.type == "Placeholder")
    pixels = np.stack([np.zeros((1, 1, 3)), np.full((1, 1, 3), 255.0)])
    values, changed = pixels, False
    while True:
        takers = [op for op in tensor.consumers() if op.type in _OPERATIONS]
        if len(takers) != 1 or len(tensor.consumers()) != 1:
            break
        made = _compute(takers[0], tensor, values)
        if made is None or made.shape != pixels.shape:
            break
        changed |= takers[0].type not in ("Identity", "Cast")
        values, tensor = made, takers[0].outputs[0]
    if not changed:
        return False
    black, white = values
    slope = (white - black) / 255
    if np.abs(slope).max() < _DIVIDES:
        return True
    with np.errstate(divide="ignore", invalid="ignore"):
        return bool(np.nanmax(np.abs(black / slope)) > _MEAN_OF_PIXELS)


def _compute(operation: Any, tensor: Any, values: np.ndarray) -> np.ndarray | None:
    """The result of an operation of a tensor with these values; None where it needs others."""
    operands = []
    for given in operation.inputs:
        operand = values if given is tensor else _constant(given)
        if operand is None:
            return None
        operands.append(operand)
    return np.asarray(_OPERATIONS[operation.type](*operands))


def _constant(tensor: Any) -> np.ndarray | None:
    if tensor.op.type == "Const":
        return tf.make_ndarray(tensor.op.get_attr("value"))
    if tensor.op.type not in _OPERATIONS:
        return None
    operands = [_constant(given) for given in tensor.op.inputs]
    if any(operand is None for operand in operands):
        return None
    return np.asarray(_OPERATIONS[tensor.op.type](*operands))
