"""Finds the end of a classifier in a ``.tflite`` graph: pooling, dense layer, activation.

The end is cut off, kept in float, and put behind the integers again by `convert.head`. It is looked
for in the graph, where all of TensorFlow's libraries look alike, not in layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as tflite

from convert.builder import GraphBuilder
from convert.graph import code_of, constant, cut, pack, read

_OPERATORS = tflite.BuiltinOperator
_SAME_VALUES = (_OPERATORS.DEQUANTIZE, _OPERATORS.QUANTIZE, _OPERATORS.RESHAPE, _OPERATORS.SQUEEZE)
_ACTIVATIONS = {_OPERATORS.SOFTMAX: "softmax", _OPERATORS.LOGISTIC: "sigmoid"}


@dataclass(frozen=True)
class Tail:
    """The end of a classifier.

    Attributes:
        kernel: of the last dense layer, ``float32[features, classes]``; the identity without one.
        bias: ``float32[classes]``
        activation: ``softmax``, ``sigmoid``, or None where the graph ends without one.
        spatial: whether the features are the mean of a map over the picture.
    """

    kernel: np.ndarray
    bias: np.ndarray
    activation: str | None
    spatial: bool


@dataclass(frozen=True)
class _Place:
    """Where the tail begins: the tensor to cut at, and the dense layer."""

    tensor: int
    dense: tflite.OperatorT | None
    activation: str | None
    spatial: bool


def find_tail(model: bytes, whole: bool = False) -> Tail:
    """The end of a classifier in float32.

    Args:
        model: the bytes of a ``.tflite`` file with one output ``[1, classes]``.
        whole: whether to leave all of it in the graph.
    """
    file = read(model)
    place = _locate(file, whole)
    if place.dense is None:
        classes = int(file.subgraphs[0].tensors[file.subgraphs[0].outputs[0]].shape[-1])
        identity = np.eye(classes, dtype=np.float32)
        return Tail(identity, np.zeros(classes, np.float32), place.activation, place.spatial)
    kernel = constant(file, place.dense.inputs[1]).T
    bias = np.zeros(kernel.shape[1], np.float32)
    if len(place.dense.inputs) > 2 and place.dense.inputs[2] >= 0:
        bias = constant(file, place.dense.inputs[2]).reshape(-1)
    return Tail(kernel, bias, place.activation, place.spatial)


def without_tail(model: bytes, whole: bool = False) -> bytes:
    """The same network, in any format, up to where its tail begins, with a float32 output."""
    file = read(model)
    place = _locate(file, whole)
    cut(file, place.tensor)
    builder = GraphBuilder(pack(file, len(model)))
    (features,) = builder.outputs
    if builder.tensor(features).type in (tflite.TensorType.INT8, tflite.TensorType.UINT8):
        features = builder.dequantize(features, "features")
    return builder.finish([features])


def _locate(file: tflite.ModelT, whole: bool) -> _Place:
    graph = file.subgraphs[0]
    makers = {int(op.outputs[0]): op for op in graph.operators}

    def back(tensor: int) -> tuple[int, tflite.OperatorT | None, int]:
        """Past what leaves the values as they are: a tensor, what makes it, its kind."""
        while (maker := makers.get(tensor)) and code_of(file, maker) in _SAME_VALUES:
            tensor = int(maker.inputs[0])
        return tensor, maker, -1 if maker is None else code_of(file, maker)

    output = int(graph.outputs[0])
    tensor, maker, code = back(output)
    activation = _ACTIVATIONS.get(code)
    if whole or (activation and code == _OPERATORS.SOFTMAX and maker.builtinOptions.beta != 1):
        return _Place(output, None, activation, False)
    if activation:
        tensor = int(maker.inputs[0])
        _, maker, code = back(tensor)
    else:
        tensor = output
    dense = None
    if code == _OPERATORS.FULLY_CONNECTED and not maker.builtinOptions.fusedActivationFunction:
        dense, tensor = maker, int(maker.inputs[0])
        _, maker, code = back(tensor)
    if code in (_OPERATORS.MEAN, _OPERATORS.AVERAGE_POOL_2D) and _pools_all(file, maker):
        return _Place(int(maker.inputs[0]), dense, activation, True)
    while len(graph.tensors[tensor].shape) != 2:  # a pooling that is something else, reshaped
        follower = next(op for op in graph.operators if tensor in op.inputs)
        tensor = int(follower.outputs[0])
    return _Place(tensor, dense, activation, False)


def _pools_all(file: tflite.ModelT, operator: tflite.OperatorT) -> bool:
    """Whether an operator takes the mean of each channel over the whole picture."""
    tensors = file.subgraphs[0].tensors
    shape = [int(n) for n in tensors[operator.inputs[0]].shape]
    if len(shape) != 4 or shape[1] * shape[2] < 2:
        return False
    if code_of(file, operator) == _OPERATORS.MEAN:
        axes = constant(file, operator.inputs[1]).reshape(-1) % 4
        return sorted(axes.tolist()) == [1, 2]
    options = operator.builtinOptions
    made = [int(n) for n in tensors[operator.outputs[0]].shape]
    filters = [options.filterHeight, options.filterWidth]
    return made[1:3] == [1, 1] and filters == shape[1:3] and not options.fusedActivationFunction
