"""What the first operations of a model do to a pixel: whether it scales 0..255 itself."""

from __future__ import annotations

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

_OPERATIONS = (
    *("Mul", "Add", "AddV2", "BiasAdd", "Sub", "RealDiv", "Div", "Maximum", "Sqrt", "Rsqrt"),
    *("Cast", "Identity", "Reshape", "Squeeze", "ExpandDims"),
    # preprocess_input puts the channels the other way round with them, by the version of Keras.
    *("StridedSlice", "ReverseV2", "Pack"),
)
"""Operations that prepare pixels one by one, and that compute constants for these."""


def scales_pixels(source: Source) -> bool:
    """Whether a model itself makes of pixels 0..255 what it was trained on.

    Its first operations are followed for a black and a white pixel. A model that subtracts the
    mean of values in [0, 1] does not take pixels, although it has a Normalization layer.
    """
    if source.kind == "TFLite":
        return False  # the converter has folded such operations into the first convolution
    function = convert_variables_to_constants_v2(as_function(source.call, source.size))
    graph = function.graph
    (pixels,) = (op.outputs[0] for op in graph.get_operations() if op.type == "Placeholder")
    prepared = _prepared(pixels)
    if prepared is None:
        return False
    black, white = (
        function.prune(pixels, prepared)(tf.fill(pixels.shape, value))
        .numpy()
        .astype(float)[0, 0, 0]
        for value in (0.0, 255.0)
    )
    slope = (white - black) / 255
    if np.abs(slope).max() < _DIVIDES:
        return True
    with np.errstate(divide="ignore", invalid="ignore"):
        return bool(np.nanmax(np.abs(black / slope)) > _MEAN_OF_PIXELS)


def _prepared(pixels: Any) -> Any | None:
    """What the first operations make of the pixels; None where it is these, or not one tensor."""
    made, ends, waiting = {pixels.name}, [], [pixels]
    while waiting:
        tensor = waiting.pop()
        for operation in tensor.consumers():
            known = operation.type in _OPERATIONS and len(operation.outputs) == 1
            if not known or not all(t.name in made or _is_constant(t) for t in operation.inputs):
                ends.append((tensor, operation))
            elif operation.outputs[0].name not in made:
                made.add(operation.outputs[0].name)
                waiting.append(operation.outputs[0])
    # An operation of several tensors has been met before all of them were made.
    left = {
        tensor.name: tensor
        for tensor, operation in ends
        if not any(output.name in made for output in operation.outputs)
    }
    if len(left) != 1:
        return None
    (last,) = left.values()
    of_pixels = len(last.shape) == 4 and last.shape[-1] == 3
    return last if of_pixels and last is not pixels else None


def _is_constant(tensor: Any) -> bool:
    operation = tensor.op
    if operation.type == "Const":
        return True
    inputs = list(operation.inputs)
    return operation.type in _OPERATIONS and bool(inputs) and all(map(_is_constant, inputs))
