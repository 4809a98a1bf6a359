"""Calibration, threshold, uncertain band and looks, fitted to scores."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from edge_app.decision import Decision, read_decision
from edge_app.looks import Looks, combine_all
from train.decision import Sample, fit_decision, fit_first, fit_looks, limit, platt, uncertain_band
from train.recipe import SHIPPED, read_recipe

NUMBERS = replace(read_recipe().decision, looks=[0.55])
ONE_LOOK = replace(NUMBERS, looks=[])


@pytest.fixture
def sample() -> Sample:
    """Two families; the second look sees more than the first."""
    rng = np.random.default_rng(5)
    smoking = np.arange(1200) % 3 == 0
    families = np.where(np.arange(1200) % 4 == 0, "no person", "ordinary")
    truth = np.where(smoking, 2.0, -2.0)
    looks = [truth + rng.normal(0, spread, 1200) for spread in (2.2, 1.0)]
    others = {f: np.flatnonzero(~smoking & (families == f)) for f in ("ordinary", "no person")}
    return Sample(np.stack(looks, 1), smoking, others)


def calibrated(sample: Sample, *columns: int) -> Sample:
    scale, bias = fit_first(sample, 0.02)
    return replace(sample, logits=scale * sample.logits[:, list(columns)] + bias)


def scores_of(sample: Sample, decision: Decision) -> np.ndarray:
    return 1 / (1 + np.exp(-combine_all(sample.logits, decision.looks)))


def alarms(scores: np.ndarray, sample: Sample) -> list[float]:
    return [float(np.mean(scores[places] >= 0.5)) for places in sample.negatives.values()]


def test_a_model_that_is_worse_than_chance_is_refused_not_inverted(sample):
    with pytest.raises(ValueError, match="labels are swapped"):
        platt(-sample.logits[:, 0], sample.smoking)
    with pytest.raises(ValueError, match="no better than chance"):
        platt(np.zeros(1200), sample.smoking)
    with pytest.raises(ValueError, match="both labels, got 800 NotSmoking and 0"):
        platt(sample.logits[~sample.smoking, 0], sample.smoking[~sample.smoking])


def test_scores_that_are_too_sure_are_calibrated(sample):
    assert platt(10 * sample.logits[:, 1], sample.smoking) == pytest.approx(
        platt(sample.logits[:, 1], sample.smoking) / 10, rel=0.01
    )


def test_labels_that_are_told_apart_have_a_finite_slope():
    assert 0 < platt(np.array([-3.0, -2, 2, 3] * 20), np.array([False, False, True, True] * 20)) < 9


def test_the_tail_gives_the_quantile_of_an_exponential_distribution():
    logits = np.random.default_rng(1).exponential(size=100_000)
    assert limit(logits, 0.02) == pytest.approx(-np.log(0.02), rel=0.03)
    assert limit(logits, 0.3) == pytest.approx(np.quantile(logits, 0.7), rel=1e-3)


def test_no_more_than_the_allowed_share_is_a_false_alarm(sample):
    rng = np.random.default_rng(0)
    for size in (60, 182, 665):
        # Two humps, for which an exponential tail is wrong.
        values = np.where(rng.random(size) < 0.05, 5, -5) + rng.normal(size=size)
        assert np.mean(values >= limit(values, 0.02)) <= 0.02


def test_the_threshold_keeps_the_limit_in_every_family(sample):
    further = np.zeros((1200, 1))
    further[sample.negatives["no person"]] = 3
    scale, bias = fit_first(replace(sample, logits=sample.logits + further), 0.02)
    values = scale * (sample.logits + further)[:, 0] + bias
    found = alarms(1 / (1 + np.exp(-values)), sample)
    assert max(found) <= 0.02 and found[1] > 0.005 > found[0]


def test_looks_keep_the_limit_and_find_more(sample):
    one, two = calibrated(sample, 0), calibrated(sample, 0, 1)
    first, both = fit_decision(one, ONE_LOOK), fit_decision(two, NUMBERS)
    assert first.looks is None and both.looks.sizes == (0.55,) and both.looks.lowest == -3.0
    before, after = scores_of(one, first), scores_of(two, both)
    assert max(alarms(after, sample)) <= 0.02
    gained = (after >= 0.5)[sample.smoking].mean() - (before >= 0.5)[sample.smoking].mean()
    assert gained > 0.1


def test_pictures_without_a_further_look_keep_their_first_score(sample):
    two = calibrated(sample, 0, 1)
    two.logits[::5, 1] = np.nan
    fitted = fit_decision(two, NUMBERS)
    alone = np.isnan(two.logits[:, 1]) | (two.logits[:, 0] < -3)
    first = 1 / (1 + np.exp(-two.logits[alone, 0]))
    np.testing.assert_allclose(scores_of(two, fitted)[alone], first)
    assert "ordinary (600), no person (200)" in fitted.chosen


def test_the_uncertain_band_holds_few_pictures_of_each_family(sample):
    one = calibrated(sample, 0)
    scores = 1 / (1 + np.exp(-one.logits[:, 0]))
    low, high = uncertain_band(scores, one, NUMBERS)
    assert 0 < low < 0.5 <= high < 1
    for places in sample.negatives.values():
        inside = (scores[places] >= low) & (scores[places] < high)
        assert inside.mean() <= NUMBERS.uncertain_limit
    wide, _ = uncertain_band(scores, one, replace(NUMBERS, uncertain_limit=0.9))
    assert wide < low


def test_a_threshold_elsewhere_decides_the_same(sample):
    two = calibrated(sample, 0, 1)
    other = replace(two, logits=two.logits + 1.5, threshold=1.5)
    fitted, moved = fit_decision(two, NUMBERS), fit_decision(other, NUMBERS)
    scores, shifted = scores_of(two, fitted), scores_of(other, moved)
    assert moved.threshold == pytest.approx(1 / (1 + np.exp(-1.5)))
    assert moved.looks.lowest == pytest.approx(fitted.looks.lowest + 1.5)
    assert np.array_equal(scores >= 0.5, shifted >= moved.threshold)
    assert np.array_equal(
        [fitted.is_uncertain(s) for s in scores], [moved.is_uncertain(s) for s in shifted]
    )


def test_numbers_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="false_alarms"):
        replace(NUMBERS, false_alarms=0)


def test_without_pictures_of_both_labels_to_look_at_again_there_is_one_look(sample):
    none = replace(sample, smoking=np.zeros(1200, bool))
    assert fit_looks(none, Looks((0.55,), -16.0), 0.02) is None
    small = calibrated(sample, 0, 1)
    small.logits[:, 1] = np.nan
    assert fit_decision(small, NUMBERS).looks is None


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, samples):
    """A data set of crops that the shipped model is sure about, and a few that it mistakes."""
    from PIL import Image

    from edge_app import Classifier

    folder = tmp_path_factory.mktemp("set")
    rng, classifier, scored = np.random.default_rng(0), Classifier(), []
    image = Image.open(samples / "astronaut.jpg").convert("RGB")
    for number in range(48):
        side = int(rng.integers(150, 500))
        x, y = (int(rng.integers(0, 512 - side)) for _ in range(2))
        crop = image.crop((x, y, x + side, y + side))
        scored.append((classifier.classify(crop).smoking, number, crop))
    for place, (_, number, crop) in enumerate(sorted(scored, key=lambda x: x[0])):
        name = "Smoking" if place >= 36 else "NotSmoking"
        (folder / "Validation" / name).mkdir(parents=True, exist_ok=True)
        crop.save(folder / "Validation" / name / f"{number}.png")
    return folder


def test_the_command_fits_a_tflite_file(pictures, tmp_path):
    from conftest import SHIPPED_INT8, run_module

    out = tmp_path / "d.tflite"
    result = run_module("train.decision", SHIPPED_INT8, "--data", pictures, "--out", out)
    assert result.returncode == 0, result.stderr
    decision = read_decision(str(out))
    assert 0 < decision.threshold < 1 and "all" in decision.chosen
    assert decision.to_json() in result.stdout
    assert out.read_bytes()[:1000] == SHIPPED_INT8.read_bytes()[:1000]


@pytest.mark.slow
def test_the_command_folds_the_calibration_into_a_keras_file(pictures, tmp_path):
    from conftest import SHIPPED_KERAS, run_module

    from train.data import find_examples
    from train.scoring import load_model, score

    out = tmp_path / "d.keras"
    recipe = tmp_path / "mine.toml"
    text = re.sub(r"^splits = .*\n", "", SHIPPED.read_text(), flags=re.MULTILINE)
    recipe.write_text(text.replace("looks_from = -3.0", "looks_from = -2.0"))
    options = ("--data", pictures, "--out", out, "--recipe", recipe)
    result = run_module("train.decision", SHIPPED_KERAS, *options)
    assert result.returncode == 0, result.stderr
    decision = read_decision(str(out))
    assert decision.threshold == 0.5 and decision.looks.sizes == (0.7,)
    assert decision.looks.lowest == -2
    examples = find_examples(pictures)
    before, after = (score(load_model(file), examples, (0.7,))[1] for file in (SHIPPED_KERAS, out))
    told = np.abs(after) < 15  # float32 scores cannot tell more than 16
    slope, shift = np.polyfit(before[told], after[told], 1)
    assert slope > 0 and told.mean() > 0.5
    np.testing.assert_allclose(after[told], slope * before[told] + shift, atol=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "x.keras"], "expected a .tflite file"),
        (["--split", "Testing"], "expected both labels among the 0 Testing pictures"),
    ],
)
def test_wrong_usage_is_one_clear_line(options, message, pictures):
    from click.testing import CliRunner
    from conftest import SHIPPED_INT8

    from train.decision import main

    result = CliRunner().invoke(main, [str(SHIPPED_INT8), "--data", str(pictures), *options])
    assert result.exit_code == 1 and message in result.output
