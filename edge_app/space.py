"""Writes the folder of a Hugging Face Space: the page, the model, and what they need, pinned."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import sys
from pathlib import Path

from edge_app.classifier import DEFAULT_MODEL, Classifier

_ROOT = Path(__file__).parent.parent
_PACKAGES = ("ai-edge-litert", "numpy", "flatbuffers", "pillow", "pillow-heif", "click", "gradio")
"""What the page imports. OpenCV is not among it: the browser has the camera."""

_APP = '''"""Starts the page where Hugging Face Spaces, or the container's owner, expects it."""

import os

from edge_app import Classifier
from edge_app.web import serve

if __name__ == "__main__":
    host = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
    serve(Classifier(), host, int(os.environ.get("GRADIO_SERVER_PORT", "7860")))
'''

_README = """---
title: Smoking gesture detector
emoji: 🚭
colorFrom: green
colorTo: yellow
sdk: gradio
sdk_version: {gradio}
python_version: "{python}"
suggested_hardware: cpu-basic
pinned: false
app_file: app.py
license: apache-2.0
short_description: Is the person in this picture smoking?
tags:
  - image-classification
  - tflite
  - litert
  - edge
---

# Smoking gesture detector

Is the person in this picture smoking? {name} {version}, a model of {megabytes:.1f} MB, answers in
the browser, with no TensorFlow and no other server.
What it gets wrong, and how often: [model card](models/README.md).

    pip install -r requirements.txt
    python app.py
"""


class SpaceError(ValueError):
    """The folder cannot be written or pushed. The message says why and what to do."""


def write_space(folder: Path, model: Path = DEFAULT_MODEL) -> list[Path]:
    """Writes everything that the Space needs into a folder that is new or empty.

    Args:
        folder: where to.
        model: the ``.tflite`` file that is served.

    Returns:
        The files, relative to the folder.

    Raises:
        SpaceError: the folder holds something already, or a package to be pinned is missing.
        edge_app.classifier.ModelError: the model cannot be used.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SpaceError(f"{folder} holds something already; name a folder that is new or empty")
    info = Classifier(model).info
    versions = _versions()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(
        _ROOT / "edge_app", folder / "edge_app", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(_ROOT / "samples", folder / "samples")
    (folder / "models").mkdir()
    shutil.copy(model, folder / "models" / DEFAULT_MODEL.name)
    if model.resolve() == DEFAULT_MODEL.resolve():
        shutil.copy(model.parent / "README.md", folder / "models")
        shutil.copytree(model.parent / "evaluation", folder / "models" / "evaluation")
    shutil.copy(_ROOT / "LICENSE", folder)
    pins = "".join(f"{name}=={version}\n" for name, version in versions.items())
    (folder / "requirements.txt").write_text(pins, encoding="utf-8")
    (folder / "app.py").write_text(_APP, encoding="utf-8")
    lfs = "".join(
        f"*.{end} filter=lfs diff=lfs merge=lfs -text\n" for end in ("tflite", "png", "jpg")
    )
    (folder / ".gitattributes").write_text(lfs, encoding="utf-8")
    readme = _README.format(
        gradio=versions["gradio"],
        python=f"{sys.version_info.major}.{sys.version_info.minor}",  # that the pins were made for
        name=info.metadata.name,
        version=info.metadata.version,
        megabytes=info.path.stat().st_size / 1e6,
    )
    if not (folder / "models" / "README.md").exists():
        readme = re.sub(r"What it gets wrong.*\n", "", readme)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def push_space(folder: Path, space: str) -> str:
    """Creates the Space if it does not exist, and uploads the folder to it.

    Args:
        folder: as `write_space` wrote it.
        space: ``user/name``.

    Returns:
        The address of the Space.

    Raises:
        SpaceError: there is no token or no network, or the server refuses.
    """
    try:
        import huggingface_hub
    except ImportError:
        raise SpaceError("--push needs: pip install huggingface_hub") from None
    if huggingface_hub.get_token() is None:
        raise SpaceError("--push needs a token that may write: set HF_TOKEN, or run: hf auth login")
    api = huggingface_hub.HfApi()
    try:
        api.create_repo(space, repo_type="space", space_sdk="gradio", exist_ok=True)
        api.upload_folder(folder_path=folder, repo_id=space, repo_type="space")
    except Exception as error:  # of the library, of HTTP, or of the system
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise SpaceError(
            f"{space} cannot be pushed: {reason}. Are the network and the token all right? "
            f"The folder is written: {folder}"
        ) from None
    return f"https://huggingface.co/spaces/{space}"


def _versions() -> dict[str, str]:
    try:
        return {name: importlib.metadata.version(name) for name in _PACKAGES}
    except importlib.metadata.PackageNotFoundError as error:
        raise SpaceError(
            f"{error.name} is not installed, so its version cannot be pinned; "
            "install it with: pip install -r requirements-edge.txt -r requirements-web.txt"
        ) from None
