"""Writes the folder of a Hugging Face Space: the page, the model, and what they need, pinned."""

from __future__ import annotations

import ast
import contextlib
import importlib.metadata
import os
import re
import shutil
import sys
from pathlib import Path

from packaging.requirements import Requirement

from edge_app.classifier import DEFAULT_MODEL, Classifier, ModelInfo
from edge_app.invocation import install_hint
from edge_app.shipped import shipped
from edge_app.wording import first_line

_ROOT = Path(__file__).parent.parent
_PACKAGES = ("ai-edge-litert", "numpy", "flatbuffers", "pillow", "pillow-heif", "click", "gradio")
"""What the page imports. OpenCV is not among it: the browser has the camera."""

_APP = '''"""Starts the page where Hugging Face Spaces, or the container's owner, expects it."""

import os

from edge_app import Classifier
from edge_app.web import serve
from edge_app.web.server import Reach

if __name__ == "__main__":
    in_a_space = "SPACE_ID" in os.environ
    host = os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0" if in_a_space else "127.0.0.1")
    port = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
    # A Space is reached through the proxy of Hugging Face alone.
    reach = Reach(host, port, proxies=["*" if in_a_space else "127.0.0.1"])
    serve(Classifier(), reach, ready=print)
'''

_UNFINISHED = ".unfinished"
"""Files are written into this folder inside of the Space's first, and appear when all are there."""

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
{more}tags:
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


def write_space(
    folder: Path,
    model: Path = DEFAULT_MODEL,
    space: str | None = None,
    hub_model: str | None = None,
) -> list[Path]:
    """Writes everything that the Space needs, and nothing else, into a new or empty folder.

    Args:
        folder: where to.
        model: the ``.tflite`` file that is served.
        space: ``user/name`` of the Space, where it is known; its card then has a thumbnail.
        hub_model: ``user/name`` of the model on the Hub, for the card to link to.

    Returns:
        The files, relative to the folder.

    Raises:
        SpaceError: the folder holds something already, or a package to be pinned is missing.
        OSError: it cannot be written, as on a full disk; nothing is left of it.
        edge_app.classifier.ModelError: the model cannot be used.
    """
    if folder.exists() and not _is_free(folder):
        raise SpaceError(f"{folder} holds something already; name a folder that is new or empty")
    info = Classifier(model).info
    versions = _versions()
    was_there = folder.exists()
    unfinished = folder / _UNFINISHED
    shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed
    try:
        unfinished.mkdir(parents=True)
        _fill(unfinished, info, versions, space, hub_model)
        for path in list(unfinished.iterdir()):
            target = folder / path.name
            if target.is_dir():  # of a run that was killed just here
                shutil.rmtree(target)
            path.replace(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not was_there:
            with contextlib.suppress(OSError):  # it is full, as it should be
                folder.rmdir()
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def _is_free(folder: Path) -> bool:
    """Whether it is empty, or holds nothing but what a run that was killed has left."""
    names = os.listdir(folder) if folder.is_dir() else ["a file"]
    return not names or _UNFINISHED in names


def _fill(
    folder: Path,
    info: ModelInfo,
    versions: dict[str, str],
    space: str | None,
    hub_model: str | None,
) -> None:
    model = info.path
    for file in page_files():
        target = folder / file.relative_to(_ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    shutil.copytree(shipped("samples"), folder / "samples")
    (folder / "models").mkdir()
    shutil.copy(model, folder / "models" / DEFAULT_MODEL.name)
    if model.resolve() == DEFAULT_MODEL.resolve():
        shutil.copytree(model.parent / "evaluation", folder / "models" / "evaluation")
        _copy_card(model.parent / "README.md", folder / "models" / "README.md")
    shutil.copy(shipped("LICENSE"), folder)
    pins = "".join(f"{name}=={version}\n" for name, version in versions.items())
    (folder / "requirements.txt").write_text(pins, encoding="utf-8")
    (folder / "app.py").write_text(_APP, encoding="utf-8")
    lfs = "".join(
        f"*.{end} filter=lfs diff=lfs merge=lfs -text\n" for end in ("tflite", "png", "jpg")
    )
    (folder / ".gitattributes").write_text(lfs, encoding="utf-8")
    more = f"models:\n  - {hub_model}\n" if hub_model else ""
    thumbnail = _ROOT / "docs" / "web_picture.png"
    if space and thumbnail.exists():
        shutil.copy(thumbnail, folder / "thumbnail.png")
        address = f"https://huggingface.co/spaces/{space}/resolve/main/thumbnail.png"
        more += f"thumbnail: {address}\n"
    readme = _README.format(
        more=more,
        gradio=versions["gradio"],
        python=f"{sys.version_info.major}.{sys.version_info.minor}",  # that the pins were made for
        name=info.metadata.name,
        version=info.metadata.version,
        megabytes=info.path.stat().st_size / 1e6,
    )
    if not (folder / "models" / "README.md").exists():
        readme = re.sub(r"What it gets wrong.*\n", "", readme)
    (folder / "README.md").write_text(readme, encoding="utf-8")


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
        reason = first_line(error)
        raise SpaceError(
            f"{space} cannot be pushed: {reason}. Are the network and the token all right? "
            f"The folder is written: {folder}"
        ) from None
    return f"https://huggingface.co/spaces/{space}"


def page_files() -> list[Path]:
    """The files of ``edge_app`` that the page needs: what its modules import, and its own data."""
    found: set[Path] = set()
    waiting = ["edge_app", "edge_app.web", "edge_app.web.server"]
    while waiting:
        path = _module_file(waiting.pop())
        if path is None or path in found:
            continue
        found.add(path)
        waiting += _imports(path)
    data = [path for path in (_ROOT / "edge_app" / "web").iterdir() if path.suffix in _DATA]
    return sorted(found | set(data))


_DATA = (".js", ".css", ".svg", ".html")


def _module_file(name: str) -> Path | None:
    """The file of a module of this package, else None.

    Of a package inside ``edge_app`` only the named modules are taken, and not its ``__init__``,
    which imports the rest: without it Python takes the folder for a namespace package.
    """
    path = _ROOT.joinpath(*name.split("."))
    if path.is_dir():
        return path / "__init__.py" if name in ("edge_app", "edge_app.web") else None
    file = path.with_suffix(".py")
    return file if name.startswith("edge_app.") and file.exists() else None


def _imports(path: Path) -> list[str]:
    """The modules that a file imports anywhere, those for type checkers too."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def _copy_card(card: Path, target: Path) -> None:
    """Copies the model card; a link to what is not in the Space becomes its text."""

    def kept(link: re.Match[str]) -> str:
        file = link[2].partition("#")[0]
        is_there = not file or "://" in file or (target.parent / file).exists()
        return link[0] if is_there else link[1]

    text = card.read_text(encoding="utf-8")
    target.write_text(re.sub(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)", kept, text), encoding="utf-8")


def _versions() -> dict[str, str]:
    """Names and versions of everything to install, with what that needs in turn."""
    versions: dict[str, str] = {}
    waiting = [Requirement(name) for name in _PACKAGES]
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted = waiting.pop()
        extras = wanted.extras or {""}
        try:
            found = importlib.metadata.distribution(wanted.name)
        except importlib.metadata.PackageNotFoundError as error:
            raise SpaceError(
                f"{error.name} is not installed, so its version cannot be pinned; "
                f"install it with: {install_hint('web')}"
            ) from None
        versions[found.metadata["Name"].lower().replace("_", "-")] = found.version
        for extra in extras:
            if (wanted.name, extra) in seen:
                continue
            seen.add((wanted.name, extra))
            for line in found.requires or []:
                needed = Requirement(line)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    waiting.append(needed)
    return dict(sorted(versions.items()))
