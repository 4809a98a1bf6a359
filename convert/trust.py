"""Finds code of its own in a model before anything of the model is built.

Keras runs what a `Lambda` layer or a custom object says; a graph of TensorFlow can read and write
files. A model from a stranger must do neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras

_KERAS_CLASSES = {
    *dir(keras.layers),
    *(
        "Functional",
        "Model",
        "Sequential",
        "TFOpLambda",
        "SlicingOpLambda",
        "SyncBatchNormalization",
    ),
    *("ClassMethod", "InstanceMethod", "InstanceProperty"),
}
_MODULES = ("keras", "tf_keras", "builtins")
_PURE = ("math.", "nn.", "__operators__.", "image.", "linalg.")
_PURE_NAMES = """
cast reshape concat stack unstack split transpose reverse squeeze expand_dims identity tile gather
clip_by_value pad zeros_like ones_like shape slice strided_slice broadcast_to convert_to_tensor
"""
_PURE_FUNCTIONS = frozenset(_PURE_NAMES.split())
_REACHING_OUT_NAMES = """
ReadFile WriteFile MatchingFiles PyFunc PyFuncStateless EagerPyFunc InitializeTableFromTextFile
InitializeTableFromTextFileV2 WholeFileReaderV2 TextLineReaderV2 TFRecordReaderV2 TextLineDataset
TFRecordDataset TFRecordDatasetV2 FixedLengthRecordDatasetV2 PrintV2 LoadDataset SaveDatasetV2
"""
_REACHING_OUT = frozenset(_REACHING_OUT_NAMES.split())


def own_code(config: object) -> Iterator[str]:
    """Names of the layers and functions in a model's description that do not come with Keras."""
    if isinstance(config, list):
        for part in config:
            yield from own_code(part)
    elif isinstance(config, dict):
        name, module = config.get("class_name"), config.get("module")
        inner = config.get("config")
        inner = inner if isinstance(inner, dict) else {}
        if name in ("Lambda", "__lambda__") or (
            name in ("TFOpLambda", "ClassMethod", "InstanceMethod")
            and not _is_pure(str(inner.get("function")))
        ):
            yield f"{name} {inner.get('name', '')}".strip()
            return
        # Files since Keras 2.13 name the module of everything, or null for what is not Keras's;
        # older ones name none.
        foreign = isinstance(module, str) and module.split(".")[0] not in _MODULES
        registered = "module" in config and module is None and config.get("registered_name")
        if name and (foreign or registered):
            yield f"{name} {inner.get('name', '')}".strip()
        for part in config.get("layers") or []:
            kind = part.get("class_name") if isinstance(part, dict) else None
            if kind and not module and kind not in _KERAS_CLASSES and "module" not in part:
                yield f"{kind} {(part.get('config') or {}).get('name', '')}".strip()
        for part in config.values():
            yield from own_code(part)


def operations_that_reach_out(saved_model: Path) -> list[str]:
    """Names of the operations in a SavedModel that use files or run Python.

    Raises:
        ValueError: it cannot be read.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((saved_model / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise ValueError(str(error)) from None
    kinds = set()
    for meta in saved.meta_graphs:
        kinds |= {node.op for node in meta.graph_def.node}
        for function in meta.graph_def.library.function:
            kinds |= {node.op for node in function.node_def}
    return sorted(kinds & _REACHING_OUT)


def _is_pure(function: str) -> bool:
    """Whether a function of TensorFlow, by its name in a layer of Keras 2, only computes."""
    name = function.removeprefix("tf.").removeprefix("compat.v1.")
    return name in _PURE_FUNCTIONS or name.startswith(_PURE)
