"""Finds out what a foreign ``.tflite`` is: from its graph, the files beside it, the user."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.description import Description
from edge_app.labels import LABEL_FILE, choose_positive, labels_beside
from edge_app.metadata import Metadata, MetadataError, last_operator, read_metadata
from edge_app.preprocessing import NAMED, Preprocessing
from edge_app.runtime import make_interpreter
from edge_app.trial import refusal

_log = logging.getLogger(__name__)

_PLAIN = ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0))
_INPUT_UNKNOWN = (
    "does not say which values it takes for pixels. Were they divided by 255 in training: "
    "--input-range 0 1; by 127.5, less 1, as in Teachable Machine: --input-range -1 1; neither: "
    "--input-range 0 255; by preprocess_input of ResNet50 or VGG16: --preprocess caffe; with "
    "ImageNet's mean and deviation: --preprocess torch"
)
_SAME_RANGE = 0.2
"""Share of the range that its ends may differ by: it was told from pictures without black or white.
"""
_SOFTMAX, _LOGISTIC = 25, 14  # BuiltinOperator of the TFLite schema


class ForeignModelError(ValueError):
    """A foreign model that cannot be used as described; the message says which option helps."""


class InputUnknownError(ForeignModelError):
    """Nothing says what the model takes for pixels."""


def describe(
    model: Path,
    content: bytes,
    labels: Sequence[str] | None,
    positive: str | None,
    preprocessing: Preprocessing | None,
    warn: Callable[[str], None] = _log.warning,
) -> Description:
    """Puts together what a foreign file, the files beside it and the user say.

    Args:
        model: the file.
        content: its bytes.
        labels: the user's, in the order of the outputs.
        positive: the user's choice of what is looked for.
        preprocessing: what the user says the model was trained on.
        warn: is told where the user says something else than the file.

    Raises:
        InputUnknownError: only the preprocessing is missing.
        ForeignModelError: something is missing or does not fit, without the model's name. All
            that is missing is in one message.
    """
    if b"edgetpu-custom-op" in content:
        raise ForeignModelError(
            "is compiled for the Edge TPU; export it without that, in Teachable Machine as "
            "Tensorflow Lite, Floating point or Quantized"
        )
    try:
        interpreter, _ = make_interpreter(content, threads=1)
    except (ValueError, RuntimeError) as error:
        raise ForeignModelError(refusal("loaded", error)) from None
    taken, made = _check_shapes(interpreter)
    metadata = None
    with contextlib.suppress(MetadataError, LookupError, ValueError):
        metadata = read_metadata(content)
    names = tuple(labels or (metadata and metadata.labels) or ())
    from_teachable_machine = False
    try:
        beside, from_teachable_machine = labels_beside(model)
        names = names or beside
    except ValueError as error:
        if labels is None:
            raise ForeignModelError(str(error)) from None
    classes = int(made["shape"][1])
    expected = max(classes, 2)
    missing, chosen = [], ""
    if len(names) != expected:
        have = f"has {len(names)} labels ({', '.join(names)})" if names else "does not name them"
        missing.append(
            f"has {classes} output{'s'[: classes > 1]} and {have}; give {expected} labels in the "
            f"order of the outputs, as --labels {','.join('ABCDEFGH'[:expected])}, or put a "
            f"{LABEL_FILE} beside it"
        )
    else:
        try:
            chosen = choose_positive(names, positive)
        except ValueError as error:
            missing.append(str(error))
    found = preprocessing or _preprocessing_of(taken, metadata)
    if found is None and from_teachable_machine:
        found = NAMED["tf"]
    if found is None:
        if not missing:
            raise InputUnknownError(_INPUT_UNKNOWN)
        missing.append(f"and it {_INPUT_UNKNOWN}")
    if missing or found is None:
        raise ForeignModelError("; ".join(missing))
    if preprocessing is not None and (problem := _contradiction(taken, preprocessing)):
        warn(f"{model}: {problem}")
    activation = _activation(interpreter, content, taken, made)
    return Description(model.stem, names, chosen, found.mean, found.std, found.channels, activation)


def _check_shapes(interpreter: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The input ``[1, size, size, 3]`` and the output ``[1, classes]``."""
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    shape = [int(n) for n in inputs[0]["shape"]]
    if len(inputs) != 1 or len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3:
        hint = ""
        if len(shape) == 4 and shape[1] == 3:
            hint = "; its channels come first, as in PyTorch: export it with channels last"
        raise ForeignModelError(f"expected one input [1, size, size, 3], found {shape}{hint}")
    flat = [output for output in outputs if len(output["shape"]) == 2]
    if len(flat) != 1 or flat[0]["shape"][0] != 1:
        shapes = ", ".join(str([int(n) for n in output["shape"]]) for output in outputs)
        raise ForeignModelError(
            f"expected one output [1, classes] of an image classifier, found {shapes}"
        )
    return inputs[0], flat[0]


def _preprocessing_of(taken: dict[str, Any], metadata: Metadata | None) -> Preprocessing | None:
    """What the file itself says: the quantization of an integer input, or its metadata."""
    found = _quantized_for(taken)
    if found is not None:
        low, high = found.range or (0.0, 0.0)
        for black, white in _PLAIN:
            if max(abs(low - black), abs(high - white)) < 0.05 * (white - black):
                return found
    if metadata is not None:
        mean, std = (
            values * 3 if len(values) == 1 else values for values in (metadata.mean, metadata.std)
        )
        with contextlib.suppress(ValueError):
            return Preprocessing(mean, std)
    return None


def _quantized_for(taken: dict[str, Any]) -> Preprocessing | None:
    """What the quantization of an integer input makes of pixels; None for floats."""
    scale, zero_point = taken["quantization"]
    if not scale:
        return None
    # A pixel is the integer itself, less 128 where that is signed: no arithmetic, no rounding.
    mean = zero_point + (128.0 if np.dtype(taken["dtype"]) == np.int8 else 0.0)
    return Preprocessing((mean,) * 3, (1 / scale,) * 3)


def _contradiction(taken: dict[str, Any], given: Preprocessing) -> str | None:
    """Why what the user says of pixels cannot be what an integer input was quantized for."""
    own = _quantized_for(taken)
    if own is None or own.range is None:
        return None
    low, high = own.range
    values = given.apply(np.array([[0, 0, 0], [255, 255, 255]]))
    if max(abs(values.min() - low), abs(values.max() - high)) < _SAME_RANGE * (high - low):
        return None
    return (
        f"its input is quantized for values from {low:.2g} to {high:.2g}, but pixels are given as "
        f"{given}; leave out --input-range and --preprocess to use the file's own range"
    )


def _activation(
    interpreter: Any, content: bytes, taken: dict[str, Any], made: dict[str, Any]
) -> str:
    """What the outputs are, by the last operator, and where it is another one by trying it."""
    last = last_operator(content, int(made["index"]))
    if last == _SOFTMAX:
        if made["shape"][1] == 1:
            raise ForeignModelError(
                "ends in softmax over one output, which is always 1: train it with a sigmoid, or "
                "with one output for each class"
            )
        return "softmax"
    if last == _LOGISTIC:
        return "sigmoid"
    rng = np.random.default_rng(0)
    outputs = []
    for level in (0.0, 0.25, 0.5, 0.75, 1.0):
        values = rng.random(taken["shape"]) * 0.5 + level - 0.25
        if taken["quantization"][0]:
            limits = np.iinfo(taken["dtype"])
            values = np.clip(limits.min + values * 255, limits.min, limits.max)
        interpreter.set_tensor(taken["index"], values.astype(taken["dtype"]))
        interpreter.invoke()
        raw = interpreter.get_tensor(made["index"])[0].astype(np.float32)
        scale, zero_point = made["quantization"]
        outputs.append((raw - zero_point) * scale if scale else raw)
    tried = np.array(outputs)
    scores = tried.shape[1] > 1 and np.allclose(tried.sum(1), 1, atol=0.02)
    return "softmax" if scores and tried.min() >= 0 else "logits"
