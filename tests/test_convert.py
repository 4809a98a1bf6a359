"""Conversion of small versions of the models that people have."""

import io
import json
import zipfile
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import TensorType
from click.testing import CliRunner, Result
from conftest import SHIPPED_INT8, SHIPPED_KERAS, lacks, make_dataset, run_module
from PIL import Image

from convert.canonical import canonicalize
from convert.cli import main
from convert.graph import code_of, read
from convert.loading import ConversionError, load_classifier
from convert.pictures import for_calibration, take_evenly
from convert.quantize import FORMATS
from edge_app import Classifier
from edge_app.imaging import find_pictures, read_pixels
from train.notebook import build_notebook_model
from train.recipe import read_recipe
from train.views import change_look

SIZE = 96


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("dataset"), count=12, size=SIZE)


@pytest.fixture(scope="module")
def crops(tmp_path_factory, samples):
    """A folder of 64 pictures: the samples, moved about and in other colours."""
    folder = tmp_path_factory.mktemp("crops") / "crops"
    folder.mkdir()
    rng = np.random.default_rng(0)
    recipe = read_recipe().views
    pictures = [read_pixels(path) for path in find_pictures(samples)]
    for number in range(64):
        shift = tuple(int(n) for n in rng.integers(-40, 40, 2))
        moved = np.roll(pictures[number % len(pictures)], shift, (0, 1))
        Image.fromarray(change_look(moved, recipe, rng)).save(folder / f"{number}.png")
    return folder


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


def rescaling(x):
    return keras.layers.Rescaling(1 / 127.5, offset=-1)(x)


def small_classifier(outputs: int = 1, activation: str = "sigmoid", rescale=rescaling):
    """A convolution with preprocessing inside or outside."""
    keras.utils.set_random_seed(5)
    pixels = keras.Input((SIZE, SIZE, 3))
    x = rescale(pixels) if rescale else pixels
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.5)(x)
    return keras.Model(pixels, keras.layers.Dense(outputs, activation=activation)(x))


def pictures(dataset) -> np.ndarray:
    return np.stack([read_pixels(path, SIZE) for path in find_pictures(dataset / "Testing")])


def run_convert(*arguments) -> Result:
    """Runs the command in this process, which has TensorFlow loaded."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


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


def save(model: keras.Model, path):
    model.save(path)
    return path


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


def mediapipe_answer(file, picture, size: int) -> tuple[str, float]:
    """Label and score by a standard runner, from the file alone."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.ImageClassifierOptions(BaseOptions(model_asset_path=str(file)))
    try:
        created = vision.ImageClassifier.create_from_options(options)
    except OSError as error:
        if "libEGL" in str(error) or "libGLES" in str(error):
            lacks("needs the package libegl1 or libgles2")
        raise
    with created as standard:
        image = mediapipe.Image(mediapipe.ImageFormat.SRGB, read_pixels(picture, size).copy())
        best = standard.classify(image).classifications[0].categories[0]
    return best.category_name, best.score


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


def lambda_model():
    pixels = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Lambda(lambda x: x / 255)(pixels)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(pixels, keras.layers.Dense(1, activation="sigmoid")(x))


class Doubling(keras.layers.Layer):
    """A layer that does not come with Keras."""

    def call(self, inputs):
        return 2 * inputs


def unknown_size_model():
    pixels = keras.Input((None, None, 3))
    x = keras.layers.GlobalAveragePooling2D()(pixels)
    return keras.Model(pixels, keras.layers.Dense(1, activation="sigmoid")(x))


def two_inputs_model():
    first, second = keras.Input((SIZE, SIZE, 3)), keras.Input((4,))
    x = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D()(first), second])
    return keras.Model([first, second], keras.layers.Dense(1, activation="sigmoid")(x))


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda_model, "would run code of its own .Lambda lambda"),
        (lambda: small_classifier(rescale=Doubling()), "would run code of its own .Doubling"),
        (unknown_size_model, r"expected an input \[size, size, 3\]"),
        (two_inputs_model, "found 2 and 1"),
    ],
    ids=["Lambda", "custom layer", "unknown size", "two inputs"],
)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_other_models_are_refused_with_the_reason(build, reason, suffix, tmp_path):
    path = save(build(), tmp_path / f"other{suffix}")
    with pytest.raises(ConversionError, match=reason) as error:
        load_classifier(path)
    assert f"other{suffix}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_half_a_model_is_refused_with_the_reason(suffix, tmp_path):
    whole = save(small_classifier(), tmp_path / f"whole{suffix}").read_bytes()
    half = tmp_path / f"half{suffix}"
    half.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConversionError, match="truncated"):
        load_classifier(half)


def test_a_file_that_is_no_model_is_one_clear_line(dataset, tmp_path):
    (tmp_path / "text.keras").write_text("no model")
    for name, code, reason in (
        ("text.keras", 1, "text.keras: is no .keras, .h5 or .tflite file"),
        ("missing.keras", 2, "missing.keras' does not exist"),
    ):
        result = run_convert(
            *(tmp_path / name, "--calibration", dataset / "Training"),
            *("--out", tmp_path / "out.tflite"),
        )
        assert result.exit_code == code
        assert reason in result.stderr
        assert "Traceback" not in result.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["text.keras"]  # nothing left behind


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


def test_where_nothing_can_be_written_it_says_so_before_the_work(dataset, tmp_path):
    model = save(small_classifier(), tmp_path / "small.keras")
    (tmp_path / "file").write_text("no folder")
    for out in (tmp_path / "file" / "out.tflite", Path("/proc/out.tflite")):
        result = run_convert(model, "--calibration", dataset, "--out", out)
        assert result.exit_code == 2
        assert f"nothing can be written to {out.parent}" in result.stderr


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


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"units": 1,', '"units": 2000000000,', "a layer of 2000000000 units"),
        (f"[null, {SIZE}, {SIZE}, 3]", "[null, 900000000, 900000000, 3]", "side of 900000000"),
        ('"layers": [', '"layers": 7, "others": [', "is damaged"),
        ('"layers": [', f'"deep": {_nested(100_000)}, "layers": [', "is damaged"),
    ],
    ids=["units", "input", "layers", "depth"],
)
def test_a_description_that_claims_what_the_file_lacks_is_refused(tmp_path, old, new, reason):
    path, hostile = save(small_classifier(), tmp_path / "sound.keras"), tmp_path / "hostile.keras"
    with zipfile.ZipFile(path) as sound, zipfile.ZipFile(hostile, "w") as made:
        for name in sound.namelist():
            content = sound.read(name)
            if name == "config.json":
                assert old in content.decode()
                content = content.decode().replace(old, new).encode()
            made.writestr(name, content)
    assert load_classifier(path)
    with pytest.raises(ConversionError, match=reason) as caught:
        load_classifier(hostile)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
