"""Conversion and training that are killed leave no half file, and the next run cleans up."""

import os
import re
import signal
import sys
import zipfile

import keras
import pytest
from conftest import make_dataset, write_bare_model
from convert_small import save, small_classifier
from fixtures import write_training
from kill_points import Killer, spread

from edge_app.decision import read_decision

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux"),
]

MOST = 3
"""Kills per command; TensorFlow starts its threads in each."""


def contents(paths):
    """What files say, without what was measured."""
    texts = [path.read_bytes() if path.exists() else None for path in paths]
    return [text and re.sub(rb"\d+\.\d+", b"", text) for text in texts]


def files(folder):
    """All but what TensorFlow itself leaves in the folder for temporary files when it is killed."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(p.relative_to(folder) for p in found if not p.name.startswith("__autograph"))


def tflite(folder):
    """A foreign model that is only described."""
    out = folder / "out.tflite"
    options = ["--labels", "no,yes", "--positive", "yes", "--input-range", "-1", "1"]
    return ["convert", write_bare_model(folder / "bare.tflite"), *options, "--out", out], [out]


def archive(folder):
    """A model in an archive, which is unpacked, with the report of its check."""
    model, pictures = save(small_classifier(), folder / "small.keras"), make_dataset(folder / "set")
    with zipfile.ZipFile(folder / "model.zip", "w") as made:
        made.write(model, "inner/keras_model.keras")
        made.writestr("inner/labels.txt", "0 NotSmoking\n1 Smoking\n")
    outputs = [folder / name for name in ("out.tflite", "report.json", "report.md")]
    options = ["--calibration", pictures, "--allow-loss", "--report", folder / "report"]
    return ["convert", folder / "model.zip", *options, "--out", outputs[0]], outputs


@pytest.mark.parametrize("make", [tflite, archive])
def test_a_conversion_leaves_nothing_half_done(make, tmp_path):
    with Killer(tmp_path, "convert.cli", "convert.conversion", "convert.rewrap") as killer:
        command, outputs = make(tmp_path)
        done = killer.run(*command)
        assert done.code == 0, done.output
        there, whole = files(tmp_path), contents(outputs)
        for at in spread(done.changes, MOST):
            for path in outputs:
                path.write_bytes(b"of yesterday")
            assert killer.run(*command, at=at).code == -signal.SIGKILL
            for found, expected in zip(contents(outputs), whole, strict=True):
                assert found in (b"of yesterday", expected)
        stopped = killer.run(*command, at=done.changes // 2, number=signal.SIGTERM)
        assert stopped.code == -signal.SIGTERM and "Traceback" not in stopped.output
        done = killer.run(*command)
        assert done.code == 0, done.output
        assert contents(outputs) == whole
        assert files(tmp_path) == there


def test_a_training_resumes_wherever_it_was_killed(start, tmp_path):
    write_training(tmp_path, start)
    command = ["train", "--data", "set", "--recipe", "small.toml", "--out", "model.keras"]
    with Killer(tmp_path, "train.decision", "train.scoring", "train.student") as killer:
        done = killer.run(*command)
        assert done.code == 0, done.output
        there = files(tmp_path)
        for path in (tmp_path / "model.keras", *(tmp_path / "model-training").iterdir()):
            path.unlink()
        os.rmdir(tmp_path / "model-training")
        for at in spread(done.changes, MOST):
            killed = killer.run(*command, at=at)  # resumes what the one before had done
            assert killed.code in (-signal.SIGKILL, 0), killed.output
            for path in tmp_path.rglob("[!.]*.keras"):
                keras.models.load_model(path, compile=False)
        done = killer.run(*command)
        assert done.code == 0, done.output
        assert files(tmp_path) == there

        decided = tmp_path / "decided.keras"
        decide = ["train.decision", "model.keras", "--data", "set", "--recipe", "small.toml"]
        decide += ["--out", decided]
        done = killer.run(*decide)
        assert done.code == 0, done.output
        for at in spread(done.changes, 2):
            decided.write_bytes(b"of yesterday")
            assert killer.run(*decide, at=at).code == -signal.SIGKILL
            assert decided.read_bytes() == b"of yesterday" or read_decision(str(decided))
        assert killer.run(*decide).code == 0
        assert files(tmp_path) == sorted([*there, decided.relative_to(tmp_path)])
