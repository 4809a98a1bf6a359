"""Inputs and outputs of a model: which is which, and their quantization."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge_app.decision import Decision
from edge_app.metadata import Metadata
from edge_app.prediction import ModelError

Tensor = dict[str, Any]
"""What an interpreter says of an input or output: index, shape, dtype, quantization."""


def outputs(path: Path, outputs: list[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Tells the scores ``[1, 2]`` from the evidence map ``[1, rows, columns]``, if there is one."""
    scores = [output for output in outputs if len(output["shape"]) == 2]
    maps = [output for output in outputs if len(output["shape"]) == 3]
    if len(scores) != 1 or len(maps) > 1 or len(scores) + len(maps) != len(outputs):
        shapes = ", ".join(str(list(map(int, output["shape"]))) for output in outputs)
        raise ModelError(f"{path}: expected two scores [1, 2], found {shapes}")
    return scores[0], maps[0] if maps else None


def cells(evidence: Tensor | None) -> tuple[int, int] | None:
    """Rows and columns of the evidence map; None without one."""
    if evidence is None:
        return None
    _, rows, columns = evidence["shape"]
    return int(rows), int(columns)


def check_contract(
    path: Path, metadata: Metadata, decision: Decision, model_input: Tensor, output: Tensor
) -> None:
    """Makes sure that the model is a classifier of two classes with square pictures as its input.

    Raises:
        ModelError: it is something else.
    """
    shape = tuple(int(n) for n in model_input["shape"])
    if len(shape) != 4 or shape[0] != 1 or shape[1] != shape[2] or shape[3] != 3:
        raise ModelError(f"{path}: expected an input [1, size, size, 3], found {list(shape)}")
    if tuple(output["shape"]) != (1, 2) or len(metadata.labels) != 2:
        raise ModelError(
            f"{path}: expected two scores with two labels, found {list(output['shape'])} "
            f"with labels {', '.join(metadata.labels)}"
        )
    if decision.label not in metadata.labels:
        raise ModelError(
            f"{path}: none of its labels ({', '.join(metadata.labels)}) is {decision.label}"
        )


def quantize(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Real values as the integers of a tensor; unchanged for a tensor of floats."""
    scale, zero_point = tensor["quantization"]
    if not scale:
        return values
    limits = np.iinfo(tensor["dtype"])
    steps = np.clip(np.round(values / scale) + zero_point, limits.min, limits.max)
    quantized: np.ndarray = steps.astype(tensor["dtype"])
    return quantized


def dequantize(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    """The inverse of `quantize`."""
    scale, zero_point = tensor["quantization"]
    return (values.astype(np.float32) - zero_point) * scale if scale else values
