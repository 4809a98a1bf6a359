"""Graphs of models that are unlike the usual one: what is told of them, and what is said."""

from pathlib import Path

import keras
import numpy as np
import pytest
from convert_small import SIZE, pictures, run_convert, save, small_classifier

from convert import conversion
from convert.errors import QuantizationError
from convert.loading import load
from convert.slope import scales_pixels
from convert.source import Source
from edge_app import Classifier

applications = keras.applications


def rescaled_and_cropped(x):
    return keras.layers.CenterCrop(80, 80)(keras.layers.Rescaling(1 / 255)(x))


@pytest.mark.parametrize(
    ("prepare", "scales"),
    [
        (applications.resnet50.preprocess_input, True),  # slices, stacks, subtracts
        (applications.densenet.preprocess_input, True),
        (applications.mobilenet_v2.preprocess_input, True),
        (rescaled_and_cropped, True),
        (lambda x: x[..., ::-1], False),
        (keras.layers.Normalization(mean=[0.4] * 3, variance=[0.05] * 3), False),
        (None, False),
    ],
    ids=["caffe", "torch", "tf", "crop", "flip alone", "of [0, 1]", "nothing"],
)
def test_preprocessing_inside_is_followed(prepare, scales):
    model = small_classifier(rescale=prepare)
    call = lambda values: model(values, training=False)  # noqa: E731
    assert scales_pixels(Source(Path("m.keras"), "Keras 3", "m", SIZE, 1, call, model)) == scales


def test_preprocessing_that_would_set_the_scale_of_the_input_is_quantized_behind_it(
    dataset, tmp_path
):
    model = small_classifier(rescale=applications.resnet50.preprocess_input)
    path, out = save(model, tmp_path / "caffe.keras"), tmp_path / "out.tflite"
    result = run_convert(path, "--calibration", dataset, "--out", out)
    assert result.exit_code == 0, result.output
    classifier = Classifier(out)
    assert classifier.info.input_dtype == "uint8"
    assert classifier.info.quantization == (pytest.approx(1), 0)
    seen = pictures(dataset)[:8]
    expected = model.predict(seen.astype(np.float32), verbose=0)[:, 0]
    scores = [classifier.classify_pixels(picture).smoking for picture in seen]
    assert scores == pytest.approx(expected, abs=0.03)


def test_a_single_output_in_a_dictionary_is_taken(dataset, tmp_path):
    base = small_classifier(2, "softmax")
    model = keras.Model(base.inputs[0], {"a": base.outputs[0]})
    path, out = save(model, tmp_path / "named.keras"), tmp_path / "out.tflite"
    values = np.random.default_rng(1).uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)
    expected = base.predict(values, verbose=0)
    source = load(path)
    assert source.predict(values) == pytest.approx(expected, abs=1e-6)
    assert np.asarray(source.call(values)) == pytest.approx(expected, abs=1e-6)
    result = run_convert(path, "--calibration", dataset, "--out", out)
    assert result.exit_code == 0, result.output
    assert Classifier(out).info.metadata.labels == ("NotSmoking", "Smoking")


def test_a_model_without_convolutions_is_converted_without_a_word_of_internals(dataset, tmp_path):
    pixels = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.AveragePooling2D(8)(keras.layers.Rescaling(1 / 255)(pixels))
    x = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(x))
    path = save(keras.Model(pixels, x), tmp_path / "flat.keras")
    result = run_convert(path, "--calibration", dataset, "--out", tmp_path / "out.tflite")
    assert result.exit_code == 0, result.output
    assert "correction do not apply to this graph\n" in result.output
    assert "max()" not in result.output


def test_float16_in_place_of_an_int8_that_cannot_be_made_ends_with_1(
    dataset, tmp_path, monkeypatch
):
    def refuse(*_):  # as the converter does for some graphs, which its next version may take
        raise QuantizationError("no int8 of it")

    monkeypatch.setattr(conversion, "quantized", refuse)
    path, out = save(small_classifier(), tmp_path / "small.keras"), tmp_path / "out.tflite"
    for more in ((), ("--allow-loss",)):
        result = run_convert(path, "--calibration", dataset, "--out", out, *more)
        assert result.exit_code == 1
        assert "this is a float16 file, since no int8 of it" in result.stderr
        assert Classifier(out).info.input_dtype == "float32"
    result = run_convert(path, "--calibration", dataset, "--out", tmp_path, "--format", "all")
    assert result.exit_code == 1 and "no int8 of it" in result.stderr
    assert not list(tmp_path.glob("small_*"))
