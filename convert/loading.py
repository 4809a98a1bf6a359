"""Loads other people's Keras models, and says in one line why it does not."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras

_KERAS_CLASSES = {*dir(keras.layers), "Functional", "Model", "Sequential"}


class ConversionError(ValueError):
    """A model that cannot be converted; the message names what was expected and what was found."""


class QuantizationError(ConversionError):
    """TensorFlow's converter gave up; its own messages say more."""


def load_classifier(path: Path) -> keras.Model:
    """Loads a Keras model and makes sure that it is an image classifier of two classes.

    Nothing of the file is run: a model with code of its own is refused.

    Args:
        path: a ``.keras`` or a legacy ``.h5`` file.

    Raises:
        ConversionError: it is missing, no Keras model, would run code of its own, or is something
            else than an image classifier of two classes.
    """
    if not path.is_file():
        raise ConversionError(f"{path}: there is no such file")
    config = _read_config(path)
    own = sorted(set(_own_code(config)))
    if own:
        raise ConversionError(
            f"{path}: would run code of its own ({', '.join(own)}), which is refused; "
            "build the model of layers that come with Keras, such as Rescaling in place of a Lambda"
        )
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its readers and layers raise.
        raise ConversionError(f"{path}: cannot be loaded ({_first_line(error)})") from error
    _check_kind(path, model)
    return model


def last_dense(model: keras.Model) -> keras.layers.Dense | None:
    """The dense layer at the end, whose activation may be a layer of its own."""
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    if not layers:
        return None
    *before, last = layers
    if isinstance(last, keras.layers.Activation | keras.layers.Softmax) and before:
        last = before[-1]
        if getattr(getattr(last, "activation", None), "__name__", "") != "linear":
            return None
    return last if isinstance(last, keras.layers.Dense) and last.use_bias else None


def _read_config(path: Path) -> dict:
    """The description of the model, without building anything."""
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as members:
                return json.loads(members.read("config.json"))
        with h5py.File(path) as file:
            return json.loads(file.attrs["model_config"])
    except zipfile.BadZipFile:
        reason = "is no .keras file (a ZIP archive); it may be truncated"
    except KeyError:
        reason = "holds no Keras model, or its weights alone; save it with model.save()"
    except (OSError, ValueError) as error:
        reason = f"is no .keras or .h5 file, or is damaged ({_first_line(error)})"
    raise ConversionError(f"{path}: {reason}")


def _own_code(config: object) -> Iterator[str]:
    """Names of the layers and functions in a description that do not come with Keras."""
    if isinstance(config, list):
        for part in config:
            yield from _own_code(part)
    elif isinstance(config, dict):
        name, module = config.get("class_name"), config.get("module")
        if name in ("Lambda", "TFOpLambda", "SlicingOpLambda", "__lambda__"):
            yield f"{name} {(config.get('config') or {}).get('name', '')}".strip()
            return
        # Files of Keras 3 name the module of everything, or null for what is not Keras's; older
        # ones name none.
        foreign = isinstance(module, str) and not module.startswith(("keras", "builtins"))
        registered = "module" in config and module is None and config.get("registered_name")
        if name and (foreign or registered):
            yield str(name)
        for part in config.get("layers") or []:
            kind = part.get("class_name") if isinstance(part, dict) else None
            if kind and not module and kind not in _KERAS_CLASSES and "module" not in part:
                yield str(kind)
        for part in config.values():
            yield from _own_code(part)


def _check_kind(path: Path, model: keras.Model) -> None:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ConversionError(
            f"{path}: expected one input and one output, "
            f"found {len(model.inputs)} and {len(model.outputs)}"
        )
    shape = model.inputs[0].shape
    if len(shape) != 4 or shape[1] is None or shape[1] != shape[2] or shape[3] != 3:
        raise ConversionError(f"{path}: expected an input [size, size, 3], found {shape[1:]}")
    last = model.layers[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "none")
    if isinstance(last, keras.layers.Softmax):
        activation = "softmax"
    classes = model.outputs[0].shape[1:]
    if (classes, activation) not in (((1,), "sigmoid"), ((2,), "softmax")):
        raise ConversionError(
            f"{path}: expected one sigmoid output or two softmax outputs, "
            f"found an output {tuple(classes)} with activation {activation}"
        )
    if last_dense(model) is None:
        raise ConversionError(
            f"{path}: expected a dense layer with a bias at the end, found "
            f"{type(last).__name__} {last.name}"
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
