"""Loads other people's models, and says in one line why it does not."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras

from convert.claims import problem_of_size
from convert.containers import Found, opened
from convert.errors import ConversionError, QuantizationError
from convert.saved_model import load_saved_model
from convert.source import Source, classes_of, only_value, size_of
from convert.trust import own_code
from convert.versions import leave_out_unknown
from edge_app.archive import DAMAGED, read_member
from edge_app.temporary import temporary_folder
from edge_app.wording import first_line

__all__ = ["ConversionError", "QuantizationError", "Source", "load", "load_classifier"]

_HALF = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")
_LARGEST_CONFIG = 100_000_000  # bytes


def load(path: Path) -> Source:
    """Loads an image classifier of Keras 2, Keras 3, or a SavedModel.

    Nothing of the file is run: a model with code of its own is refused.

    Args:
        path: a ``.keras``, ``.h5`` or ``.hdf5`` file, the folder of a SavedModel, or a folder or
            ZIP archive as Teachable Machine exports it.

    Raises:
        ConversionError: it is missing, no such model, would run code of its own, or is something
            else than an image classifier.
    """
    with opened(path) as found:
        return load_found(found)


def load_classifier(path: Path) -> keras.Model:
    """The Keras 3 model in a file; as `load`."""
    source = load(path)
    if source.model is None:
        raise ConversionError(f"{path}: expected a model of Keras 3, found one of {source.kind}")
    return source.model


def load_found(found: Found) -> Source:
    """Loads a model that `convert.containers.opened` found; errors as in `load`."""
    if found.kind == "tflite":
        raise ConversionError(f"{found.given}: expected a model of Keras, found a .tflite file")
    if found.kind == "saved_model":
        return load_saved_model(found)
    config, version = _read_config(found)
    try:
        own = sorted(set(own_code(config)))
        size = problem_of_size(found, config)
    except (ValueError, TypeError, AttributeError, KeyError, *DAMAGED) as error:
        raise ConversionError(f"{found.given}: is damaged ({first_line(error)})") from None
    if size:
        raise ConversionError(f"{found.given}: {size}")
    if own:
        raise ConversionError(
            f"{found.given}: would run code of its own ({', '.join(own)}), which is refused; "
            "build the model of layers that come with Keras, such as Rescaling instead of a "
            "Lambda, and load the weights into it"
        )
    half = _to_float32(config)
    # Keras 2 reads what Keras 2 wrote; where no version is named, the newer one is tried first.
    order = ["Keras 2"] if version.startswith(("1.", "2.")) else ["Keras 3"]
    if not version:
        order.append("Keras 2")
    reasons = []
    for kind in order:
        try:
            model, unknown = _load_keras(kind, found, config, half)
        except ImportError as error:
            reason = f"was saved by Keras 2; to load it: pip install tf_keras ({error})"
            raise ConversionError(f"{found.given}: {reason}") from None
        except Exception as error:  # Keras raises whatever its readers and layers raise.
            reasons.append(f"{kind}: {first_line(error)}")
            continue
        findings = [f"saved by a newer Keras, without: {', '.join(unknown)}"] if unknown else []
        return _from_keras(found, kind, model, half, findings)
    raise ConversionError(
        f"{found.given}: cannot be loaded ({'; '.join(reasons)}){_version_hint(version)}"
    )


def _load_keras(kind: str, found: Found, config: dict, changed: bool) -> tuple[Any, list[str]]:
    """The model, and the arguments of a newer Keras that were left out."""
    if kind == "Keras 3":
        load_model = keras.models.load_model
    else:
        import tf_keras

        load_model = tf_keras.models.load_model
    left_out: list[str] = []
    while True:
        with _readable(found, config if changed or left_out else None) as file:
            try:
                return load_model(file, compile=False, safe_mode=True), left_out
            except Exception as error:  # Keras raises whatever its readers and layers raise.
                if not (unknown := leave_out_unknown(config, error)):
                    raise
                left_out += unknown


def _version_hint(version: str) -> str:
    """What to do where a newer Keras wrote the file than the installed one."""
    numbers, own = (re.findall(r"\d+", text)[:2] for text in (version, keras.__version__))
    if [int(n) for n in numbers] <= [int(n) for n in own]:
        return ""
    return f"; Keras {version} wrote it and this is {keras.__version__}: pip install -U keras"


def _read_config(found: Found) -> tuple[dict, str]:
    """The description of the model and the version of Keras, without building anything."""
    try:
        if found.kind == "keras":
            with zipfile.ZipFile(found.file) as members:
                config = json.loads(read_member(members, "config.json", _LARGEST_CONFIG))
                named = "metadata.json" in members.namelist()
                described = json.loads(read_member(members, "metadata.json")) if named else {}
                return config, str(described.get("keras_version", ""))
        with h5py.File(found.file) as file:
            version = file.attrs.get("keras_version", "")
            text = version.decode() if isinstance(version, bytes) else str(version)
            return json.loads(file.attrs["model_config"]), text
    except KeyError:
        reason = (
            "holds weights alone, without the model; save it with model.save(), not "
            "model.save_weights()"
        )
    except (ValueError, AttributeError, *DAMAGED) as error:
        reason = f"is damaged or truncated ({first_line(error)})"
    raise ConversionError(f"{found.given}: {reason}")


def _to_float32(config: object) -> bool:
    """Makes a description with half precision one of float32; says whether it was one."""
    changed = False
    if isinstance(config, list):
        for part in config:
            changed |= _to_float32(part)
    elif isinstance(config, dict):
        if config.get("dtype") in _HALF:
            config["dtype"], changed = "float32", True
        inner = config.get("config")
        policy = str(config.get("class_name", "")).endswith("Policy") and isinstance(inner, dict)
        if policy and inner.get("name") in _HALF:
            inner["name"], changed = "float32", True
        for part in config.values():
            changed |= _to_float32(part)
    return changed


@contextlib.contextmanager
def _readable(found: Found, config: dict | None) -> Iterator[Path]:
    """The file under an ending that Keras takes it by, with another description if one is given."""
    endings = (".keras",) if found.kind == "keras" else (".h5", ".hdf5")
    if config is None and found.file.suffix in endings:
        yield found.file
        return
    with temporary_folder("convert-") as folder:
        copy = folder / (found.file.stem + endings[0])
        if config is None or found.kind == "hdf5":
            shutil.copyfile(found.file, copy)
        if config is not None and found.kind == "hdf5":
            with h5py.File(copy, "r+") as file:
                file.attrs["model_config"] = json.dumps(config)
        elif config is not None:
            _copy_with(found, config, copy)
        yield copy


def _copy_with(found: Found, config: dict, copy: Path) -> None:
    try:
        with zipfile.ZipFile(found.file) as old, zipfile.ZipFile(copy, "w") as new:
            for name in old.namelist():
                changed = name == "config.json"
                new.writestr(name, json.dumps(config) if changed else old.read(name))
    except DAMAGED as error:
        raise ConversionError(f"{found.given}: is damaged ({first_line(error)})") from None


def _from_keras(found: Found, kind: str, model: Any, half: bool, findings: list[str]) -> Source:
    if kind == "Keras 2":
        findings.append("saved by Keras 2, loaded with tf_keras")
    if half:
        findings.append("mixed precision: computed in float32 throughout")
    try:
        inputs, outputs = list(model.inputs), list(model.outputs)
    except (AttributeError, TypeError, ValueError):
        raise ConversionError(
            f"{found.given}: does not say the size of its input; call it on one picture before "
            "model.save(), or begin with keras.Input((224, 224, 3))"
        ) from None
    if len(inputs) != 1 or len(outputs) != 1:
        raise ConversionError(
            f"{found.given}: expected one input and one output, "
            f"found {len(inputs)} and {len(outputs)}"
        )
    size = size_of(found, inputs[0].shape)
    classes = classes_of(found, outputs[0].shape)
    return Source(
        path=found.given,
        kind=kind,
        name=model.name,
        size=size,
        outputs=classes,
        call=lambda values: only_value(model(values, training=False)),
        model=model if kind == "Keras 3" else None,
        labels=found.labels,
        from_teachable_machine=found.from_teachable_machine,
        findings=tuple(findings),
    )
