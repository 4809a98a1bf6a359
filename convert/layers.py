"""Compares an integer model with its float original layer by layer, and mends what it can.

Rounding the weights of a layer moves the mean of each of its channels, and what comes behind
inherits that. In MobileNetV2, whose thin layers cancel large numbers against each other, this
systematic part is most of the error. Bias correction takes it away: the mean difference over
real pictures is subtracted from the layer's bias, from the first layer to the last (Nagel and
others, "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, here with
measured means, as their section 4.2 has it for layers where data is at hand).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as tflite
from tqdm import tqdm

from convert.graph import (
    alone,
    constant,
    convolutions,
    drop_unused_buffers,
    pack,
    read,
    run,
    set_constant,
    with_outputs,
)

_FEWEST_ACTIVE = 0.1


@dataclass(frozen=True)
class LayerError:
    """How far one layer's output is from the float model's.

    Attributes:
        name: of the layer.
        error: root mean square of the difference, as a share of the root mean square of the
            float output (the inverse of the signal-to-noise ratio).
    """

    name: str
    error: float


def correct_biases(
    integer: bytes, original: bytes, pixels: np.ndarray, low: float, high: float
) -> bytes:
    """Subtracts from every convolution's bias what rounding adds to it on average.

    A bias stands before the activation and the means are taken behind it, so the difference is
    divided by the share of values that the activation lets through.

    Args:
        integer: the bytes of an int8 ``.tflite`` file.
        original: those of the same network in float32.
        pixels: real pictures, ``uint8[n, size, size, 3]``; a few dozen are enough.
        low: the value of a black pixel, for the float model.
        high: the value of a white pixel.

    Returns:
        The bytes of the corrected file.
    """
    file = read(integer)
    graph = file.subgraphs[0]
    layers = {id(layer.operator): layer for layer in convolutions(file).values()}
    means = _means(original, _to_float(pixels, low, high))
    left = _uses(graph)
    values = {int(graph.inputs[0]): pixels[:, None]}  # what each tensor is for each picture
    bar = tqdm(graph.operators, "Correcting biases", unit="operator", disable=None, file=sys.stdout)
    for operator in bar:
        inputs = [int(number) for number in operator.inputs if number in values]
        layer = layers.get(id(operator))
        output = int(operator.outputs[0])
        made = _outputs(alone(file, operator, inputs), values, inputs)
        if layer is not None and layer.name in means:
            quantization = graph.tensors[output].quantization
            wanted = means[layer.name] + layer.raised
            _shift_bias(file, operator, wanted, made, quantization)
            made = _outputs(alone(file, operator, inputs), values, inputs)
        values[output] = made
        for number in inputs:
            left[number] -= 1
            if not left[number]:
                del values[number]
    drop_unused_buffers(file)
    return pack(file, len(integer))


def layer_errors(
    integer: bytes, original: bytes, pixels: np.ndarray, low: float, high: float
) -> list[LayerError]:
    """How much each convolution loses, from the first to the last; arguments as above."""
    ours, theirs = convolutions(read(integer)), convolutions(read(original))
    names = [name for name in ours if name in theirs]
    tensors = read(integer).subgraphs[0].tensors
    outputs = [tensors[ours[name].operator.outputs[0]] for name in names]
    integers = run(
        with_outputs(integer, [tensor.name for tensor in outputs]), pixels[:, None, None]
    )
    floats = run(with_outputs(original, names), _to_float(pixels, low, high)[:, None, None])
    noise, signal = np.zeros(len(names)), np.zeros(len(names))
    for values, expected in zip(integers, floats, strict=True):
        for i, name in enumerate(names):
            found = _dequantized(values[i], outputs[i].quantization) - ours[name].raised
            noise[i] += ((found - expected[i]) ** 2).sum()
            signal[i] += (expected[i] ** 2).sum()
    errors = np.sqrt(noise / np.maximum(signal, 1e-12))
    return [
        LayerError(ours[name].short_name, float(error))
        for name, error in zip(names, errors, strict=True)
    ]


def _shift_bias(
    file: tflite.ModelT,
    operator: tflite.OperatorT,
    wanted: np.ndarray,
    made: np.ndarray,
    quantization: tflite.QuantizationParametersT,
) -> None:
    """Changes a convolution's bias so that its output has the wanted means."""
    biases = int(operator.inputs[2])
    active = _channel_means((made > -128) & (made < 127))
    found = _dequantized(_channel_means(made), quantization)
    shift = np.where(
        active > _FEWEST_ACTIVE, (wanted - found) / np.maximum(active, _FEWEST_ACTIVE), 0
    )
    steps = file.subgraphs[0].tensors[biases].quantization.scale
    bias = constant(file, biases) + np.round(shift / steps).astype(np.int64)
    set_constant(file, biases, np.clip(bias, -(2**31), 2**31 - 1).astype("<i4"))


def _uses(graph: tflite.SubGraphT) -> dict[int, int]:
    """How many operators take each tensor."""
    uses: dict[int, int] = {}
    for operator in graph.operators:
        for number in {int(number) for number in operator.inputs}:
            uses[number] = uses.get(number, 0) + 1
    return uses


def _outputs(model: bytes, values: dict[int, np.ndarray], inputs: list[int]) -> np.ndarray:
    pictures = zip(*(values[number] for number in inputs), strict=True)
    return np.stack([made for (made,) in run(model, list(pictures))])


def _means(model: bytes, inputs: np.ndarray) -> dict[bytes, np.ndarray]:
    """The mean of each channel of each convolution's output."""
    names = list(convolutions(read(model)))
    totals = [0.0] * len(names)
    for outputs in run(with_outputs(model, names), inputs[:, None, None]):
        for i, values in enumerate(outputs):
            totals[i] = totals[i] + _channel_means(values) / len(inputs)
    return dict(zip(names, totals, strict=True))


def _channel_means(values: np.ndarray) -> np.ndarray:
    return values.mean(tuple(range(values.ndim - 1)))


def _dequantized(values: np.ndarray, quantization: tflite.QuantizationParametersT) -> np.ndarray:
    return (values - np.float32(quantization.zeroPoint[0])) * np.float32(quantization.scale[0])


def _to_float(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    return (low + pixels * ((high - low) / 255)).astype(np.float32)
