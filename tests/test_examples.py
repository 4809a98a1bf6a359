"""The examples in docstrings say what is true."""

import doctest
import importlib

import pytest
from conftest import ROOT

FILES = [path for name in ("edge_app", "convert", "train") for path in (ROOT / name).rglob("*.py")]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(FILES)
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    if name == "edge_app":
        pytest.importorskip("cv2", reason="needs OpenCV, of requirements-opencv.txt")
    try:
        module = importlib.import_module(name)
        examples = doctest.testmod(module)
    except ModuleNotFoundError as error:
        pytest.skip(f"needs {error.name}")
    assert examples.attempted
    assert not examples.failed


def test_there_are_examples():
    assert len(MODULES) > 30
