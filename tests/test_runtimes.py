"""The edge app in environments of its own: without TensorFlow, and on the older runtime."""

import importlib.metadata
import json
import subprocess
import sys

import numpy as np
import PIL
import pytest
from conftest import ROOT, SHIPPED_INT8

from edge_app import Classifier
from edge_app.imaging import find_pictures, read_pixels

EDGE = ["numpy", "pillow", "click", "tqdm", "flatbuffers"]
ONE_STEP = 1 / 256
"""How far scores may lie apart. Written by `convert.rounding`, all runtimes round alike: what is
left, a millionth, comes of the order in which floats are added up behind the integers."""


def classify_samples(python) -> dict[str, float]:
    """P(Smoking) of the samples, by the command in another environment."""
    result = subprocess.run(
        [python, "-m", "edge_app", "classify", ROOT / "samples", "--format", "jsonl"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert records
    return {record["path"]: record["smoking"] for record in records}


def test_it_works_without_tensorflow_opencv_and_gradio(make_environment, tmp_path):
    python = make_environment("ai-edge-litert", *EDGE)
    present = subprocess.run(
        [python, "-m", "pip", "list", "--format", "freeze"], capture_output=True, text=True
    ).stdout.lower()
    assert not any(name in present for name in ("tensorflow", "keras", "opencv", "gradio"))

    assert classify_samples(python) == classify_samples(sys.executable)
    for arguments, code, message in (
        (["info"], 0, "ai-edge-litert"),
        (["scan", "samples", "--db", str(tmp_path / "out.db")], 0, "pictures scanned"),
        (["live"], 2, "smoking-gesture-detector[live]"),
        (["web"], 2, "smoking-gesture-detector[web]"),
    ):
        result = subprocess.run(
            [python, "-m", "edge_app", *arguments], cwd=ROOT, capture_output=True, text=True
        )
        assert result.returncode == code, result.stderr
        assert message in result.stdout + result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime ends at Python 3.11")
def test_the_older_runtime_gives_the_same_answer(make_environment):
    python = make_environment("tflite-runtime", "numpy<2", f"pillow=={PIL.__version__}", *EDGE[2:])
    older, newer = classify_samples(python), classify_samples(sys.executable)
    assert older.keys() == newer.keys()
    for path, score in newer.items():
        assert older[path] == pytest.approx(score, abs=ONE_STEP), path


@pytest.mark.parametrize(
    ("kernels", "turns"),
    [("AUTO", 4), ("BUILTIN_WITHOUT_DEFAULT_DELEGATES", 4), ("BUILTIN_REF", 1)],
)
def test_tensorflows_interpreter_gives_the_same_answer(kernels, turns, samples, classifier):
    lite = pytest.importorskip("tensorflow", reason="needs TensorFlow").lite
    interpreter = lite.Interpreter(
        model_path=str(SHIPPED_INT8),
        experimental_op_resolver_type=getattr(lite.experimental.OpResolverType, kernels),
    )
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]
    (scores,) = (made for made in interpreter.get_output_details() if len(made["shape"]) == 2)
    for path in find_pictures(samples):
        for turn in range(turns):
            pixels = np.rot90(read_pixels(path, classifier.info.size), turn).copy()
            interpreter.set_tensor(given["index"], pixels[None])
            interpreter.invoke()
            smoking = interpreter.get_tensor(scores["index"])[0, 1]
            prediction = classifier.classify_pixels(pixels)
            assert smoking == pytest.approx(prediction.smoking, abs=ONE_STEP), (path, turn)


def test_nothing_in_the_edge_app_imports_what_it_must_not():
    code = (
        "import sys, edge_app, edge_app.cli, edge_app.scan, edge_app.live\n"
        "heavy = {'tensorflow', 'keras', 'cv2', 'gradio', 'train', 'convert'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_a_runtime_without_metadata_still_runs(monkeypatch):
    """As in a bundle, or where its folder may not be read."""

    def missing(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert Classifier().info.runtime.endswith("(version unknown)")
