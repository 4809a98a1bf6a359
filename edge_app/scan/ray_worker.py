"""What runs in each actor of a scan on a Ray cluster."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ray

from edge_app import limits
from edge_app.classifier import Classifier, Prediction
from edge_app.decision import Decision
from edge_app.files import is_remote
from edge_app.imaging import PictureError
from edge_app.parallel import map_ahead
from edge_app.scan import isolation
from edge_app.scan.parquet import open_filesystem, write_part
from edge_app.scan.rows import FileState, Row
from edge_app.wording import first_line

MODEL = "model.tflite"
"""Name of the model in the folder that a worker starts in."""

_READERS = 8
"""Downloads at once in a worker, to hide the latency of an object store."""

_LARGEST_DOWNLOAD = 256_000_000  # bytes


class Worker:
    """Classifies batches; Ray makes one in each actor."""

    def __init__(self, decision: Decision, out: str, run: str, allowed: limits.Limits):
        limits.use(allowed)  # those of the command, which runs in another process
        classifier = Classifier(MODEL, decision=decision)
        self._info = classifier.info
        self._out, self._run = out, run
        self._classify = functools.partial(isolation.classify_source, classifier)
        # The picture that killed the previous process may come again.
        if isolation.AVAILABLE and ray.get_runtime_context().was_current_actor_reconstructed:
            isolated = isolation.IsolatedClassifiers(classifier.info, 1)
            self._classify = functools.partial(isolated.classify, 0)

    def __call__(self, batch: dict[str, Any]) -> dict[str, object]:
        """Classifies a batch; returns counts, or why it failed."""
        try:
            return self._scan(batch) | {"failure": ""}
        except Exception as error:
            names = ("done", "scanned", "smoking", "looked_again", "unreadable")
            counts = dict.fromkeys(names, 0)
            failure = f"{type(error).__name__}: {error}"
            return {"batch": int(batch["batch"]), **counts, "failure": failure}

    def _scan(self, batch: dict[str, Any]) -> dict[str, int]:
        info = self._info
        paths = [os.fsdecode(path) for path in batch["paths"]]
        rows = []
        for path, size, modified_ns, result in zip(
            paths,
            batch["sizes"],
            batch["modified_ns"],
            self._classify_all(paths, batch["errors"]),
            strict=True,
        ):
            if result is None:
                continue
            state = FileState(int(size), int(modified_ns))
            rows.append(Row.of(path, state, info, result))
        write_part(self._out, self._run, int(batch["batch"]), rows)
        return {
            "batch": int(batch["batch"]),
            "done": len(paths),
            "scanned": sum(row.error is None for row in rows),
            "smoking": sum(row.label == info.decision.label for row in rows),
            "looked_again": sum((row.looks or 0) > 1 for row in rows),
            "unreadable": sum(row.error is not None for row in rows),
        }

    def _classify_all(
        self, paths: Sequence[str], errors: Sequence[str]
    ) -> Iterator[Prediction | PictureError | None]:
        """The result for each path; None if the file no longer exists."""
        for source, error in zip(_sources(paths), errors, strict=True):
            if error:
                yield PictureError(error)
            elif isinstance(source, PictureError):
                yield source
            else:
                yield self._classify(source)


def _sources(paths: Sequence[str]) -> Iterator[str | bytes | PictureError]:
    """Yields what the classifier reads, in order: paths, and the bytes of downloaded objects."""
    with ThreadPoolExecutor(_READERS) as pool:
        yield from map_ahead(pool, _source, paths, _READERS)


def _source(path: str) -> str | bytes | PictureError:
    return _download(path) if is_remote(path) else path


def _download(address: str) -> bytes | PictureError:
    filesystem, name = open_filesystem(address)
    try:
        with filesystem.open_input_file(name) as file:
            if file.size() > _LARGEST_DOWNLOAD:
                return PictureError(f"is too large: {file.size()} bytes")
            content: bytes = file.read()
            return content
    except FileNotFoundError:
        return PictureError("there is no such file")
    except OSError as error:
        return PictureError(f"cannot be read ({first_line(error)})")
