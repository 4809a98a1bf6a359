"""Which values the 8 bits of each activation stand for.

The converter takes the smallest and the largest value that it saw. A range that cuts off a few
outliers can lose less there than all the others gain by the finer steps; which range does best is
measured on real pictures, tensor by tensor.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as tflite

from convert.graph import OUTPUT_AXES, code_of, convolutions, pack, read, run, with_outputs

METHODS = ("min-max", "percentile", "mse")

_SAMPLES = 4000
_OUTERMOST = 1e-4
_OPERATORS = tflite.BuiltinOperator
_ANY_SCALE = (*OUTPUT_AXES, _OPERATORS.ADD, _OPERATORS.DEQUANTIZE)
"""Operators of which no two tensors need the same scale."""


def set_ranges(integer: bytes, original: bytes, inputs: np.ndarray, method: str = "mse") -> bytes:
    """Chooses the scales of the activations between convolutions and additions.

    The weights and biases then no longer fit: `convert.rounding.round_alike` computes them again.

    Args:
        integer: the bytes of an int8 ``.tflite`` file.
        original: those of the same network in float32.
        inputs: what the float network takes, ``float32[n, size, size, 3]``.
        method: ``min-max``, all values seen; ``percentile``, but the outermost 1 in 10000 on each
            side; ``mse``, the range of the smallest mean squared error.
    """
    file = read(integer)
    tensors = _free_tensors(file, original)
    if not tensors:
        return integer
    samples = _sample(original, list(tensors), inputs)
    for name, tensor in tensors.items():
        low, high = _range(samples[name], method)
        scale = np.float32((high - low) / 255)
        tensor.quantization.scale = np.array([scale])
        tensor.quantization.zeroPoint = np.array([round(-128 - low / float(scale))])
    return pack(file, len(integer))


def _free_tensors(file: tflite.ModelT, original: bytes) -> dict[bytes, tflite.TensorT]:
    """The activations whose scales may be chosen, by their names in the float network."""
    graph, floats = file.subgraphs[0], read(original)
    known = {
        floats.subgraphs[0].tensors[op.outputs[0]].name for op in floats.subgraphs[0].operators
    }
    theirs = convolutions(floats)
    layers = {id(layer.operator): name for name, layer in convolutions(file).items()}
    found = {}
    for operator in graph.operators:
        number = int(operator.outputs[0])
        name = layers.get(id(operator), graph.tensors[number].name)
        around = [operator, *(op for op in graph.operators if number in op.inputs)]
        convs = [op for op in around if code_of(file, op) in OUTPUT_AXES]
        if (
            name in known
            and code_of(file, operator) in (*OUTPUT_AXES, _OPERATORS.ADD)
            and all(code_of(file, op) in _ANY_SCALE for op in around)
            and all(layers.get(id(op)) in theirs for op in convs)
        ):
            found[name] = graph.tensors[number]
    return found


def _sample(model: bytes, names: list[bytes], inputs: np.ndarray) -> dict[bytes, np.ndarray]:
    """Values of tensors: of each picture the smallest, the largest, and some at random."""
    rng = np.random.default_rng(0)
    found = {name: [] for name in names}
    for outputs in run(with_outputs(model, names), inputs[:, None, None]):
        for name, values in zip(names, outputs, strict=True):
            some = rng.choice(values.reshape(-1), _SAMPLES)
            found[name].append(np.append(some, [values.min(), values.max()]))
    return {name: np.concatenate(values) for name, values in found.items()}


def _range(samples: np.ndarray, method: str) -> tuple[float, float]:
    low, high = min(float(samples.min()), 0.0), max(float(samples.max()), 1e-6)
    if method == "percentile":
        low, high = np.quantile(samples, [_OUTERMOST, 1 - _OUTERMOST])
        return min(float(low), 0.0), max(float(high), 1e-6)
    if method == "mse":
        shares = np.linspace(0.5, 1, 26)
        errors = [_squared_error(samples, low * share, high * share) for share in shares]
        share = shares[int(np.argmin(errors))]
        return low * share, high * share
    return low, high


def _squared_error(values: np.ndarray, low: float, high: float) -> float:
    step = (high - low) / 255
    rounded = low + np.round((np.clip(values, low, high) - low) / step) * step
    return float(((values - rounded) ** 2).mean())
