"""Cross-layer equalization of a float network, which `benchmarks.quantization` measures."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as tflite

from convert.graph import (
    OUTPUT_AXES,
    code_of,
    constant,
    pack,
    read,
    run,
    set_constant,
    with_outputs,
)

_OPERATORS = tflite.BuiltinOperator


def equalize(original: bytes, inputs: np.ndarray, strength: float = 0.5) -> bytes:
    """Equalizes the ranges of the channels of the linear tensors of a float network.

    Where only convolutions make a tensor (and additions of such), without an activation, and only
    convolutions take it, its channels can be divided by any numbers, if the weights behind are
    multiplied by them: the network computes the same. This is the cross-layer equalization of
    Nagel and others (2019) for activations; ReLU6 forbids it elsewhere.

    Args:
        original: the bytes of a float32 ``.tflite`` file.
        inputs: what it takes, ``float32[n, size, size, 3]``.
        strength: the exponent of the widths that the channels are divided by: 1 makes them all
            equal, 0 does nothing, and between them weights and activations share the gain.
    """
    file = read(original)
    graph = file.subgraphs[0]
    for group in _linear_groups(file):
        names = [graph.tensors[number].name for number in group]
        widths = _widths(original, names, inputs)
        factors = (widths / widths.max()) ** strength
        for operator in graph.operators:
            if int(operator.outputs[0]) in group and code_of(file, operator) in OUTPUT_AXES:
                for number in operator.inputs[1:3]:
                    axis = 0 if code_of(file, operator) == _OPERATORS.CONV_2D else -1
                    values = np.moveaxis(constant(file, number), axis, -1) / factors
                    values = np.moveaxis(values, -1, axis).astype("<f4")
                    set_constant(file, number, np.ascontiguousarray(values))
            elif int(operator.inputs[0]) in group and code_of(file, operator) in OUTPUT_AXES:
                kernel = constant(file, operator.inputs[1])
                set_constant(file, operator.inputs[1], (kernel * factors).astype("<f4"))
    return pack(file, len(original))


def _linear_groups(file: tflite.ModelT) -> list[set[int]]:
    """Tensors that additions tie together, all made and taken by what a factor passes through."""
    graph = file.subgraphs[0]
    groups: list[set[int]] = []
    for operator in graph.operators:
        number, code = int(operator.outputs[0]), code_of(file, operator)
        if code == _OPERATORS.ADD:
            tied = {number, *(int(n) for n in operator.inputs)}
        elif code in OUTPUT_AXES:
            tied = {number}
        else:
            continue
        touching = [group for group in groups if group & tied]
        groups = [group for group in groups if not group & tied] + [tied.union(*touching)]
    makers = {int(op.outputs[0]): op for op in graph.operators}

    def passes(group: set[int]) -> bool:
        for number in group:
            maker = makers.get(number)
            takers = [op for op in graph.operators if number in op.inputs]
            if maker is None or number in graph.outputs:
                return False
            for op in (maker, *takers):
                if code_of(file, op) not in (_OPERATORS.CONV_2D, _OPERATORS.ADD):
                    return False
            if maker.builtinOptions.fusedActivationFunction:
                return False
        return True

    return [group for group in groups if passes(group)]


def _widths(model: bytes, names: list[bytes], inputs: np.ndarray) -> np.ndarray:
    """The width of each channel, as a share of the widest of its tensor; the largest share."""
    extremes = [0.0] * len(names)
    for outputs in run(with_outputs(model, names), inputs[:, None, None]):
        for i, values in enumerate(outputs):
            largest = np.abs(values).max(tuple(range(values.ndim - 1)))
            extremes[i] = np.maximum(extremes[i], largest)
    return np.max([values / values.max() for values in extremes], axis=0)
