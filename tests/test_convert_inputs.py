"""What a conversion finds out of preprocessing, and which pictures it takes."""

from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
from convert_small import SIZE, pictures, small_classifier

from convert.canonical import canonicalize
from convert.loading import ConversionError
from convert.pictures import for_calibration, take_evenly
from edge_app.imaging import find_pictures


@pytest.mark.parametrize(
    ("model", "input_range", "limits"),
    [
        (small_classifier(), None, (-1, 1)),
        (small_classifier(rescale=keras.applications.mobilenet_v2.preprocess_input), None, (-1, 1)),
        (small_classifier(rescale=lambda x: x / 255.0), None, (0, 1)),
        (small_classifier(rescale=False), (0.0, 1.0), (0, 1)),
        (small_classifier(2, "softmax"), None, (-1, 1)),
    ],
    ids=["layer", "preprocess_input", "division", "outside [0, 1]", "softmax"],
)
def test_preprocessing_is_applied_exactly_once(model, input_range, limits, dataset):
    canonical = canonicalize(model, input_range)
    assert (canonical.low, canonical.high) == limits
    pixels = pictures(dataset)
    values = pixels.astype(np.float32)
    if input_range or canonical.range_in_graph is False:
        values = limits[0] + values / 255 * (limits[1] - limits[0])
    expected = model.predict(values, verbose=0)[:, -1]
    assert canonical.scores(pixels) == pytest.approx(expected, abs=1e-5)


def unknown_layer_first():
    pixels = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(4, 3)(keras.layers.ReLU()(pixels))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(pixels, keras.layers.Dense(1, activation="sigmoid")(x))


def test_what_may_be_preprocessing_is_not_guessed_at():
    with pytest.raises(ConversionError, match="nothing in its graph prepares pixels"):
        canonicalize(unknown_layer_first())
    assert canonicalize(unknown_layer_first(), (0.0, 1.0)).high == 1


def nested(layers: list[keras.layers.Layer]) -> keras.Model:
    """A classifier whose backbone, with its preprocessing, is a model inside the model."""
    keras.utils.set_random_seed(6)
    convolution = keras.layers.Conv2D(8, 3, strides=2, activation="relu")
    inner = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *layers, convolution])
    pixels = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.GlobalAveragePooling2D()(inner(pixels, training=False))
    return keras.Model(pixels, keras.layers.Dense(1, activation="sigmoid")(x))


NORMALIZATION = {"mean": [123.0, 116.0, 103.0], "variance": [58.0**2, 57.0**2, 56.0**2]}


@pytest.mark.parametrize(
    ("layers", "limits", "inside"),
    [
        ([keras.layers.Rescaling(1 / 127.5, offset=-1)], (-1, 1), False),
        ([keras.layers.Normalization(mean=[127.5] * 3, variance=[127.5**2] * 3)], (-1, 1), False),
        ([keras.layers.Normalization(**NORMALIZATION)], (0, 255), True),
    ],
    ids=["rescaling", "normalization", "normalization by channel"],
)
def test_preprocessing_inside_a_nested_backbone_is_found(layers, limits, inside, dataset):
    model = nested(layers)
    canonical = canonicalize(model)
    assert (canonical.low, canonical.high) == pytest.approx(limits)
    assert any("stays inside" in finding for finding in canonical.findings) == inside
    pixels = pictures(dataset)
    expected = model.predict(pixels.astype(np.float32), verbose=0)[:, 0]
    assert canonical.scores(pixels) == pytest.approx(expected, abs=1e-5)


def test_pictures_for_testing_never_calibrate(tmp_path):
    names = ["Training/Smoking/a", "Validation/Smoking/b", "Testing/Smoking/c", "c/test/d"]
    paths = [tmp_path / name for name in names]
    assert for_calibration(paths) == [paths[0], paths[1], paths[3]]
    assert for_calibration(paths[2:3]) == paths[2:3]  # asked for by name


def test_the_wanted_label_alternates_with_all_others():
    paths = [Path(f"{kind}/{i}") for kind in ("drinking", "smoking", "texting") for i in range(4)]
    kinds = [path.parent.name for path in take_evenly(paths, "Smoking")]
    assert kinds[:8:2] == ["smoking"] * 4
    assert Counter(kinds[1:8:2]) == {"drinking": 2, "texting": 2}


def test_calibration_and_comparison_see_every_folder_alike(dataset):
    order = take_evenly(list(find_pictures(dataset)))
    assert sorted(order) == sorted(find_pictures(dataset))
    assert order == take_evenly(list(find_pictures(dataset)))
    for half in (order[:36], order[36:]):
        counts = Counter(path.parent for path in half)
        assert set(counts.values()) == {6}
        assert len(counts) == 6
