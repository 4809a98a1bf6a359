"""The evaluation of models: figures with intervals, tables, plots, and its command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import SHIPPED_INT8, SHIPPED_KERAS
from PIL import Image
from sklearn.metrics import roc_auc_score

from train.data import Example, find_examples
from train.evaluate import CONDITIONS, _appearance, _size, looks_alone, main
from train.metrics import (
    area,
    delong,
    expected_calibration_error,
    measure,
    percent,
    recall_at,
    share,
)
from train.scoring import load_model, score


def test_a_share_has_wilsons_interval():
    figure = share(219, 224)
    assert figure["interval"] == pytest.approx([0.9488, 0.9904], abs=1e-4)
    assert percent(figure) == "97.8 % (219 of 224; 94.9 to 99.0)"
    assert percent(share(0, 0)) == "-"


def test_the_auc_is_that_of_scikit_learn_and_its_interval_covers_the_truth():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        positive, negative = rng.normal(1, 1, 60), rng.normal(0, 1, 90)
        figure = delong(positive, negative)
        low, high = figure["interval"]
        covered += low <= 0.7602 <= high  # Phi(1 / sqrt(2))
    expected = roc_auc_score([1] * 60 + [0] * 90, np.concatenate([positive, negative]))
    assert figure["value"] == pytest.approx(expected)
    assert 0.9 <= covered / 200 <= 0.99
    assert delong(positive, negative[:0]) is None and area(None) == "-"


def test_the_recall_at_a_share_of_false_alarms_counts_them():
    negative, positive = np.arange(100) / 100, np.array([0.5, 0.975, 0.985, 0.995])
    assert recall_at(positive, negative, 0.02)["hits"] == 3
    assert recall_at(positive, negative, 0.01)["hits"] == 2
    assert recall_at(positive[:0], negative, 0.01) is None


def test_ties_are_false_alarms_not_hits():
    assert recall_at(np.ones(4), np.ones(100), 0.02)["hits"] == 0


def test_calibrated_scores_have_no_calibration_error():
    scores = np.repeat([0.1, 0.5, 0.9], 1000)
    smoking = np.concatenate([np.arange(1000) < n for n in (100, 500, 900)])
    assert expected_calibration_error(scores, smoking) == pytest.approx(0, abs=1e-9)
    assert expected_calibration_error(1 - scores, smoking) == pytest.approx(0.533, abs=0.01)


def test_figures_are_counted():
    smoking = np.array([True, True, False, False, False])
    result = measure(smoking, np.array([0.9, 0.45, 0.6, 0.1, 0.2]), 0.5, (0.4, 0.7))
    assert result["confusion_matrix"] == [[2, 1], [1, 1]]
    assert (result["recall"]["hits"], result["false_alarms"]["hits"]) == (1, 1)
    assert result["uncertain"]["hits"] == 2 and result["accuracy"] == 0.6


def example(path: Path, smoking: bool, number: int) -> Example:
    return Example(path, f"set/{number}", "set", "", smoking, f"{number}")


def test_looks_that_tell_the_label_are_noticed(tmp_path):
    rng = np.random.default_rng(0)
    told, untold = [], []
    for number in range(80):
        smoking = number % 2 == 0
        brightness = int(rng.integers(60, 120)) + 60 * smoking
        Image.fromarray(rng.integers(0, brightness, (64, 64, 3), np.uint8)).save(
            tmp_path / f"{number}.png"
        )
        told.append(example(tmp_path / f"{number}.png", smoking, number))
        untold.append(example(tmp_path / f"{number}.png", bool(rng.integers(2)), number))
    assert looks_alone(told)["set"]["auc"] > 0.95
    assert 0.3 < looks_alone(untold)["set"]["auc"] < 0.7


def test_the_look_of_a_picture_is_named(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(90, 200, (224, 224, 3), np.uint8)
    barred, grey = pixels.copy(), np.repeat(pixels[..., :1], 3, 2)
    barred[:24] = barred[-24:] = 0
    names = {"other": pixels, "film bars": barred, "black and white": grey, "dark": pixels // 4}
    for name, content in names.items():
        Image.fromarray(content).save(tmp_path / "a.png")
        assert _appearance(example(tmp_path / "a.png", True, len(name))) == name


def test_sizes_are_in_pixels_of_the_models_input():
    picture = example(Path("a"), True, 1)
    boxes = (((0.0, 0.0, 0.05, 0.06),), ((0.1, 0.1, 0.2, 0.2), (0.1, 0.1, 0.9, 0.2)), ())
    sizes = [_size(replace(picture, boxes=of)) for of in boxes]
    assert sizes == ["below 16 pixels", "64 and more", None]
    assert _size(replace(picture, smoking=False, boxes=boxes[0])) is None


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions_change_pixels_and_not_their_shape(name):
    pixels = np.random.default_rng(0).integers(60, 200, (224, 224, 3), np.uint8)
    changed = CONDITIONS[name](pixels.copy())
    assert changed.shape == pixels.shape and changed.dtype == np.uint8
    assert np.array_equal(changed, pixels) == (name == "as they are")
    assert np.array_equal(changed, CONDITIONS[name](pixels.copy()))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, samples) -> Path:
    """A small data set made of the samples; its labels mean nothing."""
    folder = tmp_path_factory.mktemp("pictures") / "mine"
    rng = np.random.default_rng(0)
    image = Image.open(samples / "astronaut.jpg").convert("RGB")
    for number in range(16):
        side = int(rng.integers(150, 400))
        x, y = (int(rng.integers(0, 512 - side)) for _ in range(2))
        kind = ["smoker", "phoning", "drinking", "smoker"][number % 4]
        (folder / kind).mkdir(parents=True, exist_ok=True)
        image.crop((x, y, x + side, y + side)).save(folder / kind / f"{number}.png")
    return folder


def evaluate(*arguments: object):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_anybodys_folder_is_measured_and_shown(pictures, tmp_path):
    result = evaluate(
        *(SHIPPED_INT8, pictures, "--positive", "smoker", "--out", tmp_path / "evaluation"),
        *("--worst", tmp_path / "worst.jpg", "--quick"),
    )
    assert result.exit_code == 0, result.output
    assert "recall at 2 %" in result.output and "phoning 4" in result.output
    report = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    assert report["datasets"]["mine"]["pictures"] == 16
    assert set(report["kinds_without_smoking"]) == {"mine: drinking", "mine: phoning"}
    text = (tmp_path / "EVALUATION.md").read_text()
    assert "## By data set" in text and "(evaluation/plots.png)" in text
    assert Image.open(tmp_path / "evaluation" / "plots.png").width > 900
    assert Image.open(tmp_path / "worst.jpg").width > 500


def test_pictures_of_one_label_are_measured(pictures, tmp_path):
    for option in ("--positive", "--negative"):
        folder, out = pictures / "smoker", tmp_path / option
        result = evaluate(SHIPPED_INT8, folder, option, "smoker", "--quick", "--out", out)
        assert result.exit_code == 0, result.output
        assert (out / "plots.png").stat().st_size


def test_changed_pictures_and_looks_alone_are_measured(pictures, tmp_path):
    out = tmp_path / "evaluation"
    result = evaluate(SHIPPED_INT8, pictures, "--positive", "smoker", "--out", out)
    assert result.exit_code == 0, result.output
    report = json.loads((out / "evaluation.json").read_text())
    assert report["conditions"].keys() == CONDITIONS.keys()
    assert "points lost" in (tmp_path / "EVALUATION.md").read_text()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.tflite", b"nothing", "m.tflite"),
        ("m.keras", b"nothing", "cannot load it; did a newer Keras write it?"),
        ("m.txt", b"nothing", "expected a .keras, .h5 or .tflite file"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_one_line(name, content, message, pictures, tmp_path):
    (tmp_path / name).write_bytes(content)
    result = evaluate(tmp_path / name, pictures, "--positive", "smoker")
    assert result.exit_code == 1 and message in result.output
    assert isinstance(result.exception, SystemExit)
    assert sum("Error" in line for line in result.output.splitlines()) == 1


def test_ambiguous_folders_are_refused(pictures):
    result = evaluate(SHIPPED_INT8, pictures)
    assert result.exit_code == 1 and "--positive smoker or --negative smoker" in result.output


def test_a_split_without_pictures_is_said(pictures):
    result = evaluate(SHIPPED_INT8, pictures, "--positive", "smoker", "--split", "Testing")
    assert result.exit_code == 1 and "no Testing pictures" in result.output


@pytest.mark.slow
def test_both_formats_give_the_same_scores_and_looks(pictures):
    examples = find_examples(pictures, positive=["smoker"])
    integer, original = (
        score(load_model(file), examples, (0.7,))[1] for file in (SHIPPED_INT8, SHIPPED_KERAS)
    )
    p, q = (1 / (1 + np.exp(-logits)) for logits in (integer, original))
    assert p.shape == (16, 2)
    assert np.nanmean(np.abs(p[:, 0] - q[:, 0])) < 0.02
    both = ~np.isnan(p[:, 1]) & ~np.isnan(q[:, 1])
    assert both.sum() >= 8 and np.median(np.abs(p - q)[both, 1]) < 0.1


def test_a_model_whose_positive_label_is_the_other_one_is_told(pictures, tmp_path):
    arguments = ("--negative", "smoker", "--split", "all", "--quick", "--out", tmp_path / "out")
    swapped = evaluate(SHIPPED_INT8, pictures, *arguments, "--positive", "phoning")
    assert "Worse than chance" in swapped.output
