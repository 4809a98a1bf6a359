"""Data layouts, sampling, and a whole training run on a small set."""

import dataclasses
import json
import zipfile
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import make_dataset, run_module

from train.augment import augment
from train.data import TRAINING, DatasetError, Example, find_examples, load_pixels
from train.metrics import measure
from train.model import build_model
from train.recipe import Recipe
from train.training import Batches, WeightAverage, sampling_weights


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data") / "halves", count=16)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_set_with_splits_keeps_them(dataset):
    examples = find_examples(dataset)
    counts = Counter((e.split, e.smoking) for e in examples)
    assert set(counts.values()) == {16}
    assert len(counts) == 6
    assert {e.dataset for e in examples} == {"halves"}


def test_one_folder_an_action_is_split_in_every_folder(tmp_path):
    for action in ("smoking", "drinking", "phoning"):
        touch(tmp_path, *(f"{action}/{n}.jpg" for n in range(20)))
    examples = find_examples(tmp_path)
    assert {e.group for e in examples if e.smoking} == {"smoking"}
    for action in ("smoking", "drinking", "phoning"):
        splits = Counter(e.split for e in examples if e.group == action)
        assert splits == {"Training": 15, "Validation": 2, "Testing": 3}
    assert find_examples(tmp_path) == examples


@pytest.mark.parametrize(
    ("name", "smoking"), [("smoking_wild", True), ("Not Smoking", False), ("not-smoking", False)]
)
def test_a_lone_folder_is_one_class_by_its_name(tmp_path, name, smoking):
    touch(tmp_path / name, *(f"{n}.png" for n in range(20)))
    assert {e.smoking for e in find_examples(tmp_path / name)} == {smoking}


def test_what_is_no_data_set_is_refused_with_what_was_expected(tmp_path):
    touch(tmp_path / "holiday", "1.jpg")
    for folder in ("holiday", "missing"):
        with pytest.raises(DatasetError, match=folder):
            find_examples(tmp_path / folder)
    with pytest.raises(DatasetError, match="one folder a class"):
        find_examples(tmp_path / "holiday")


def test_the_real_sets_work_as_they_are(real_data):
    smoker = find_examples(real_data / "smoker")
    assert Counter((e.split, e.smoking) for e in smoker) == {
        ("Training", True): 358,
        ("Training", False): 358,
        ("Validation", True): 90,
        ("Validation", False): 90,
        ("Testing", True): 112,
        ("Testing", False): 112,
    }
    stanford = find_examples(real_data / "stanford40")
    assert len(stanford) == 2760
    assert sum(e.smoking for e in stanford) == 100
    assert all(e.smoking for e in find_examples(real_data / "smoking_wild"))


def test_unreadable_pictures_are_left_out(tmp_path):
    examples = find_examples(make_dataset(tmp_path / "own", count=2))[:4]
    examples[1].path.write_bytes(b"")
    readable, pixels = load_pixels(examples, size=32)
    assert readable == [examples[0], *examples[2:]]
    assert pixels.shape == (3, 32, 32, 3)


def test_classes_and_sets_are_balanced(tmp_path):
    touch(tmp_path / "a", *(f"smoking/{n}.jpg" for n in range(100)))
    touch(tmp_path / "a", *(f"other/{n}.jpg" for n in range(900)))
    touch(tmp_path / "b", *(f"smoking/{n}.jpg" for n in range(400)))
    examples = find_examples(tmp_path / "a") + find_examples(tmp_path / "b")
    weights = sampling_weights(examples, smoking_share=0.5)
    assert weights.sum() == pytest.approx(1)
    share = Counter()
    for example, weight in zip(examples, weights, strict=True):
        share[example.dataset, example.smoking] += weight
    # Square roots of 100 and 400: the larger set is drawn twice as often, not four times.
    assert share["b", True] == pytest.approx(2 * share["a", True])
    assert share["a", False] == pytest.approx(0.5)


def test_augmentation_changes_the_picture_and_depends_on_its_seed_only(samples):
    from edge_app.imaging import read_pixels

    pixels = read_pixels(samples / "astronaut.jpg")
    first, again, other = (augment(pixels, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == pixels.shape
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert (first != other).any()
    assert (first != pixels).any()


def test_the_figures_are_those_of_their_definitions():
    smoking = np.array([True] * 6 + [False] * 4)
    scores = np.array([0.9, 0.9, 0.9, 0.8, 0.6, 0.2, 0.7, 0.1, 0.1, 0.1])
    figures = measure(smoking, scores, threshold=0.5)
    assert figures["confusion_matrix"] == [[3, 1], [1, 5]]
    assert figures["accuracy"] == pytest.approx(0.8)
    assert figures["classes"]["Smoking"]["recall"] == pytest.approx(5 / 6)
    assert figures["classes"]["NotSmoking"]["precision"] == pytest.approx(3 / 4)
    assert figures["roc_auc"] == pytest.approx(22 / 24)
    assert measure(smoking[:6], scores[:6], 0.5)["roc_auc"] is None


def test_train_convert_and_evaluate_in_one_line(dataset, tmp_path):
    """The three commands one after the other, on a set that a few steps can learn."""
    model, integer = tmp_path / "model.keras", tmp_path / "model.tflite"
    weights = tmp_path / "backbone.weights.h5"
    import keras

    keras.utils.set_random_seed(1)
    keras.applications.MobileNetV2(
        include_top=False, input_shape=(224, 224, 3), weights=None
    ).save_weights(weights)
    trained = run_module(
        *("train", "--data", dataset, "--weights", weights, "--out", model),
        *("--epochs", "1", "--samples", "32"),
    )
    assert trained.returncode == 0, trained.stderr
    assert "Training: 16 Smoking, 16 NotSmoking" in trained.stdout
    assert model.stat().st_size < 12e6
    with zipfile.ZipFile(model) as members:
        decision = json.loads(members.read("decision.json"))
    assert decision["threshold"] == 0.5
    assert "validation pictures" in decision["chosen"]
    assert model.with_suffix(".csv").read_text().startswith("epoch,")

    converted = run_module("convert", model, "--calibration", dataset, "--out", integer)
    assert converted.returncode == 0, converted.stderr
    from edge_app import Classifier

    assert Classifier(integer).info.decision.chosen == decision["chosen"]

    for path in (model, integer):
        out = tmp_path / f"evaluation_{path.suffix[1:]}"
        measured = run_module("train.evaluate", path, dataset, "--out", out)
        assert measured.returncode == 0, measured.stderr
        report = json.loads((out / "evaluation.json").read_text())
        assert report["datasets"]["halves"]["pictures"] == 32
        for plot in ("confusion_matrix", "scores", "curves"):
            assert (out / "halves" / f"{plot}.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "model.h5"], "does not end in .keras"),
        (["--weights", "missing.h5"], "missing.h5: there is no such file"),
        (["--data", "missing"], "there is no such folder"),
    ],
)
def test_wrong_usage_is_one_clear_message(dataset, tmp_path, arguments, message):
    result = run_module("train", "--data", dataset, "--out", tmp_path / "model.keras", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture
def tiny():
    """A recipe of seconds, with all that can be switched on, and data for it."""
    recipe = Recipe(
        epochs=2,
        samples=32,
        batch=8,
        sizes=(32, 64),
        size_shares=(0.5, 0.5),
        weight_average=0.9,
        blanks=0.2,
        mixup=0.2,
        action_weight=0.3,
    )
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (24, 64, 64, 3), np.uint8)
    groups = ["smoking", "drinking", "phoning"]
    examples = [
        Example(Path(f"{i}.jpg"), i % 3 == 0, "actions", groups[i % 3], TRAINING) for i in range(24)
    ]
    return recipe, (examples, pixels)


def test_a_run_that_was_broken_off_ends_where_it_would_have(tiny, tmp_path, monkeypatch):
    import train.training as training

    recipe, data = tiny

    def run(checkpoint):
        keras.utils.set_random_seed(0)
        model = build_model(None, "block_16_project", size=None)
        training.fit(model, data, data, recipe, tmp_path / "log.csv", checkpoint)
        return np.concatenate([weights.ravel() for weights in model.get_weights()])

    expected = run(None)
    checkpoint, watched = tmp_path / "run.checkpoint.npz", training._is_watched

    def stop_in_the_second_epoch(epoch, recipe):
        if epoch == 1:
            raise KeyboardInterrupt
        return watched(epoch, recipe)

    with monkeypatch.context() as patch:
        patch.setattr(training, "_is_watched", stop_in_the_second_epoch)
        with pytest.raises(KeyboardInterrupt):
            run(checkpoint)
    assert checkpoint.exists()
    with pytest.raises(training.CheckpointError, match="delete it to begin anew"):
        training.fit(
            build_model(None, "block_16_project", size=None),
            data,
            data,
            dataclasses.replace(recipe, seed=2),
            checkpoint=checkpoint,
        )
    assert run(checkpoint) == pytest.approx(expected, abs=1e-5)
    assert not checkpoint.exists()


def test_a_batch_has_its_size_blanks_and_actions(tiny):
    recipe, (examples, pixels) = tiny
    for epoch, size in ((0, 32), (1, 64)):
        batch, targets = Batches(examples, pixels, recipe, epoch)[0]
        assert batch.shape == (8, size, size, 3)
        assert targets["smoking"].shape == (8, 1)
        assert targets["action"].shape == (8, 3)
        assert np.all(targets["action"].sum(axis=1) <= 1 + 1e-6)
    only_blanks = dataclasses.replace(recipe, blanks=1.0, mixup=0)
    _, targets = Batches(examples, pixels, only_blanks, 0)[0]
    assert not targets["smoking"].any()
    assert not targets["action"].any()


def test_the_average_follows_the_weights(tiny):
    variable = keras.Variable(np.zeros(3, np.float32))
    average = WeightAverage([variable], 0.9)
    for _ in range(200):
        variable.assign_add(np.full(3, 0.01, np.float32))
        average.on_train_batch_end(0)
    # Behind a steady climb, an average lags by momentum / (1 - momentum) steps.
    assert average.averages[0] == pytest.approx(2.0 - 0.09, abs=1e-3)
    average.swap()
    assert np.asarray(variable) == pytest.approx(1.91, abs=1e-3)
    average.swap()
    assert np.asarray(variable) == pytest.approx(2.0, abs=1e-3)
