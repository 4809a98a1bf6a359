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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tflite
from tqdm import tqdm

from edge_app.runtime import make_interpreter

_CONVOLUTIONS = (
    tflite.BuiltinOperator.CONV_2D,
    tflite.BuiltinOperator.DEPTHWISE_CONV_2D,
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


def correct_biases(integer: bytes, original: bytes, pixels: np.ndarray, low: float, high: float):
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
    content = bytearray(integer)
    layers = _convolutions(content)
    means = _means(original, [name for name, *_ in layers], _to_float(pixels, low, high))
    bar = tqdm(layers, "Correcting biases", unit="layer", disable=None, file=sys.stdout)
    for name, place, bias, scales in bar:
        if name not in means:
            continue
        total = active = 0.0
        for ((values, (lowest, highest)),) in _run(_ending_at(bytes(content), [place]), pixels):
            inside = (values > lowest) & (values < highest)
            total = total + _channel_means(values) / len(pixels)
            active = active + _channel_means(inside) / len(pixels)
        shift = np.where(
            active > _FEWEST_ACTIVE, (means[name] - total) / np.maximum(active, _FEWEST_ACTIVE), 0
        )
        # A view into the file's bytes: the bias, int32, in steps of input scale * weight scale.
        bias += np.round(shift / scales).astype(np.int32)
    return bytes(content)


def layer_errors(
    integer: bytes, original: bytes, pixels: np.ndarray, low: float, high: float
) -> list[LayerError]:
    """How much each convolution loses, from the first to the last; arguments as above."""
    places = _places(original)
    layers = [layer for layer in _convolutions(bytearray(integer)) if layer[0] in places]
    names = [name for name, *_ in layers]
    ours = _run(_ending_at(integer, [place for _, place, *_ in layers]), pixels)
    theirs = _run(
        _ending_at(original, [places[name] for name in names]), _to_float(pixels, low, high)
    )
    noise, signal = np.zeros(len(names)), np.zeros(len(names))
    for integers, floats in zip(ours, theirs, strict=True):
        for i, ((values, _), (expected, _)) in enumerate(zip(integers, floats, strict=True)):
            noise[i] += ((values - expected) ** 2).sum()
            signal[i] += (expected**2).sum()
    errors = np.sqrt(noise / np.maximum(signal, 1e-12))
    return [
        LayerError(_short(name), float(error)) for name, error in zip(names, errors, strict=True)
    ]


def _convolutions(content: bytearray) -> list[tuple[str, int, np.ndarray, np.ndarray]]:
    """Name of the output, place in the graph, bias (a view into the bytes) and its steps."""
    model = tflite.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    found = []
    for place in range(graph.OperatorsLength()):
        operator = graph.Operators(place)
        code = model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()
        if code not in _CONVOLUTIONS or operator.InputsLength() < 3 or operator.Inputs(2) < 0:
            continue
        tensor = graph.Tensors(operator.Inputs(2))
        bias = model.Buffers(tensor.Buffer()).DataAsNumpy()
        scales = tensor.Quantization().ScaleAsNumpy()
        name = graph.Tensors(operator.Outputs(0)).Name().decode()
        found.append((name, place, bias.view(np.int32), scales))
    return found


def _places(model: bytes) -> dict[str, int]:
    """Which operator of a graph makes the tensor of a name."""
    graph = tflite.Model.GetRootAs(model, 0).Subgraphs(0)
    return {
        graph.Tensors(graph.Operators(place).Outputs(0)).Name().decode(): place
        for place in range(graph.OperatorsLength())
    }


def _means(model: bytes, names: Sequence[str], inputs: np.ndarray) -> dict[str, np.ndarray]:
    """The mean of each channel of the tensors of these names that the model has."""
    places = _places(model)
    names = [name for name in names if name in places]
    totals = [0.0] * len(names)
    for outputs in _run(_ending_at(model, [places[name] for name in names]), inputs):
        for i, (values, _) in enumerate(outputs):
            totals[i] = totals[i] + _channel_means(values) / len(inputs)
    return dict(zip(names, totals, strict=True))


def _channel_means(values: np.ndarray) -> np.ndarray:
    return values.mean(tuple(range(values.ndim - 1)))


def _ending_at(model: bytes, places: Sequence[int]) -> bytes:
    """The network up to the last of these operators, whose outputs become the outputs."""
    file = tflite.ModelT.InitFromPackedBuf(model, 0)
    graph = file.subgraphs[0]
    graph.outputs = [graph.operators[place].outputs[0] for place in places]
    graph.operators = graph.operators[: max(places) + 1]
    file.signatureDefs = []
    builder = flatbuffers.Builder(len(model) + 1024)
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _run(
    model: bytes, inputs: np.ndarray
) -> Iterator[list[tuple[np.ndarray, tuple[float, float]]]]:
    """Runs a model; yields for each input its outputs, dequantized, with the limits of each."""
    interpreter, _ = make_interpreter(model, threads=2)
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()
    for values in inputs:
        interpreter.set_tensor(given["index"], values[None])
        interpreter.invoke()
        yield [_dequantized(interpreter.get_tensor(tensor["index"])[0], tensor) for tensor in made]


def _dequantized(values: np.ndarray, tensor: dict) -> tuple[np.ndarray, tuple[float, float]]:
    scale, zero_point = tensor["quantization"]
    if not scale:
        return values, (-np.inf, np.inf)
    kind = np.iinfo(tensor["dtype"])
    limits = (scale * (kind.min - zero_point), scale * (kind.max - zero_point))
    return (values.astype(np.float32) - zero_point) * np.float32(scale), limits


def _to_float(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    return (low + pixels * ((high - low) / 255)).astype(np.float32)


def _short(name: str) -> str:
    """``model/block_1_project_BN/batchnorm/add_1;model/...`` is called by its layer."""
    parts = [part for part in name.split(";")[0].split("/") if part != "batchnorm"]
    return parts[-2] if len(parts) > 1 else name
