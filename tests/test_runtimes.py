"""The edge app in environments of its own: without TensorFlow, and on the older runtime."""

import json
import subprocess
import sys

import PIL
import pytest
from conftest import ROOT

EDGE = ["numpy", "pillow", "click", "tqdm", "flatbuffers"]


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
        (["live"], 2, "pip install opencv-python"),
        (["web"], 2, "requirements-web.txt"),
    ):
        result = subprocess.run(
            [python, "-m", "edge_app", *arguments], cwd=ROOT, capture_output=True, text=True
        )
        assert result.returncode == code, result.stderr
        assert message in result.stdout + result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime ends at Python 3.11")
def test_both_runtimes_give_the_same_answer(make_environment):
    python = make_environment("tflite-runtime", "numpy<2", f"pillow=={PIL.__version__}", *EDGE[2:])
    older, newer = classify_samples(python), classify_samples(sys.executable)
    assert older.keys() == newer.keys()
    # Their integer kernels round differently, layer by layer: the answers are the same, the scores
    # are close, though not equal.
    differences = [abs(older[path] - score) for path, score in newer.items()]
    assert sum(differences) / len(differences) < 0.05
    for path, score in newer.items():
        assert (older[path] >= 0.5) == (score >= 0.5), path


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
