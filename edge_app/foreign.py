"""``.tflite`` files that do not say what they are: other people's, such as Teachable Machine's.

What is missing (labels, which one is looked for, preprocessing) comes from the user. A copy of the
file that carries it, as a ZIP member ``description.json``, is then used like any other model, so
that threads, processes and clusters need only its path, and results know it by its checksum.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from edge_app.decision import MEMBER as DECISION
from edge_app.description import MEMBER
from edge_app.files import whole_file
from edge_app.inspection import ForeignModelError, describe
from edge_app.preprocessing import Preprocessing
from edge_app.temporary import TemporaryFolder
from edge_app.trial import TrialError, read_model


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
        content = read_model(model)
    except (OSError, TrialError):  # no ordinary file, or ours and damaged
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


def _is_ours(content: bytes) -> bool:
    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)) as members:
        return bool({DECISION, MEMBER} & set(members.namelist()))
    return False


def _keep(content: bytes, stem: str) -> Path:
    """Writes a described copy into the user's cache, else into a temporary folder."""
    name = f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}.tflite"
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = Path(base, "smoking-detector", name)
    try:
        if not (path.is_file() and path.read_bytes() == content):
            with whole_file(path) as partial:
                partial.write_bytes(content)
    except OSError:  # a home that cannot be written to, as a service may have
        folder = TemporaryFolder("smoking-detector-")
        atexit.register(folder.remove)
        path = folder.path / name
        path.write_bytes(content)
    return path
