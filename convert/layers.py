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
        for values, limits in _outputs(_cut_behind(bytes(content), place), pixels):
            axes = tuple(range(values.ndim - 1))
            inside = (values > limits[0]) & (values < limits[1])
            total = total + values.mean(axes) / len(pixels)
            active = active + inside.mean(axes) / len(pixels)
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
    errors = []
    floats = _to_float(pixels, low, high)
    places = _places(original)
    for name, place, *_ in _convolutions(bytearray(integer)):
        if name not in places:
            continue
        ours = _outputs(_cut_behind(integer, place), pixels)
        theirs = _outputs(_cut_behind(original, places[name]), floats)
        noise = signal = 0.0
        for (values, _), (expected, _) in zip(ours, theirs, strict=True):
            noise += float(((values - expected) ** 2).sum())
            signal += float((expected**2).sum())
        errors.append(LayerError(_short(name), (noise / signal) ** 0.5 if signal else 0.0))
    return errors


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
    places = _places(model)
    means = {}
    for name in names:
        if name in places:
            total = 0.0
            for values, _ in _outputs(_cut_behind(model, places[name]), inputs):
                total = total + values.mean(tuple(range(values.ndim - 1))) / len(inputs)
            means[name] = total
    return means


def _cut_behind(model: bytes, place: int) -> bytes:
    """The network up to an operator, whose output becomes the output."""
    file = tflite.ModelT.InitFromPackedBuf(model, 0)
    graph = file.subgraphs[0]
    graph.operators = graph.operators[: place + 1]
    graph.outputs = graph.operators[-1].outputs
    file.signatureDefs = []
    builder = flatbuffers.Builder(len(model) + 1024)
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _outputs(model: bytes, inputs: np.ndarray) -> Iterator[tuple[np.ndarray, tuple[float, float]]]:
    """Runs a model; yields each output, dequantized, and the limits that it cannot pass."""
    interpreter, _ = make_interpreter(model, threads=2)
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero_point = made["quantization"]
    limits = (0.0, 5.99)  # of ReLU6; a layer without an activation never stays at either
    if scale:
        kind = np.iinfo(made["dtype"])
        limits = (scale * (kind.min - zero_point), scale * (kind.max - zero_point))
    for values in inputs:
        interpreter.set_tensor(given["index"], values[None])
        interpreter.invoke()
        output = interpreter.get_tensor(made["index"])[0]
        yield (output.astype(np.float32) - zero_point) * scale if scale else output.copy(), limits


def _to_float(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    return (low + pixels * ((high - low) / 255)).astype(np.float32)


def _short(name: str) -> str:
    """``model/block_1_expand_relu/Relu6;model/...`` is called by its layer."""
    parts = name.split(";")[0].split("/")
    return parts[-2] if len(parts) > 1 else name
