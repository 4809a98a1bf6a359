"""Every kind of model that people have: load, convert, classify, and be right as often."""

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT
from convert_models import (
    NAMES,
    PREPARE,
    draw_many,
    fit_head,
    keras3_models,
    tflite_models,
    write_pictures,
)

from convert.cli import main
from convert.errors import ConversionError
from convert.loading import load
from edge_app import Classifier


@dataclass(frozen=True)
class Kind:
    """A model, what its author does to pixels, and what its user has to say."""

    file: str
    prepare: str
    arguments: tuple[str, ...] = ()
    classes: int = 2
    says: str = ""


UNIT = ("--input-range", "0", "1")
LABELS3 = ("--labels", ",".join(NAMES))
KINDS = (
    Kind("keras2/teachable2", "tf", says="as Teachable Machine has it"),
    Kind("keras2/teachable3", "tf", classes=3, says="not Smoking and Smoking"),
    Kind("keras2/teachable.zip", "tf", classes=3),
    Kind("keras2/teachable3_saved", "tf", (*LABELS3, "--input-range", "-1", "1"), 3),
    Kind("keras2/plain2.keras", "unit", says="input: [0, 1], with which it is right most often"),
    Kind("keras2/plain2_saved", "unit", says="input: [0, 1], with which"),
    Kind("keras2/hdf5_named.keras", "unit", says="saved by Keras 2"),
    Kind("keras2/rescaling2.keras", "pixels", says="scales it itself"),
    Kind("keras2/caffe_inside.h5", "pixels", says="scales it itself"),
    Kind("keras2/mixed2.h5", "unit", UNIT, says="float32 throughout"),
    Kind("keras3/flat250.keras", "unit", UNIT),
    Kind("keras3/flat128.h5", "unit", UNIT),
    Kind("keras3/unit.keras", "unit", says="input: [0, 1], with which it is right most often"),
    Kind("keras3/pixels.keras", "pixels", ("--input-range", "0", "255")),
    Kind("keras3/caffe.keras", "caffe", ("--preprocess", "caffe"), says="put into the graph"),
    Kind("keras3/torch.keras", "torch", ("--preprocess", "torch"), says="put into the graph"),
    Kind("keras3/three.keras", "unit", (*LABELS3, *UNIT), 3),
    Kind("keras3/logits.keras", "unit", UNIT, says="logits: softmax appended"),
    Kind("keras3/logits3.keras", "unit", (*LABELS3, *UNIT), 3, says="logits: softmax appended"),
    Kind("keras3/logit.keras", "unit", UNIT, says="logits: sigmoid appended"),
    Kind("keras3/sigmoid.keras", "tf", ("--preprocess", "tf")),
    Kind("keras3/sigmoids.keras", "unit", UNIT),
    Kind("keras3/rescaling.keras", "pixels", says="scales it itself"),
    Kind("keras3/adapted.keras", "pixels", says="scales it itself"),
    Kind("keras3/adapted_unit.keras", "unit", UNIT),
    Kind("keras3/residual.keras", "caffe", ("--preprocess", "caffe")),
    Kind("keras3/excited.keras", "pixels", says="scales it itself"),
    Kind("keras3/branches.keras", "tf", ("--input-range", "-1", "1")),
    Kind("keras3/mixed.keras", "unit", UNIT, says="float32 throughout"),
)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    script = ROOT / "tests" / "convert_models.py"
    result = subprocess.run(
        [sys.executable, script, folder / "keras2"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    with zipfile.ZipFile(folder / "keras2" / "teachable.zip", "w") as archive:
        for path in (folder / "keras2" / "teachable3").iterdir():
            archive.write(path, path.name)
    keras3_models(folder / "keras3")
    tflite_models(folder / "tflite")
    return folder


@pytest.fixture(scope="session")
def colours(tmp_path_factory):
    """Folders of pictures by the number of labels."""
    folder = tmp_path_factory.mktemp("colours")
    return {n: write_pictures(folder / str(n), NAMES[:n]) for n in (2, 3)}


def convert(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def expected_scores(path, prepare: str, pixels: np.ndarray) -> np.ndarray:
    """P(Smoking) as the author gets it, by the model itself."""
    outputs = load(path).predict(PREPARE[prepare](pixels.astype(np.float32)).astype(np.float32))
    if outputs.min() < 0 or outputs.max() > 1:  # logits
        outputs = np.hstack([0 * outputs, outputs]) if outputs.shape[1] == 1 else outputs
        outputs = np.exp(outputs - outputs.max(1, keepdims=True))
        outputs /= outputs.sum(1, keepdims=True)
    return outputs[:, 0] if outputs.shape[1] == 1 else outputs[:, 1]


def some_slow(kind: Kind):
    """Each takes seconds, so `run.py test` without --all converts one of each way."""
    fast = {
        *("keras2/teachable2", "keras2/plain2_saved", "keras3/unit.keras", "keras3/torch.keras"),
        *("keras3/logit.keras", "keras3/branches.keras"),
    }
    marks = () if kind.file in fast else pytest.mark.slow
    return pytest.param(kind, id=kind.file, marks=marks)


@pytest.mark.parametrize("kind", map(some_slow, KINDS))
def test_a_kind_of_model_is_converted_and_is_right_as_often(kind, models, colours, tmp_path):
    path, out = models / kind.file, tmp_path / "out.tflite"
    result = convert(path, "--calibration", colours[kind.classes], "--out", out, *kind.arguments)
    assert result.exit_code == 0, result.output
    assert kind.says in result.output
    classifier = Classifier(out)
    assert classifier.info.decision.label == "Smoking"
    assert classifier.info.input_dtype == "uint8"
    pixels, labels = draw_many(kind.classes, 30, classifier.info.size, seed=9)
    scores = np.array([classifier.classify_pixels(picture).smoking for picture in pixels])
    expected = expected_scores(path, kind.prepare, pixels)
    assert np.abs(scores - expected).mean() < 0.02
    right = [float(((values >= 0.5) == (labels == 1)).mean()) for values in (scores, expected)]
    assert right[0] == right[1] > 0.9


TFLITE = (
    ("float.tflite", 2, ("--labels", "NotSmoking,Smoking", "--input-range", "-1", "1")),
    ("float3.tflite", 3, (*LABELS3, "--preprocess", "tf")),
    ("uint8.tflite", 2, ("--labels", "NotSmoking,Smoking")),
    ("int8.tflite", 3, LABELS3),
)


@pytest.mark.parametrize(("name", "classes", "arguments"), TFLITE)
def test_a_foreign_tflite_classifies_as_it_is_and_as_a_file_that_describes_itself(
    name, classes, arguments, models, colours, tmp_path, monkeypatch
):
    from edge_app.cli import main as app

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path, out = models / "tflite" / name, tmp_path / "out.tflite"
    result = convert(path, *arguments, "--out", out, "--calibration", colours[classes])
    assert result.exit_code == 0, result.output
    pixels, labels = draw_many(classes, 30, 48, seed=9)
    expected = expected_scores(path.with_suffix(".keras"), "tf", pixels)
    classifier = Classifier(out)
    assert classifier.info.input_dtype == ("float32" if "float" in name else "uint8")
    scores = np.array([classifier.classify_pixels(picture).smoking for picture in pixels])
    assert np.abs(scores - expected).mean() < 0.02
    assert ((scores >= 0.5) == (labels == 1)).all()

    smoking = colours[classes] / "Smoking" / "0.png"
    answers = [
        CliRunner().invoke(app, ["classify", str(smoking), "--model", str(model), *more]).output
        for model, more in ((path, arguments), (out, ()))
    ]
    assert answers[0] == answers[1]
    assert answers[0].startswith("Smoking ")


def test_teachable_machines_tflite_needs_its_labels_file_alone(models, colours, tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    shutil.copy(models / "tflite" / "float3.tflite", folder / "model_unquant.tflite")
    (folder / "labels.txt").write_text("0 NotSmoking\n1 Smoking\n2 Other\n")
    out = tmp_path / "out.tflite"
    result = convert(folder, "--out", out)
    assert result.exit_code == 0, result.output
    assert Classifier(out).classify(colours[3] / "Smoking" / "0.png").label == "Smoking"
    with zipfile.ZipFile(out) as members:
        assert members.read("labels.txt").split(b"\n")[:2] == [b"not Smoking", b"Smoking"]
        assert members.read("original_labels.txt").split() == [b"NotSmoking", b"Smoking", b"Other"]


def test_the_positive_label_and_its_order_survive(models, colours, tmp_path):
    path, out = models / "keras2" / "teachable2", tmp_path / "out.tflite"
    result = convert(
        *(path, "--calibration", colours[2], "--out", out),
        *("--labels", "smoking,non-smoking", "--input-range", "-1", "1"),
    )
    assert result.exit_code == 0, result.output
    info = Classifier(out).info
    assert info.metadata.labels == ("smoking", "non-smoking")
    assert info.decision.label == "smoking"
    # The model's first output is that of the pictures that are called NotSmoking here.
    assert Classifier(out).classify(colours[2] / "NotSmoking" / "0.png").label == "smoking"


def test_a_wrong_input_range_shows_as_low_accuracy(models, colours, tmp_path):
    result = convert(
        *(models / "keras3" / "unit.keras", "--calibration", colours[2]),
        *("--out", tmp_path / "out.tflite", "--input-range", "0", "255", "--allow-loss"),
    )
    assert "model itself is right on" in result.output
    assert "is the input range right" in result.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("keras3/three.keras",), "--labels A,B,C"),
        (("keras3/three.keras", "--labels", "a,b"), "has 3 outputs and 2 labels are given"),
        (("keras3/unit.keras", "--labels", "a,b"), "--positive"),
        (("keras3/unit.keras", "--labels", "a,b", "--positive", "b"), "--input-range 0 1"),
        (("keras3/unit.keras", "--preprocess", "tf", *UNIT), "exclude each other"),
        (("tflite/float.tflite",), "--labels A,B"),
        (("tflite/float.tflite", "--labels", "a,b", "--positive", "b"), "--input-range 0 1"),
    ],
)
def test_what_the_model_cannot_know_is_asked_for_by_the_option_to_give(
    arguments, reason, models, colours, tmp_path
):
    path = models / arguments[0]
    pictures = () if path.suffix == ".tflite" else ("--calibration", colours[2])
    result = convert(path, *arguments[1:], *pictures, "--out", tmp_path / "out.tflite")
    assert result.exit_code in (1, 2)
    assert reason in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out.tflite").exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("model.onnx", b"\x08\x07", "ONNX"),
        ("model.pt", b"\x80\x02", "PyTorch"),
        ("model.json", b"{}", "TensorFlow.js"),
        ("model.pb", b"\x00", "SavedModel"),
        ("model.h5", b"", "is empty"),
        ("model.keras", b"text", "is no .keras"),
    ],
)
def test_other_files_are_refused_with_the_next_step(name, content, reason, tmp_path):
    (tmp_path / name).write_bytes(content)
    result = convert(tmp_path / name, "--out", tmp_path / "out.tflite")
    assert result.exit_code == 1
    assert reason in result.output
    assert len(result.output.splitlines()) == 1


def test_an_archive_that_reaches_outside_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("../keras_model.h5", b"x")
    result = convert(tmp_path / "model.zip", "--out", tmp_path / "out.tflite")
    assert result.exit_code == 1
    assert "outside" in result.output


def test_a_saved_model_that_writes_files_is_refused(tmp_path):
    import tensorflow as tf

    class Writing(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 48, 48, 3])])
        def __call__(self, pixels):
            tf.io.write_file(str(tmp_path / "written"), "text")
            return tf.nn.softmax(tf.reduce_mean(pixels, (1, 2)))

    tf.saved_model.save(Writing(), str(tmp_path / "saved"))
    with pytest.raises(ConversionError, match="WriteFile"):
        load(tmp_path / "saved")
    assert not (tmp_path / "written").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "prepare", "arguments"),
    [
        # All layers are there at 96 pixels, too, for a fifth of the arithmetic.
        ("EfficientNetB0", 96, "pixels", ()),  # with Rescaling and Normalization inside
        ("ResNet50", 96, "caffe", ("--preprocess", "caffe")),
        ("InceptionV3", 96, "tf", ("--preprocess", "tf")),
        ("MobileNetV3Small", 224, "pixels", ()),
        ("DenseNet121", 96, "torch", ("--preprocess", "torch")),
    ],
)
def test_an_architecture_of_keras_applications_is_converted(
    name, size, prepare, arguments, colours, tmp_path
):
    import keras

    keras.utils.set_random_seed(1)
    backbone = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg"
    )
    dense = keras.layers.Dense(2, activation="softmax")
    model = keras.Model(backbone.input, dense(backbone.output))
    fit_head(keras, model, prepare, 2)
    path, out = tmp_path / f"{name}.keras", tmp_path / "out.tflite"
    model.save(path)
    result = convert(
        *(path, "--calibration", colours[2], "--out", out, "--pictures", 24, *arguments)
    )
    # Random weights may be too much for int8; then it is float16, and exit code 1 says so.
    assert result.exit_code == 0 or "this is a float16 file" in result.output, result.output
    classifier = Classifier(out)
    assert classifier.info.evidence
    pixels, labels = draw_many(2, 20, size, seed=9)
    expected = expected_scores(path, prepare, pixels)
    scores = np.array([classifier.classify_pixels(picture).smoking for picture in pixels])
    right = [float(((values >= 0.5) == (labels == 1)).mean()) for values in (scores, expected)]
    assert right[0] == pytest.approx(right[1], abs=0.051)
