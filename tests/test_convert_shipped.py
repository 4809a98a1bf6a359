"""The shipped file: made again byte for byte, and read by other programs."""

import io
import json
import zipfile

import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import TensorType
from conftest import SHIPPED_INT8, SHIPPED_KERAS, run_module
from convert_small import mediapipe_answer

from convert.canonical import canonicalize
from convert.graph import code_of, read
from convert.loading import load_classifier
from edge_app import Classifier
from edge_app.imaging import find_pictures, read_pixels


def test_correcting_the_biases_takes_most_of_the_error_away(samples, crops):
    from convert.layers import correct_biases, layer_errors
    from convert.quantize import to_tflite

    canonical = canonicalize(load_classifier(SHIPPED_KERAS))
    pixels = np.stack([read_pixels(path) for path in find_pictures(crops)])
    integer = to_tflite(canonical, "int8", pixels[:16])
    original = to_tflite(canonical, "float32")
    corrected = correct_biases(integer, original, pixels[16:32], -1, 1)
    assert len(corrected) == pytest.approx(len(integer), rel=0.01)  # biases alone change
    before, after = (
        np.mean([layer.error for layer in layer_errors(model, original, pixels[32:36], -1, 1)])
        for model in (integer, corrected)
    )
    assert after < 0.9 * before


@pytest.mark.slow
def test_the_shipped_file_is_made_again_as_it_is(real_data, tmp_path):
    """Graph and names to the byte; weights too on a processor that rounds sums alike."""
    out = tmp_path / "model.tflite"
    sets = ("smoker/Training", "stanford40", "no_person", "smoking_web", "smoking_wild")
    if missing := [name for name in sets if not (real_data / name).is_dir()]:
        pytest.skip(f"needs {', '.join(missing)} in {real_data}")
    calibration = [part for name in sets for part in ("--calibration", real_data / name)]
    result = run_module(  # Keras counts its names on within a process
        *("convert", SHIPPED_KERAS, *calibration, "--pictures", 400, "--explain"),
        *("--out", out, "--version", Classifier().info.metadata.version),
    )
    assert result.returncode == 0, result.stderr
    made, shipped = read(out.read_bytes()), read(SHIPPED_INT8.read_bytes())
    graphs = made.subgraphs[0], shipped.subgraphs[0]
    names = [[tensor.name for tensor in graph.tensors] for graph in graphs]
    kinds = [
        [code_of(file, operator) for operator in file.subgraphs[0].operators]
        for file in (made, shipped)
    ]
    assert names[0] == names[1]
    assert kinds[0] == kinds[1]
    differing = total = 0
    for ours, theirs in zip(graphs[0].tensors, graphs[1].tensors, strict=True):
        if made.buffers[ours.buffer].data is not None and ours.type == TensorType.INT8:
            values = [file.buffers[t.buffer].data for file, t in ((made, ours), (shipped, theirs))]
            total += len(values[0])
            differing += int((np.asarray(values[0]) != np.asarray(values[1])).sum())
    assert total > 2_000_000
    assert differing < 1e-3 * total


def test_the_shipped_file_is_a_zip_that_anyone_can_read():
    with zipfile.ZipFile(io.BytesIO(SHIPPED_INT8.read_bytes())) as members:
        assert members.read("labels.txt").split() == [b"NotSmoking", b"Smoking"]
        assert json.loads(members.read("decision.json"))["label"] == "Smoking"


def test_mediapipe_loads_the_shipped_file_as_it_is_and_agrees(samples):
    classifier = Classifier(looks=1)
    for path in find_pictures(samples):
        prediction = classifier.classify(path)  # with one look, which is all that MediaPipe knows
        label, score = mediapipe_answer(SHIPPED_INT8, path, classifier.info.size)
        assert label == prediction.label
        assert score == pytest.approx(prediction.confidence, abs=1.5 / 256)
