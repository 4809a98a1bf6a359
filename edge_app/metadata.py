"""Reads TFLite metadata from a ``.tflite`` file, without any schema library.

The metadata is a flatbuffer inside the model's flatbuffer; label files are members of a ZIP
archive appended to the same file. The numbers of the fields below are their places in the
published schemas: ``schema.fbs`` of TensorFlow Lite (identifier TFL3) and ``metadata_schema.fbs``
(identifier M001), see https://ai.google.dev/edge/litert/conversion/tensorflow/metadata.
"""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass

import flatbuffers
from flatbuffers.table import Table

from edge_app.archive import read_member

METADATA_BUFFER = "TFLITE_METADATA"
TENSOR_AXIS_LABELS = 2
"""Value of AssociatedFileType that marks a label file."""

_SKIPPED = (6, 22, 114)  # DEQUANTIZE, RESHAPE, QUANTIZE
_LONGEST_LABEL = 200
_NORMALIZATION = 1  # ProcessUnitOptions.NormalizationOptions


class MetadataError(ValueError):
    """The file has no usable metadata; the message says what is missing."""


@dataclass(frozen=True)
class Metadata:
    """The metadata of a classifier.

    Attributes:
        name: the model's name.
        version: its version.
        description: what it is, for people.
        labels: one per score, in order.
        mean: subtracted from the pixels 0..255, one number or one per channel.
        std: the difference is divided by this, likewise.
    """

    name: str
    version: str
    description: str
    labels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def read_metadata(model: bytes) -> Metadata:
    """Reads the metadata of an image classifier.

    Args:
        model: the bytes of a ``.tflite`` file.

    Raises:
        MetadataError: it is no TFLite file, or carries no labels or normalization.
    """
    if model[4:8] != b"TFL3":
        raise MetadataError("is no TFLite model")
    buffers = _root(model).tables(4)
    for entry in _root(model).tables(6):
        if entry.string(0) == METADATA_BUFFER:
            return _parse(buffers[entry.uint32(1)].data(0), model)
    raise MetadataError("carries no TFLite metadata (labels, normalization)")


def _parse(metadata: bytes, model: bytes) -> Metadata:
    root = _root(metadata)
    graphs = root.tables(3)
    inputs = graphs[0].tables(2) if graphs else []
    outputs = graphs[0].tables(3) if graphs else []

    normalization = [
        unit.table(1)
        for tensor in inputs[:1]
        for unit in tensor.tables(4)
        if unit.uint8(0) == _NORMALIZATION
    ]
    if not normalization:
        raise MetadataError("has metadata without a normalization of its input")
    label_files = [
        file.string(0)
        for tensor in outputs[:1]
        for file in tensor.tables(6)
        if file.uint8(2) == TENSOR_AXIS_LABELS
    ]
    if not label_files:
        raise MetadataError("has metadata without labels for its output")
    with zipfile.ZipFile(io.BytesIO(model)) as members:
        labels = read_member(members, label_files[0]).decode().split("\n")

    mean, std = normalization[0].floats(0), normalization[0].floats(1)
    if {len(mean), len(std)} - {1, 3} or not all(map(math.isfinite, (*mean, *std))) or 0 in std:
        raise MetadataError("has metadata whose normalization makes no sense")
    if not all(label.strip().isprintable() and len(label) <= _LONGEST_LABEL for label in labels):
        raise MetadataError("has labels that are no words")
    return Metadata(
        name=root.string(0),
        description=root.string(1),
        version=root.string(2),
        labels=tuple(label.strip() for label in labels if label.strip()),
        mean=mean,
        std=std,
    )


def last_operator(model: bytes, output: int) -> int | None:
    """The kind of the operator that makes an output.

    Operators that change only the type or the shape of the values are skipped.

    Args:
        model: the bytes of a ``.tflite`` file.
        output: number of the output's tensor.

    Returns:
        ``BuiltinOperator`` of the TFLite schema; None where no operator makes it.
    """
    root = _root(model)
    codes = [max(code.int8(0), code.int32(3)) for code in root.tables(1)]
    makers = {
        number: operator for operator in root.tables(2)[0].tables(3) for number in operator.ints(2)
    }
    while output in makers:
        operator = makers[output]
        code = codes[operator.uint32(0)]
        if code not in _SKIPPED:
            return code
        output = operator.ints(1)[0]
    return None


class _Fields:
    """The fields of one flatbuffer table, by their place in the schema."""

    def __init__(self, buffer: bytes, position: int):
        self._table = Table(buffer, position)

    def _at(self, place: int) -> int:
        """Where the field lies, or 0 where it is not set."""
        offset = self._table.Offset(4 + 2 * place)
        return self._table.Pos + offset if offset else 0

    def string(self, place: int) -> str:
        at = self._at(place)
        return self._table.String(at).decode() if at else ""

    def uint8(self, place: int) -> int:
        at = self._at(place)
        return self._table.Bytes[at] if at else 0

    def int8(self, place: int) -> int:
        at = self._at(place)
        return int(self._table.Get(flatbuffers.number_types.Int8Flags, at)) if at else 0

    def int32(self, place: int) -> int:
        at = self._at(place)
        return int(self._table.Get(flatbuffers.number_types.Int32Flags, at)) if at else 0

    def ints(self, place: int) -> tuple[int, ...]:
        start, length = self._vector(place)
        flags = flatbuffers.number_types.Int32Flags
        return tuple(int(self._table.Get(flags, start + 4 * i)) for i in range(length))

    def uint32(self, place: int) -> int:
        at = self._at(place)
        return self._table.Get(flatbuffers.number_types.Uint32Flags, at) if at else 0

    def table(self, place: int) -> _Fields:
        return _Fields(self._table.Bytes, self._table.Indirect(self._at(place)))

    def tables(self, place: int) -> list[_Fields]:
        start, length = self._vector(place)
        return [
            _Fields(self._table.Bytes, self._table.Indirect(start + 4 * i)) for i in range(length)
        ]

    def floats(self, place: int) -> tuple[float, ...]:
        start, length = self._vector(place)
        flags = flatbuffers.number_types.Float32Flags
        return tuple(float(self._table.Get(flags, start + 4 * i)) for i in range(length))

    def data(self, place: int) -> bytes:
        start, length = self._vector(place)
        content: bytes = self._table.Bytes[start : start + length]
        return content

    def _vector(self, place: int) -> tuple[int, int]:
        """Where the field's elements begin, and how many there are; none where it is not set."""
        offset = self._table.Offset(4 + 2 * place)
        return (self._table.Vector(offset), self._table.VectorLen(offset)) if offset else (0, 0)


def _root(buffer: bytes) -> _Fields:
    return _Fields(buffer, int.from_bytes(buffer[:4], "little"))
