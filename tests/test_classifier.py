import dataclasses
import functools
import io
import threading

import numpy as np
import pytest
from conftest import SHIPPED_INT8

from edge_app import Classifier, ModelError, PictureError, Prediction
from edge_app.imaging import (
    find_pictures,
    from_frame,
    read_frame,
    read_picture,
    read_pixels,
    read_thumbnail,
)
from edge_app.runtime import make_interpreter


def test_a_prediction_checks_itself():
    with pytest.raises(ValueError, match="confidence"):
        Prediction("Smoking", confidence=1.2, smoking=0.9)
    prediction = Prediction("Smoking", confidence=0.9, smoking=0.9)
    with pytest.raises(dataclasses.FrozenInstanceError):
        prediction.label = "NotSmoking"


def test_the_samples_are_labelled_rightly(classifier, samples):
    found = {path.name: classifier.classify(path).label for path in find_pictures(samples)}
    assert found.pop("smoking.jpg") == "Smoking"
    found.pop("hand.jpg")  # samples/README.md: the gesture without a cigarette misleads the model
    assert set(found.values()) == {"NotSmoking"}


def test_label_confidence_and_score_belong_together(classifier, samples):
    prediction = classifier.classify(samples / "astronaut.jpg")
    assert prediction.label == "NotSmoking"
    assert prediction.confidence == pytest.approx(1 - prediction.smoking)
    always = Classifier(threshold=0.0).classify(samples / "astronaut.jpg")
    assert always == Prediction("Smoking", prediction.smoking, prediction.smoking)


def test_a_path_bytes_and_pixels_give_the_same(classifier, samples):
    path = samples / "astronaut.jpg"
    expected = classifier.classify(path)
    assert classifier.classify(path.read_bytes()) == expected
    assert classifier.classify(str(path)) == expected
    assert classifier.classify_pixels(read_pixels(path)) == expected
    assert classifier.classify(bytearray(path.read_bytes())) == expected
    assert classifier.classify(io.BytesIO(path.read_bytes())) == expected
    with open(path, "rb") as file:
        assert classifier.classify(file) == expected


@pytest.mark.parametrize("source", [None, 0, 5, [], [[0, 0, 0]], io.StringIO("text"), object()])
def test_what_is_no_picture_at_all_is_a_type_error(classifier, source):
    for read in (
        *(classifier.classify, classifier.look, read_picture, read_pixels),
        functools.partial(read_thumbnail, longest=64),
        *(classifier.classify_frame, read_frame, from_frame),
        lambda paths: list(find_pictures(paths)),
    ):
        with pytest.raises(TypeError):
            read(source)


def test_a_type_error_says_what_a_picture_may_be(classifier, samples):
    with pytest.raises(TypeError, match=r"a path, bytes, a binary file.*not NoneType"):
        classifier.classify(None)
    with (
        open(samples / "coffee.jpg", encoding="latin-1") as text,
        pytest.raises(TypeError, match='mode "rb"'),
    ):
        classifier.classify(text)


def test_the_model_says_what_it_is(classifier):
    info = classifier.info
    assert info.metadata.labels == ("NotSmoking", "Smoking")
    assert info.metadata.mean == (127.5,)
    assert info.metadata.std == (127.5,)
    assert (info.size, info.input_dtype) == (224, "uint8")
    scale, zero_point = info.quantization
    # The quantization is the map to [-1, 1], to half a grey level.
    assert scale * (np.array([0, 255]) - zero_point) == pytest.approx([-1, 1], abs=scale / 2 + 1e-6)
    assert info.decision.chosen


def test_the_output_is_two_float_scores_that_sum_to_one(samples):
    interpreter, _ = make_interpreter(SHIPPED_INT8.read_bytes(), threads=1)
    interpreter.set_tensor(
        interpreter.get_input_details()[0]["index"], read_pixels(samples / "coffee.jpg")[None]
    )
    interpreter.invoke()
    scores = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert scores.dtype == np.float32
    assert scores.shape == (1, 2)
    assert scores.sum() == pytest.approx(1, abs=1 / 128)


def test_models_that_cannot_be_used_are_named_with_the_reason(tmp_path):
    content = SHIPPED_INT8.read_bytes()
    for name, data, reason in (
        ("text.tflite", b"no model at all", "no TFLite model"),
        ("empty.tflite", b"", "no TFLite model"),
        ("cut.tflite", content[: len(content) // 2], "metadata|damaged"),
        ("bare.tflite", content.replace(b"TFLITE_METADATA", b"SOMETHING_ELSE_"), "no TFLite meta"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match=reason) as error:
            Classifier(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)
    with pytest.raises(ModelError, match="cannot be read"):
        Classifier(tmp_path / "missing.tflite")
    with pytest.raises(ValueError, match="threshold"):
        Classifier(threshold=2)


def test_unreadable_pictures_raise_picture_errors(classifier):
    with pytest.raises(PictureError):
        classifier.classify(b"no picture")


def test_one_classifier_may_be_shared_by_threads(classifier, samples):
    paths = list(find_pictures(samples))
    expected = [classifier.classify(path) for path in paths]
    answers: dict[int, list] = {}

    def work(number: int) -> None:
        answers[number] = [classifier.classify(path) for path in paths]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[n] for n in range(8)] == [expected] * 8


def test_a_keras_model_is_told_to_be_converted(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"PK\x03\x04 a ZIP archive")
    with pytest.raises(ModelError, match="convert it first"):
        Classifier(tmp_path / "model.keras")


def test_a_link_that_leads_nowhere_is_called_so(classifier, tmp_path):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(PictureError, match="a link to a file that does not exist"):
        classifier.classify(tmp_path / "a.jpg")
