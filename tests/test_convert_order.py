"""Labels in another order than the outputs: what the labelled pictures tell of it."""

import numpy as np
import pytest

from convert.classes import Classes
from convert.errors import ConversionError
from convert.inputs import tell_input
from convert.order import accuracy_warning, told_order
from convert.source import Source

TEN = (*"abcdefghi", "smoking")


def warned(labels, truth, answers) -> str:
    return accuracy_warning("Keras 3", Classes(labels, "smoking", "softmax"), answers, truth)


def test_two_of_many_labels_that_are_exchanged_give_a_warning_with_the_order():
    truth = np.arange(100) % 10
    assert warned(TEN, truth.tolist(), truth) == ""
    answers = truth.copy()
    answers[truth == 9], answers[truth == 0] = 0, 9
    text = warned(TEN, truth.tolist(), answers)
    assert "right on 80% of 100" in text and "finds 0 of the 10 of smoking" in text
    assert "--labels smoking,b,c,d,e,f,g,h,i,a" in text


def test_all_of_many_labels_in_another_order_give_a_warning():
    truth = np.arange(100) % 10
    text = warned(TEN, truth.tolist(), (truth + 1) % 10)
    assert "right on 0%" in text and "--labels smoking,a,b,c,d,e,f,g,h,i" in text


def test_a_folder_of_the_positive_label_alone_tells_whether_it_is_found():
    places = [None] * 30 + [9] * 20
    assert "finds 0 of the 20" in warned(TEN, places, np.zeros(50, int))
    assert warned(TEN, places, np.full(50, 9)) == ""
    assert warned(TEN, [None] * 50, np.zeros(50, int)) == ""


def test_answers_that_are_all_the_same_tell_no_order():
    truth = np.arange(20) % 2
    assert told_order(["no", "yes"], truth, np.zeros(20, int)) is None
    assert told_order(["no", "yes"], truth, truth) is None
    assert told_order(["no", "yes"], np.zeros(20, int), np.ones(20, int)) is None


def brightness_model(tmp_path) -> Source:
    """Says its first output for pixels above 100, whose values it takes as they are."""

    def call(values):
        bright = values.mean((1, 2, 3)) > 100
        return np.stack([bright, ~bright], 1).astype(np.float32)

    return Source(tmp_path / "model.tflite", "TFLite", "model", 4, 2, call)


@pytest.mark.parametrize("labels", [("dark", "bright"), ("bright", "dark")])
def test_two_labels_in_the_wrong_order_are_refused_with_the_right_one(labels, tmp_path):
    pixels = np.zeros((20, 4, 4, 3), np.uint8)
    pixels[::2] = 200
    places = [labels.index("bright" if n % 2 == 0 else "dark") for n in range(20)]
    source, classes = brightness_model(tmp_path), Classes(labels, "dark", "softmax")
    arguments = (source, classes, None, pixels, places, lambda line: None)
    if labels == ("dark", "bright"):
        with pytest.raises(ConversionError, match=r"right on 0\.0%.*--labels bright,dark"):
            tell_input(*arguments)
    else:
        assert tell_input(*arguments).finding.startswith("input: [0, 255]")
