"""The views and the training of the student: exact, resumable, careful with the user's folders."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT, make_dataset, run_module
from fixtures import write_training
from packaging.version import Version

from edge_app.decision import read_decision
from train.data import Example, find_examples, load_picture, read_pictures
from train.recipe import SHIPPED, Recipe, read_recipe
from train.student import build_student, fit, open_folder, start_weights
from train.views import SIZE, Views, blank, crop_box

RECIPE = read_recipe()
VIEWS = RECIPE.views
SHORT = {"steps": 6, "batch": 4, "warmup": 1, "checkpoint": 2, "ema": 0.5}


def recipe_with(seed: int = 1, **student) -> Recipe:
    return replace(RECIPE, seed=seed, student=replace(RECIPE.student, **student))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[tuple[Example, np.ndarray]]:
    folder = make_dataset(tmp_path_factory.mktemp("data") / "set")
    box = ((0.4, 0.4, 0.6, 0.6),)
    read = read_pictures(find_examples(folder), load_picture)
    return [(replace(example, boxes=box), picture) for example, picture in read]


def views(pictures, first: int = 0, steps: int = 4, seed: int = 1, batch: int = 16) -> Views:
    return Views(pictures, np.ones(len(pictures)), recipe_with(seed, batch=batch), first, steps)


def train(pictures, start, state, said=None, **changes) -> keras.Model:
    recipe = recipe_with(**{**SHORT, **changes})

    def batches(first, steps):
        return views(pictures, first, steps, batch=recipe.student.batch)

    say = (said if said is not None else []).append
    return fit(lambda: build_student(start), batches, state, recipe, say)


def test_views_follow_from_the_seed_and_the_number_of_the_batch(pictures):
    pixels, labels = views(pictures)[3]
    again, same = views(pictures, first=2)[1]
    assert np.array_equal(pixels, again) and np.array_equal(labels, same)
    assert not np.array_equal(pixels, views(pictures, seed=2)[3][0])
    assert not np.array_equal(pixels, views(pictures)[2][0])


def test_views_are_pictures_and_smoothed_labels(pictures):
    pixels, labels = views(pictures)[0]
    assert pixels.shape == (16, SIZE, SIZE, 3) and pixels.dtype == np.float32
    assert pixels.min() >= 0 and pixels.max() <= 255
    assert labels.shape == (16, 1) and 0.01 <= labels.min() <= labels.max() <= 0.99


def test_a_crop_of_a_smoking_picture_keeps_what_is_smoked():
    box = np.array([[0.8, 0.1, 0.9, 0.2]])
    odds, areas = {**VIEWS, "whole": 0}, []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        left, top, right, bottom = crop_box((400, 300), box, True, odds, rng)
        assert 0 <= left < right <= 400.001 and 0 <= top < bottom <= 300.001
        seen = max(0, min(right, 360) - max(left, 320)) * max(0, min(bottom, 60) - max(top, 30))
        assert seen >= 0.69 * 40 * 30
        areas.append((right - left) * (bottom - top) / 120_000)
    assert min(areas) < 0.35


def test_blank_pictures_are_of_many_kinds():
    spreads = [blank(np.random.default_rng(seed)).std() for seed in range(40)]
    assert min(spreads) < 2 and max(spreads) > 20


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("mixup = 2", "views.mixup: Input should be less than or equal to 1"),
        ("mixup = true_", "cannot be read"),
        ("steps = 0", "student.steps"),
        ('batch = "many"', "student.batch: Input should be a valid integer"),
        ("warmup = 600", "student: Value error, warmup: expected fewer steps than steps"),
        ("clip = 1.0\nstepz = 3", "student.stepz: Unexpected"),
        ("jpeg = 0.1\nbars_ = 1", "views: missing or unknown: bars_"),
        ("jpeg_ = 0.1", "views: missing or unknown: jpeg, jpeg_"),
        ("bars = ", "cannot be read"),
    ],
)
def test_a_number_of_the_recipe_that_makes_no_sense_is_one_line(line, message, tmp_path):
    name = line.split(" = ")[0].rstrip("_")
    text = re.sub(rf"^{name} = .*", line, SHIPPED.read_text(), flags=re.MULTILINE)
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        read_recipe(tmp_path / "mine.toml")
    assert "mine.toml" in str(error.value) and "\n" not in str(error.value)


def test_a_part_that_is_missing_or_unknown_is_named(tmp_path):
    (tmp_path / "mine.toml").write_text(SHIPPED.read_text().replace("[families]", "[family]"))
    with pytest.raises(ValueError, match=r"family: Unexpected .*; families: (Field|Missing)|fam"):
        read_recipe(tmp_path / "mine.toml")


@pytest.mark.slow
def test_an_interrupted_training_ends_with_the_same_weights(pictures, start, tmp_path):
    whole = train(pictures, start, tmp_path / "whole.keras").get_weights()
    seen: list[str] = []

    class Stop(Exception):
        pass

    class Pulled(list):
        def append(self, line: str) -> None:
            seen.append(line)
            if " 4/6 " in line:
                raise Stop

    with pytest.raises(Stop):
        train(pictures, start, tmp_path / "part.keras", said=Pulled())
    resumed = train(pictures, start, tmp_path / "part.keras", said=seen)
    assert [re.search(r"\d/6", line)[0] for line in seen if "/6" in line] == ["2/6", "4/6", "6/6"]
    for expected, got in zip(whole, resumed.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)
    before = build_student(start).get_weights()
    moved = max(np.abs(a - b).max() for a, b in zip(whole, before, strict=True))
    assert moved > 1e-4


def test_a_checkpoint_says_how_long_it_has_to_go(pictures, start, tmp_path):
    said: list[str] = []
    train(pictures, start, tmp_path / "state.keras", said, steps=2)
    assert re.fullmatch(r"[\d:]+ 2/2 loss [\d.]+ [\d.]+ s/step, 0 min to go", said[-1])


def test_batch_normalization_is_frozen(pictures, start, tmp_path):
    def statistics(model):
        return [
            w.numpy()
            for layer in model._flatten_layers()
            for w in layer.non_trainable_variables
            if isinstance(layer, keras.layers.BatchNormalization) and "moving" in w.path
        ]

    before = statistics(build_student(start))
    frozen = statistics(train(pictures, start, tmp_path / "a.keras", steps=2))
    assert before and all(np.array_equal(a, b) for a, b in zip(before, frozen, strict=True))


def test_a_folder_of_the_users_own_is_refused_and_untouched(tmp_path):
    mine = tmp_path / "mine-training"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="is not empty"):
        open_folder(mine, {"recipe": "a"})
    assert [p.name for p in mine.iterdir()] == ["thesis.txt"]
    open_folder(tmp_path / "new", {"recipe": "a"})
    open_folder(tmp_path / "new", {"recipe": "a"})
    with pytest.raises(ValueError, match="another recipe"):
        open_folder(tmp_path / "new", {"recipe": "b"})


def test_the_start_is_verified(start, tmp_path):
    import hashlib

    assert start_weights("imagenet", tmp_path) == "imagenet"
    assert start_weights(str(start), tmp_path) == str(start)
    with pytest.raises(ValueError, match="no such file"):
        start_weights("missing.keras", tmp_path)
    with pytest.raises(ValueError, match="git show 0000:nothing failed"):
        start_weights({"git": "0000:nothing", "sha256": "0"}, tmp_path)
    copy = tmp_path / "start.keras"
    copy.write_bytes(start.read_bytes())
    right = hashlib.sha256(start.read_bytes()).hexdigest()
    assert start_weights({"git": "0000:nothing", "sha256": right}, tmp_path) == str(copy)
    with pytest.raises(ValueError, match="is another file"):
        start_weights({"git": "0000:nothing", "sha256": "0" * 64}, tmp_path)


def test_the_start_of_the_recipe_is_in_the_history(tmp_path):
    commit = RECIPE.start["git"].split(":")[0]
    known = subprocess.run(["git", "-C", ROOT, "cat-file", "-e", commit], capture_output=True)
    if known.returncode:
        pytest.skip("needs a clone with its history")
    file = start_weights(RECIPE.start, tmp_path)
    if Version(keras.__version__) < Version("3.15"):
        with pytest.raises(ValueError, match="did a newer Keras write it"):
            build_student(file)
        pytest.skip("needs Keras 3.15, which wrote that file, and with it Python 3.11")
    assert build_student(file).outputs[0].shape == (None, 1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, start) -> tuple[Path, str]:
    """A model trained by the command with a small recipe, and what was printed."""
    folder = tmp_path_factory.mktemp("trained")
    write_training(folder, start)
    arguments = ("train", "--data", "set", "--out", "m.keras", "--recipe", "small.toml")
    result = run_module(*arguments, cwd=folder)
    assert result.returncode == 0, result.stderr[-2000:]
    return folder, result.stdout


def test_one_command_trains_and_decides(trained):
    folder, said = trained
    assert "NotSmoking" in said and "min to go" in said and "Wrote m.keras" in said
    decision = read_decision(str(folder / "m.keras"))
    assert decision.threshold == 0.5 and decision.uncertain and "false alarms" in decision.chosen
    assert {p.name for p in (folder / "m-training").iterdir()} == {
        *("state.keras", "training.json", "splits.csv")
    }
    assert json.loads((folder / "m-training" / "training.json").read_text())["pictures"] == 48


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "set", "--out", "m.h5"], "does not end in .keras"),
        (["--data", "nothing", "--out", "n.keras"], "no such folder"),
        (["--data", "set", "--out", "n.keras", "--recipe", "none.toml"], "cannot be read"),
        (["--data", "set", "--out", "n.keras", "--state", "."], "is not empty"),
    ],
)
def test_wrong_usage_is_one_clear_line(arguments, message, trained):
    result = run_module("train", *arguments, cwd=trained[0])
    assert result.returncode in (1, 2)
    assert message in result.stderr and "Traceback" not in result.stderr


def test_what_was_understood_can_be_shown_before_training(trained):
    result = run_module("train", "--data", "set", "--out", "x.keras", "--show", cwd=trained[0])
    assert result.returncode == 0, result.stderr
    assert (trained[0] / "x.csv").read_text().startswith("picture,set,kind,smoking,group,split\n")
    assert not (trained[0] / "x-training").exists()
