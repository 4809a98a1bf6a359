"""Conversion of small versions of the models that people have."""

import json

import keras
import numpy as np
import pytest
from conftest import SHIPPED_KERAS, run_module
from convert_small import (
    SIZE,
    mediapipe_answer,
    pictures,
    rescaling,
    run_convert,
    save,
    small_classifier,
)
from PIL import Image

from convert.loading import load_classifier
from convert.quantize import FORMATS
from edge_app import Classifier
from edge_app.imaging import find_pictures, read_pixels
from train.notebook import build_notebook_model


@pytest.fixture(scope="module")
def notebook_model(tmp_path_factory, crops):
    """The notebook's model, layer by layer, with what the shipped one learnt.

    Its hidden layer passes the shipped model's logit through: relu(z) - relu(-z) = z. The bias is
    set so that half of the crops are Smoking, since scores that were all alike would prove nothing.
    """
    shipped = keras.models.load_model(SHIPPED_KERAS, compile=False)
    model = build_notebook_model(weights=None)
    backbone, hidden, head = model.layers[3], model.layers[5], model.layers[7]
    backbone.set_weights(shipped.layers[2].get_weights())
    kernel = shipped.layers[-1].get_weights()[0]
    hidden_kernel, head_kernel = np.zeros((1280, 128)), np.zeros((128, 1))
    hidden_kernel[:, :2] = np.hstack([kernel, -kernel])
    head_kernel[:2, 0] = 1, -1
    hidden.set_weights([hidden_kernel, np.zeros(128)])
    pixels = np.stack([read_pixels(path) for path in find_pictures(crops)]).astype(np.float32)
    logits = keras.Model(model.inputs[0], hidden.output).predict(pixels, verbose=0) @ head_kernel
    head.set_weights([head_kernel, -np.median(logits, axis=0)])
    path = tmp_path_factory.mktemp("models") / "smoker_detection_mobilenetv2_final2.keras"
    model.compile(optimizer=keras.optimizers.Adam(3e-4), loss="binary_crossentropy")
    model.save(path)
    return path


@pytest.fixture(scope="module")
def alike(tmp_path_factory, samples):
    """A folder of 64 pictures that are nearly the same: one sample, from darker to brighter."""
    folder = tmp_path_factory.mktemp("alike") / "alike"
    folder.mkdir()
    pixels = read_pixels(samples / "coffee.jpg").astype(np.float32)
    for number, factor in enumerate(np.linspace(0.8, 1.0, 64)):
        Image.fromarray((factor * pixels).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def sharp_model(notebook_model, alike, tmp_path_factory):
    """The same with scores near 0 and 1, and its threshold in the middle of pictures that are
    alike: what rounding moves across it moves far."""
    model = keras.models.load_model(notebook_model, compile=False)
    head = model.layers[-1]
    kernel, _ = head.get_weights()
    pixels = np.stack([read_pixels(path) for path in find_pictures(alike)]).astype(np.float32)
    hidden = keras.Model(model.inputs[0], model.layers[-2].output)
    middle = np.median(hidden.predict(pixels, verbose=0) @ kernel, axis=0)
    head.set_weights([30 * kernel, -30 * middle])
    return save(model, tmp_path_factory.mktemp("models") / "sharp.keras")


@pytest.mark.slow
def test_the_notebooks_model_is_converted_and_agrees(notebook_model, crops, tmp_path):
    out = tmp_path / "model.tflite"
    # These crops lie around the threshold, where integers may give some of them the other label.
    result = run_convert(notebook_model, "--calibration", crops, "--out", out, "--allow-loss")
    assert result.exit_code == 0, result.stderr
    assert "augmentation taken out: data_augmentation" in result.stdout
    assert "maps [0, 255] to [-1, 1]" in result.stdout
    assert out.stat().st_size < 3e6

    original = keras.models.load_model(notebook_model)
    classifier = Classifier(out)
    pixels = np.stack([read_pixels(path) for path in find_pictures(crops)])
    expected = original.predict(pixels.astype(np.float32), verbose=0)[:, 0]
    assert np.ptp(expected) > 0.5
    scores = np.array([classifier.classify_pixels(picture).smoking for picture in pixels])
    assert np.abs(scores - expected).mean() < 0.05
    assert np.corrcoef(scores, expected)[0, 1] > 0.98

    info = classifier.info
    assert (info.size, info.input_dtype) == (224, "uint8")
    assert info.metadata.labels == ("NotSmoking", "Smoking")
    assert info.decision.threshold == 0.5


def small_mobilenet(size: int = 160, alpha: float = 0.35) -> keras.Model:
    """A narrow backbone with random weights, whose bias makes one label the clear one."""
    keras.utils.set_random_seed(7)
    pixels = keras.Input((size, size, 3))
    backbone = keras.applications.MobileNetV2(
        include_top=False, input_shape=(size, size, 3), alpha=alpha, weights=None
    )
    x = keras.layers.GlobalAveragePooling2D()(backbone(rescaling(pixels), training=False))
    x = keras.layers.Dropout(0.2)(x)
    dense = keras.layers.Dense(1, activation="sigmoid", bias_initializer="ones")
    return keras.Model(pixels, dense(x))


@pytest.mark.slow
def test_every_format_of_another_width_and_size_explains_and_agrees(dataset, tmp_path):
    paths = list(find_pictures(dataset))
    model, out = save(small_mobilenet(), tmp_path / "narrow.keras"), tmp_path / "files"
    result = run_convert(
        *(model, "--calibration", dataset, "--out", out, "--format", "all"),
        *("--explain", "--report", tmp_path / "parity"),
    )
    assert result.exit_code == 0, result.stderr
    parity = json.loads((tmp_path / "parity.json").read_text())
    assert [file["format"] for file in parity["files"]] == list(FORMATS)
    for file in parity["files"]:
        assert file["unseen"]["flips"] == 0
        assert file["unseen"]["labelled"] == file["unseen"]["pictures"] > 0
        assert file["unseen"]["accuracy"] == file["unseen"]["keras_accuracy"]
    assert "| int8" in (tmp_path / "parity.md").read_text()

    loaded = load_classifier(model)
    bias = float(loaded.layers[-1].get_weights()[1][0])
    for form in FORMATS:
        classifier = Classifier(out / f"narrow_{form}.tflite")
        assert classifier.info.size == 160
        assert classifier.info.evidence == (5, 5)
        assert classifier.info.input_dtype == ("uint8" if form == "int8" else "float32")
        for picture in paths[:2] + paths[-2:]:
            prediction = classifier.classify(picture)
            logit = float(prediction.evidence.mean()) + bias
            assert 1 / (1 + np.exp(-logit)) == pytest.approx(prediction.smoking, abs=1e-5)
            pixels = read_pixels(picture, 160)[None].astype(np.float32)
            expected = float(loaded.predict(pixels, verbose=0)[0, 0])
            assert prediction.smoking == pytest.approx(expected, abs=0.02)
            assert mediapipe_answer(classifier.info.path, picture, 160) == (
                prediction.label,
                pytest.approx(prediction.confidence, abs=1 / 256),
            )


def test_the_same_conversion_gives_the_same_bytes(dataset, tmp_path):
    model = save(small_classifier(), tmp_path / "small.keras")
    for name in ("one.tflite", "two.tflite"):  # Keras counts its names on within a process
        result = run_module("convert", model, "--calibration", dataset, "--out", tmp_path / name)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "one.tflite").read_bytes() == (tmp_path / "two.tflite").read_bytes()


def test_an_evidence_map_is_refused_where_the_head_does_not_allow_it(dataset, tmp_path):
    out = tmp_path / "model.tflite"
    base = small_classifier()
    hidden = keras.layers.Dense(4, activation="relu")(base.layers[-2].output)  # as the notebook's
    outputs = keras.layers.Dense(1, activation="sigmoid")(hidden)
    model = save(keras.Model(base.inputs, outputs), tmp_path / "hidden.keras")
    result = run_convert(model, "--calibration", dataset, "--out", out, "--explain")
    assert result.exit_code == 1
    assert "needs global average pooling right before the last dense layer" in result.stderr
    assert not out.exists()


def test_a_legacy_h5_file_is_converted(dataset, tmp_path):
    model, out = save(small_classifier(), tmp_path / "old.h5"), tmp_path / "model.tflite"
    result = run_convert(model, "--calibration", dataset, "--out", out)
    assert result.exit_code == 0, result.stderr
    expected = load_classifier(model).predict(pictures(dataset).astype(np.float32), verbose=0)
    classifier = Classifier(out)
    scores = [classifier.classify_pixels(picture).smoking for picture in pictures(dataset)]
    assert scores == pytest.approx(expected[:, 0], abs=0.02)


@pytest.mark.slow
def test_an_integer_file_that_says_something_else_is_not_written(sharp_model, alike, tmp_path):
    out = tmp_path / "files"
    arguments = (sharp_model, "--calibration", alike)
    result = run_convert(*arguments, "--out", out, "--format", "all")
    assert result.exit_code == 1, result.stdout
    assert "int8 changes the answers" in result.stderr
    assert "Most is lost in" in result.stderr
    assert "Try calibration pictures" in result.stderr
    assert not list(out.iterdir())

    result = run_convert(*arguments, "--out", out / "lossy.tflite", "--allow-loss")
    assert result.exit_code == 0, result.stderr
    assert "written nevertheless" in result.stdout
    assert "Lossy" in Classifier(out / "lossy.tflite").info.metadata.description


def test_labels_are_written_into_the_file(dataset, tmp_path):
    out, model = tmp_path / "model.tflite", save(small_classifier(), tmp_path / "small.keras")
    result = run_convert(
        *(model, "--calibration", dataset, "--out", out),
        *("--labels", "clean,vaping", "--positive", "vaping", "--version", "2.1"),
    )
    assert result.exit_code == 0, result.stderr
    info = Classifier(out).info
    assert info.metadata.labels == ("clean", "vaping")
    assert info.metadata.version == "2.1"
    assert info.decision.label == "vaping"


def test_a_decision_goes_with_its_label_under_another_name():
    from convert.classes import Classes
    from convert.conversion import _decision_for
    from edge_app.decision import Decision

    own = Decision(threshold=0.7, chosen="by hand")
    renamed = _decision_for(own, Classes(("clean", "vaping"), "vaping", "softmax"))
    assert renamed == Decision("vaping", 0.7, "by hand")
    swapped = Classes(("Smoking", "NotSmoking"), "Smoking", "softmax")
    assert _decision_for(own, swapped) == own
    other = Classes(("Smoking", "NotSmoking"), "NotSmoking", "softmax")
    assert _decision_for(own, other) == Decision("NotSmoking")


def test_folders_without_the_names_of_the_labels_are_told(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for number in range(32):
        pixels = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    model = save(small_classifier(), tmp_path / "small.keras")
    result = run_convert(model, "--calibration", folder, "--out", tmp_path / "out.tflite")
    assert result.exit_code == 0, result.output
    assert "accuracy and the order of the labels were not checked" in result.stdout
