"""Which model a path holds: a file, a SavedModel folder, or an export of Teachable Machine."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from convert.errors import ConversionError
from edge_app.archive import DAMAGED
from edge_app.labels import labels_beside
from edge_app.temporary import temporary_folder

_HDF5, _ZIP, _TFLITE = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"TFL3"
LARGEST = 4_000_000_000
"""Bytes of an archive's members, unpacked."""
_MOST_MEMBERS = 10_000
_TFJS = "is a TensorFlow.js model; export it from Teachable Machine as Tensorflow > Keras instead"
_PYTORCH = (
    "is a PyTorch model, which is not converted; write a .tflite of it with litert-torch, with "
    "channels last, and convert that"
)
_OTHERS = {
    ".onnx": "is an ONNX model, which is not converted; onnx2tf writes a SavedModel of it",
    ".pt": _PYTORCH,
    ".pth": _PYTORCH,
    ".pb": "is a part of a SavedModel, or a frozen graph; give the folder of a SavedModel",
    ".json": _TFJS,
    ".pkl": "is a pickle, which would run code of its own; save the model with model.save()",
}


@dataclass(frozen=True)
class Found:
    """A model on the disk.

    Attributes:
        given: the path that the user gave, for messages.
        file: the file, or the folder of a SavedModel.
        kind: ``keras`` (a ZIP archive), ``hdf5``, ``saved_model`` or ``tflite``.
        labels: from a ``labels.txt`` beside it; none without one.
        from_teachable_machine: whether Teachable Machine exported both.
    """

    given: Path
    file: Path
    kind: str
    labels: tuple[str, ...] = ()
    from_teachable_machine: bool = False


@contextlib.contextmanager
def opened(path: Path, *, labels_needed: bool = True) -> Iterator[Found]:
    """Finds the model in a file, a folder or a ZIP archive, which is unpacked for the time.

    Args:
        path: of the model.
        labels_needed: whether a ``labels.txt`` beside it that cannot be read is an error.

    Raises:
        ConversionError: there is none, or it is of a kind that is not converted.
    """
    if not path.exists():
        raise ConversionError(f"{path}: there is no such file")
    with contextlib.ExitStack() as stack:
        where = path
        if path.is_file() and _is_zip(path) and not _has(path, "config.json"):
            where = stack.enter_context(temporary_folder("convert-"))
            _unpack(path, where)
        file, kind = _find(path, where)
        try:
            labels, teachable = labels_beside(file)
        except ValueError as error:
            if labels_needed:
                raise ConversionError(str(error)) from None
            labels, teachable = (), False
        yield Found(path, file, kind, labels, teachable)


def _find(given: Path, where: Path) -> tuple[Path, str]:
    if where.is_file():
        return where, _kind_of(given, where)
    if (where / "saved_model.pb").is_file():
        return where, "saved_model"
    inside = sorted(path for path in where.rglob("*") if path.is_file())
    for ending in (".keras", ".h5", ".hdf5", "saved_model.pb", ".tflite"):
        matches = [path for path in inside if path.name.endswith(ending)]
        if len(matches) > 1:
            names = ", ".join(path.relative_to(where).as_posix() for path in matches[:3])
            raise ConversionError(f"{given}: holds several models ({names}); give one of them")
        if matches and ending == "saved_model.pb":
            return matches[0].parent, "saved_model"
        if matches:
            return matches[0], _kind_of(given, matches[0])
    if any(path.name == "model.json" for path in inside):
        raise ConversionError(f"{given}: {_TFJS}")
    if any(path.name == "data.pkl" for path in inside):
        raise ConversionError(f"{given}: {_PYTORCH}")
    raise ConversionError(
        f"{given}: holds no model; expected a .keras, .h5 or .tflite file, or a saved_model.pb"
    )


def _kind_of(given: Path, file: Path) -> str:
    """By the content: files of one kind go by the ending of another."""
    with open(file, "rb") as opened_file:
        head = opened_file.read(8)
    if head == _HDF5:
        return "hdf5"
    if head[4:8] == _TFLITE:
        return "tflite"
    if head.startswith(_ZIP):
        if _is_zip(file):
            return "keras"
        raise ConversionError(f"{given}: is a ZIP archive that is damaged or truncated")
    reason = _OTHERS.get(file.suffix.lower())
    if reason is None:
        reason = "is empty" if not head else "is no .keras, .h5 or .tflite file, nor a SavedModel"
    raise ConversionError(f"{given}: {reason}")


def _is_zip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == _ZIP and zipfile.is_zipfile(path)


def _has(archive: Path, name: str) -> bool:
    with zipfile.ZipFile(archive) as members:
        return name in members.namelist()


def _unpack(archive: Path, folder: Path) -> None:
    """Unpacks an archive of ordinary size whose members stay inside the folder."""
    try:
        with zipfile.ZipFile(archive) as members:
            entries = members.infolist()
            if len(entries) > _MOST_MEMBERS or sum(e.file_size for e in entries) > LARGEST:
                raise ConversionError(f"{archive}: holds more than a model does; unpack it first")
            for entry in entries:
                name = PurePosixPath(entry.filename)
                if name.is_absolute() or ".." in name.parts or "\\" in entry.filename:
                    raise ConversionError(f"{archive}: holds a file outside it ({name})")
                members.extract(entry, folder)
    except DAMAGED as error:
        raise ConversionError(f"{archive}: cannot be unpacked ({error})") from None
