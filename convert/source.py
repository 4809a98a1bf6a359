"""An image classifier as its author saved it, whatever wrote the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from convert.containers import Found
from convert.errors import ConversionError

_BATCH = 32


@dataclass(frozen=True)
class Source:
    """An image classifier as its author saved it.

    Attributes:
        path: the path that the user gave.
        kind: ``Keras 3``, ``Keras 2``, ``SavedModel`` or ``TFLite``.
        name: the model's own name.
        size: side of the input in pixels.
        outputs: how many there are.
        call: TensorFlow's ``float32[n, size, size, 3]``, prepared as the author does, to outputs.
        model: the Keras model, for Keras 3 alone.
        labels: from a ``labels.txt`` beside it; none without one.
        from_teachable_machine: whether Teachable Machine exported it.
        findings: what was done to load it, one line each.
    """

    path: Path
    kind: str
    name: str
    size: int
    outputs: int
    call: Callable[[Any], Any]
    model: keras.Model | None = None
    labels: tuple[str, ...] = ()
    from_teachable_machine: bool = False
    findings: tuple[str, ...] = ()

    def predict(self, values: np.ndarray) -> np.ndarray:
        """What the model answers.

        Args:
            values: ``float32[n, size, size, 3]``, prepared as the author does.

        Returns:
            ``float32[n, outputs]``
        """
        if self.model is not None:
            return only_value(self.model.predict(values, verbose=0, batch_size=_BATCH))
        parts = range(0, len(values), _BATCH)
        return np.concatenate([np.asarray(self.call(values[i : i + _BATCH])) for i in parts])


def only_value(outputs: Any) -> Any:
    """The output of a model that gives it in a dictionary or a list of one."""
    if isinstance(outputs, dict):
        (outputs,) = outputs.values()
    elif isinstance(outputs, (list, tuple)):
        (outputs,) = outputs
    return outputs


def size_of(found: Found, shape: Any) -> int:
    """Side in pixels of an input ``[n, size, size, 3]``.

    Raises:
        ConversionError: the model has an input of another shape.
    """
    given = [None if n is None else int(n) for n in shape]
    if len(given) != 4 or given[1] is None or given[1] != given[2] or given[3] != 3:
        any_size = len(given) == 4 and given[3] == 3 and given[1] is None
        advice = "; build it on keras.Input((224, 224, 3)), of its own size"
        if not any_size:
            advice = "; only square RGB pictures are supported: train it on such an input"
        raise ConversionError(
            f"{found.given}: expected an input [size, size, 3], found {given[1:]}{advice}"
        )
    return given[1]


def classes_of(found: Found, shape: Any) -> int:
    """Number of classes of an output ``[n, classes]``.

    Raises:
        ConversionError: the model has an output of another shape.
    """
    given = [None if n is None else int(n) for n in shape]
    if len(given) != 2 or not given[1]:
        raise ConversionError(
            f"{found.given}: expected an output [classes], found {given[1:]}; only "
            "image classifiers are converted"
        )
    return given[1]
