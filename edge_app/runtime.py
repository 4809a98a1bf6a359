"""Finds an interpreter for TFLite files: LiteRT, or its predecessor on 32-bit ARM."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_RUNTIMES = (
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
)


_stderr_lock = threading.RLock()  # the file descriptor belongs to the whole process
if hasattr(os, "register_at_fork"):  # a process that is forked off meanwhile would wait forever
    os.register_at_fork(
        before=_stderr_lock.acquire,
        after_in_parent=_stderr_lock.release,
        after_in_child=_stderr_lock.release,
    )


class RuntimeMissingError(RuntimeError):
    """No interpreter is installed; the message says what to install."""


def make_interpreter(model: bytes, threads: int) -> tuple[Any, str]:
    """Loads a model.

    Args:
        model: the bytes of a ``.tflite`` file.
        threads: number of threads per inference.

    Returns:
        The interpreter with its tensors allocated, and the runtime's name and version.

    Raises:
        RuntimeMissingError: neither ai-edge-litert nor tflite-runtime is installed.
        ValueError: the runtime cannot load the model.
    """
    reasons = []
    for package, module in _RUNTIMES:
        try:
            interpreter_class = importlib.import_module(module).Interpreter
        except ImportError as error:
            reasons.append(f"{package}: {error}")
            continue
        with native_messages_to(os.devnull):  # "Created TensorFlow Lite XNNPACK delegate"
            interpreter = interpreter_class(model_content=model, num_threads=threads)
            interpreter.allocate_tensors()
        return interpreter, f"{package} {_version(package)}"
    raise RuntimeMissingError(
        "no TFLite runtime can be loaded; install one with: pip install ai-edge-litert "
        f"({'; '.join(reasons)})"
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(version unknown)"  # bundled into one file without its metadata, for example


@contextlib.contextmanager
def native_messages_to(path: str | Path) -> Iterator[None]:
    """Appends what native code writes to stderr to a file while the block runs.

    TensorFlow and LiteRT write messages there that no setting turns off. Exceptions are not
    messages: they come through.
    """
    with _stderr_lock:
        sys.stderr.flush()
        saved = os.dup(2)
        with open(path, "ab") as file:
            os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
