"""``.tflite`` files that do not say what they are: other people's, such as Teachable Machine's.

What is missing (labels, which one is looked for, preprocessing) comes from the user. A copy of the
file that carries it, as a ZIP member ``description.json``, is then used like any other model, so
that threads, processes and clusters need only its path, and results know it by its checksum.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.decision import MEMBER as DECISION
from edge_app.decision import Decision
from edge_app.files import whole_file
from edge_app.labels import LABEL_FILE, choose_positive, is_numbered, read_labels, rest_of
from edge_app.metadata import Metadata, MetadataError, last_operator, read_metadata
from edge_app.preprocessing import NAMED, Preprocessing
from edge_app.runtime import make_interpreter

MEMBER = "description.json"

_PLAIN = ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0))
_SOFTMAX, _LOGISTIC = 25, 14  # BuiltinOperator of the TFLite schema


class ForeignModelError(ValueError):
    """A foreign model that cannot be used as described; the message says which option helps."""


class InputUnknownError(ForeignModelError):
    """Nothing says what the model takes for pixels."""


@dataclass(frozen=True)
class Description:
    """What a foreign model file does not say.

    Attributes:
        name: of the model.
        labels: in the order of the outputs; two for a model of one output, P(the second).
        positive: the label that is looked for.
        mean, std, channels: as in `edge_app.preprocessing.Preprocessing`.
        activation: what the outputs are: ``softmax`` or ``sigmoid`` scores, or ``logits``.
    """

    name: str
    labels: tuple[str, ...]
    positive: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: str
    activation: str

    @property
    def preprocessing(self) -> Preprocessing:
        return Preprocessing(tuple(self.mean), tuple(self.std), self.channels)

    @property
    def metadata(self) -> Metadata:
        """The same as the metadata of a classifier of two classes: the rest, the positive."""
        labels = (rest_of(self.labels, self.positive), self.positive)
        text = f"foreign model with the labels {', '.join(self.labels)}"
        return Metadata(self.name, "as given", text, labels, tuple(self.mean), tuple(self.std))

    @property
    def decision(self) -> Decision:
        return Decision(label=self.positive)

    def scores(self, outputs: np.ndarray) -> np.ndarray:
        """The scores of the rest and of the positive label, ``float[2]``.

        Args:
            outputs: of the model, ``float32[classes]``.
        """
        score = positive_score(outputs, self.activation, self.labels.index(self.positive))
        return np.array([1 - score, score])


def positive_score(outputs: np.ndarray, activation: str, place: int) -> float:
    """P(positive) from a model's outputs.

    Args:
        outputs: ``float32[classes]``.
        activation: as in `Description`.
        place: of the positive label among the labels.
    """
    if activation == "logits":
        pair = outputs if len(outputs) > 1 else np.array([0, outputs[0]])
        powers = np.exp(pair - pair.max())
        return float(powers[place] / powers.sum())
    if len(outputs) == 1:
        return float(outputs[0] if place else 1 - outputs[0])
    return float(outputs[place])


def read_description(model: bytes) -> Description | None:
    """The description that a copy carries; None for every other file.

    Raises:
        ValueError: it is there and makes no sense.
    """
    archive = io.BytesIO(model)
    if not zipfile.is_zipfile(archive):
        return None
    with zipfile.ZipFile(archive) as members:
        if MEMBER not in members.namelist():
            return None
        try:
            fields = json.loads(members.read(MEMBER))
            fields["labels"] = tuple(fields["labels"])
            description = Description(**fields)
            _ = description.preprocessing, description.labels.index(description.positive)
            return description
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"its {MEMBER} cannot be used: {error}") from None


def self_describing(
    model: Path,
    *,
    labels: Sequence[str] | None = None,
    positive: str | None = None,
    preprocessing: Preprocessing | None = None,
) -> Path:
    """A file that says what it is: the model itself, or a described copy of a foreign one.

    Args:
        model: a ``.tflite`` file. A file that does not exist is left to whoever opens it.
        labels: in the order of the outputs; None for the file's own, or ``labels.txt`` beside it.
        positive: the label that is looked for; None for the one that says smoking.
        preprocessing: what the model was trained on; None where the file settles it.

    Raises:
        ForeignModelError: something is missing or does not fit; the message says which option
            to give.
    """
    try:
        content = model.read_bytes()
    except OSError:
        return model
    given = labels is not None or positive is not None or preprocessing is not None
    if content[4:8] != b"TFL3" or (not given and _is_ours(content)):
        return model
    try:
        if _is_ours(content):
            raise ForeignModelError(
                "says itself what it is; use it without --labels, --positive, --input-range and "
                "--preprocess"
            )
        description = describe(model, content, labels, positive, preprocessing)
    except ForeignModelError as error:
        raise ForeignModelError(f"{model}: {error}") from None
    archive = io.BytesIO(content)
    with zipfile.ZipFile(archive, "a") as members:
        members.writestr(zipfile.ZipInfo(MEMBER), json.dumps(asdict(description)))
    return _keep(archive.getvalue(), model.stem)


def describe(
    model: Path,
    content: bytes,
    labels: Sequence[str] | None,
    positive: str | None,
    preprocessing: Preprocessing | None,
) -> Description:
    """Puts together what a foreign file, the files beside it and the user say.

    Raises:
        ForeignModelError: something is missing or does not fit, without the model's name.
    """
    try:
        interpreter, _ = make_interpreter(content, threads=1)
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ForeignModelError(f"cannot be loaded, it may be damaged ({reason})") from None
    taken, made = _check_shapes(interpreter)
    metadata = None
    with contextlib.suppress(MetadataError, LookupError, ValueError):
        metadata = read_metadata(content)
    beside, from_teachable_machine = _labels_beside(model)
    classes = int(made["shape"][1])
    names = tuple(labels or (metadata and metadata.labels) or beside)
    expected = max(classes, 2)
    if len(names) != expected:
        have = f"has {len(names)} labels ({', '.join(names)})" if names else "does not name them"
        raise ForeignModelError(
            f"has {classes} output{'s'[: classes > 1]} and {have}; give {expected} labels in the "
            f"order of the outputs, as --labels {','.join('ABCDEFGH'[:expected])}, or put a "
            f"{LABEL_FILE} beside it"
        )
    found = preprocessing or _preprocessing_of(taken, metadata)
    if found is None and from_teachable_machine and labels is None:
        found = NAMED["tf"]
    if found is None:
        raise InputUnknownError(
            "does not say which values it takes for pixels. Were they divided by 255 in training: "
            "--input-range 0 1; by 127.5, less 1: --input-range -1 1; neither: --input-range 0 "
            "255; by preprocess_input of ResNet50 or VGG16: --preprocess caffe; with ImageNet's "
            "mean and deviation: --preprocess torch"
        )
    try:
        chosen = choose_positive(names, positive)
    except ValueError as error:
        raise ForeignModelError(str(error)) from None
    activation = _activation(interpreter, content, taken, made)
    return Description(model.stem, names, chosen, found.mean, found.std, found.channels, activation)


def _is_ours(content: bytes) -> bool:
    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)) as members:
        return bool({DECISION, MEMBER} & set(members.namelist()))
    return False


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


def _labels_beside(model: Path) -> tuple[tuple[str, ...], bool]:
    """The labels of a ``labels.txt`` beside the model, and whether Teachable Machine wrote it."""
    path = model.with_name(LABEL_FILE)
    try:
        return read_labels(path), is_numbered(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return (), False


def _preprocessing_of(taken: dict[str, Any], metadata: Metadata | None) -> Preprocessing | None:
    """What the file itself says: the quantization of an integer input, or its metadata."""
    scale, zero_point = taken["quantization"]
    if scale:
        # A pixel is the integer itself, less 128 where that is signed: no arithmetic, no rounding.
        mean = zero_point + (128.0 if np.dtype(taken["dtype"]) == np.int8 else 0.0)
        found = Preprocessing((mean,) * 3, (1 / scale,) * 3)
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


def _keep(content: bytes, stem: str) -> Path:
    """Writes a described copy where it stays: in the user's cache, else in a temporary folder."""
    name = f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}.tflite"
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = Path(base, "smoking-detector", name)
    try:
        if not (path.is_file() and path.read_bytes() == content):
            with whole_file(path) as partial:
                partial.write_bytes(content)
    except OSError:  # a home that cannot be written to, as a service may have
        path = Path(tempfile.mkdtemp(prefix="smoking-detector-"), name)
        path.write_bytes(content)
    return path
