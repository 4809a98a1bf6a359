"""Gives an integer model scales that every runtime rounds alike, so that all give one answer.

A convolution adds up integers and divides the sum by a number, N = output scale / (input scale *
weight scale), to get its output in 8 bits. XNNPACK multiplies by 1/N in float and rounds ties to
the even number; the kernels of TFLite itself, which older runtimes and many boards use, multiply
in fixed point and round twice, ties upwards. Up to one value in a hundred then differs by one, and
dozens of layers of rounding make large differences of small ones: on MobileNetV2 the scores
differ as much as either differs from the float model.

All of them agree where three things hold, and all three are free to choose:

- N is even, and a hair (2^-22) smaller than that: what would be a tie then lies above it for those
  that see it, and is rounded up by those that do not, since their ties go upwards;
- N is not just below a power of two, since the two roundings there reach the tie from below;
- nothing below zero is rounded. Behind a ReLU that is so; other convolutions get a bias that moves
  their outputs above zero, and an addition behind them, of equal scales and thus exact, that moves
  them back.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as tflite

from convert.graph import (
    RAISED,
    Convolution,
    constant,
    convolutions,
    drop_unused_buffers,
    pack,
    read,
    set_constant,
)

_HAIR = 2.0**-23
"""The last bit of a float32: a number this much above a tie is above it in XNNPACK, too."""
_LOWEST = -128


def round_alike(integer: bytes, original: bytes) -> bytes:
    """Chooses the weight scales of the convolutions so that all runtimes round alike.

    Args:
        integer: the bytes of an int8 ``.tflite`` file.
        original: those of the same network in float32, whose weights are rounded again.

    Returns:
        The bytes of the file, in which the scales of activations are as they were.
    """
    file, floats = read(integer), read(original)
    graph = file.subgraphs[0]
    theirs = convolutions(floats)
    layers = {id(layer.operator): layer for layer in convolutions(file).values()}
    operators = []
    for operator in graph.operators:
        operators.append(operator)
        layer = layers.get(id(operator))
        if layer is None or layer.name not in theirs:
            continue
        moved = int(graph.tensors[operator.outputs[0]].quantization.zeroPoint[0]) - _LOWEST
        if operator.builtinOptions.fusedActivationFunction:
            moved = 0  # a ReLU's zero stays where it is
        kernel, bias = (constant(floats, n) for n in theirs[layer.name].operator.inputs[1:3])
        _requantize(file, layer, kernel.astype(np.float64), bias.astype(np.float64), moved)
        if moved:
            operators.append(_move_back(file, operator, moved))
    graph.operators = operators
    drop_unused_buffers(file)
    return pack(file, len(integer))


def even_divisors(wanted: np.ndarray) -> np.ndarray:
    """The largest even N up to the wanted ones that all runtimes divide by alike.

    Args:
        wanted: ``float[channels]``, positive.

    Returns:
        ``float[channels]``; where the wanted ones are below 2, as they are.
    """
    places = np.searchsorted(_DIVISORS, wanted, side="right") - 1
    return np.where(places < 0, wanted, _DIVISORS[np.maximum(places, 0)])


def _divisors() -> np.ndarray:
    found = [2]
    for power in range(1, 13):
        # As a multiplier in fixed point, 1/N is m / 2^power with 1/2 < m < 1. Two roundings agree
        # with one where m - 1/2, the distance of the tie's neighbour, is more than what the hair,
        # at most two last bits, adds to the largest of the 256 values.
        least = 0.5 + 256 * 2.0**power * 2 * _HAIR
        found += range(2**power + 2, int(2**power / least) + 1, 2)
    return np.array(found)


_DIVISORS = _divisors()


def _requantize(
    file: tflite.ModelT, layer: Convolution, kernel: np.ndarray, bias: np.ndarray, moved: int
) -> None:
    """Rounds a convolution's weights again; its outputs become larger by ``moved`` steps."""
    tensors = file.subgraphs[0].tensors
    given, weights, biases = (tensors[number] for number in layer.operator.inputs)
    output = tensors[layer.operator.outputs[0]]
    others = tuple(i for i in range(kernel.ndim) if i != layer.axis)
    shape = [-1 if i == layer.axis else 1 for i in range(kernel.ndim)]
    step, output_step = (np.float32(t.quantization.scale[0]) for t in (given, output))

    ratio = float(output_step) / float(step)
    # A channel of zeros is taken for one of next to nothing.
    largest = np.maximum(np.abs(kernel).max(others), ratio * 1e-6)
    divisors = even_divisors(ratio * 127 / largest)
    scales = _scales(step, output_step, divisors)
    steps = float(step) * scales.astype(np.float64)
    rounded = np.clip(np.round(kernel / scales.reshape(shape)), -127, 127)
    totals = np.clip(np.round(bias / steps), -(2**30), 2**30) + moved * np.round(divisors)
    set_constant(file, layer.operator.inputs[1], rounded.astype(np.int8))
    set_constant(file, layer.operator.inputs[2], totals.astype("<i4"))
    for tensor, values in ((weights, scales), (biases, steps.astype(np.float32))):
        tensor.quantization.scale = values
        tensor.quantization.zeroPoint = np.zeros(len(values), np.int64)
        tensor.quantization.quantizedDimension = layer.axis if tensor is weights else 0


def _scales(step: np.float32, output_step: np.float32, divisors: np.ndarray) -> np.ndarray:
    """The smallest weight scales with which a runtime's multiplier is a hair above 1/N."""
    scales = (float(output_step) / float(step) / divisors).astype(np.float32)
    while True:
        # Single precision and this order are XNNPACK's.
        short = (step * scales / output_step).astype(np.float64) * divisors < 1 + _HAIR
        if not short.any():
            return scales
        scales = np.where(short, np.nextafter(scales, np.float32(np.inf)), scales)


def _move_back(file: tflite.ModelT, operator: tflite.OperatorT, moved: int) -> tflite.OperatorT:
    """An addition that takes the moved output and gives the tensor that was there."""
    place = operator.outputs[0]
    output = file.subgraphs[0].tensors[place]
    scale = output.quantization.scale
    raised = _tensor(file, output.name + RAISED, list(output.shape), scale, _LOWEST)
    difference = _tensor(file, output.name + b"/moved", [1], scale, 127)
    set_constant(file, difference, np.array([127 - moved], np.int8))
    operator.outputs = [raised]

    code = tflite.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = tflite.BuiltinOperator.ADD
    code.version = 2  # the first one with int8
    file.operatorCodes.append(code)
    addition = tflite.OperatorT()
    addition.opcodeIndex = len(file.operatorCodes) - 1
    addition.inputs, addition.outputs = [raised, difference], [place]
    addition.builtinOptionsType = tflite.BuiltinOptions.AddOptions
    addition.builtinOptions = tflite.AddOptionsT()
    return addition


def _tensor(
    file: tflite.ModelT, name: bytes, shape: list[int], scale: np.ndarray, zero_point: int
) -> int:
    tensor = tflite.TensorT()
    tensor.name, tensor.shape, tensor.type = name, shape, tflite.TensorType.INT8
    tensor.quantization = tflite.QuantizationParametersT()
    tensor.quantization.scale = scale
    tensor.quantization.zeroPoint = np.array([zero_point], np.int64)
    tensor.buffer = 0
    file.subgraphs[0].tensors.append(tensor)
    return len(file.subgraphs[0].tensors) - 1
