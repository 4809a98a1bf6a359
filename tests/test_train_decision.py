"""Calibration, threshold, uncertain band and looks, fitted to scores."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from edge_app.decision import read_decision
from edge_app.looks import combine_all
from train.decide import LOWEST, SIZES, Candidate, choose, compare, describe_candidates, moved
from train.decision import (
    DecisionError,
    Sample,
    fit_decision,
    fit_first,
    fit_looks,
    limit,
    platt,
    tail_threshold,
    uncertain_band,
)
from train.recipe import read_recipe

NUMBERS = read_recipe().decision


@pytest.fixture
def sample() -> Sample:
    """Two families; the further looks see more than the first, the last the most."""
    rng = np.random.default_rng(5)
    smoking = np.arange(1200) % 3 == 0
    families = np.where(np.arange(1200) % 4 == 0, "no person", "ordinary")
    truth = np.where(smoking, 2.0, -2.0)
    looks = [truth + rng.normal(0, spread, 1200) for spread in (2.2, 4.0, 4.0, 1.0)]
    return Sample(np.stack(looks, 1), smoking, families, ("ordinary", "no person"))


def alarms(scores: np.ndarray, sample: Sample) -> list[float]:
    return [float(np.mean(scores[places] >= 0.5)) for places in sample.negatives().values()]


def test_a_model_that_is_worse_than_chance_is_refused_not_inverted(sample):
    with pytest.raises(DecisionError, match="labels are swapped"):
        platt(-sample.logits[:, 0], sample.smoking)
    with pytest.raises(DecisionError, match="no better than chance"):
        platt(np.zeros(1200), sample.smoking)
    with pytest.raises(DecisionError, match="both labels, got 800 NotSmoking and 0"):
        platt(sample.logits[~sample.smoking, 0], sample.smoking[~sample.smoking])


def test_scores_that_are_too_sure_are_calibrated(sample):
    assert platt(10 * sample.logits[:, 3], sample.smoking) == pytest.approx(
        platt(sample.logits[:, 3], sample.smoking) / 10, rel=0.01
    )


def test_labels_that_are_told_apart_have_a_finite_slope():
    assert 0 < platt(np.array([-3.0, -2, 2, 3] * 20), np.array([False, False, True, True] * 20)) < 9


def test_the_tail_gives_the_quantile_of_an_exponential_distribution():
    logits = np.random.default_rng(1).exponential(size=100_000)
    assert tail_threshold(logits, 0.02) == pytest.approx(-np.log(0.02), rel=0.03)
    assert tail_threshold(logits, 0.3) == pytest.approx(np.quantile(logits, 0.7))


def test_no_more_than_the_allowed_share_is_a_false_alarm(sample):
    rng = np.random.default_rng(0)
    for size in (60, 182, 665):
        # Two humps, for which an exponential tail is wrong.
        values = np.where(rng.random(size) < 0.05, 5, -5) + rng.normal(size=size)
        assert np.mean(values >= limit(values, 0.02)) <= 0.02


def test_the_threshold_keeps_the_limit_in_every_family(sample):
    logits = sample.logits + 3 * (sample.families == "no person")[:, None]
    scale, bias = fit_first(replace(sample, logits=logits), 0.02)
    found = alarms(1 / (1 + np.exp(-(scale * logits[:, 0] + bias))), sample)
    assert max(found) <= 0.02 and found[1] > 0.005 > found[0]


def test_looks_keep_the_limit_and_find_more(sample):
    scale, bias = fit_first(sample, 0.02)
    calibrated = replace(sample, logits=scale * sample.logits + bias)
    one, _ = fit_decision(replace(calibrated, logits=calibrated.logits[:, :1]), NUMBERS, (), 0.0)
    two, scores = fit_decision(
        replace(calibrated, logits=calibrated.logits[:, [0, 3]]), NUMBERS, (0.55,), -3.0
    )
    assert one.looks is None and two.looks.sizes == (0.55,) and two.looks.lowest == -3.0
    assert max(alarms(scores, sample)) <= 0.02
    first = 1 / (1 + np.exp(-calibrated.logits[:, 0]))
    gained = (scores >= 0.5)[sample.smoking].mean() - (first >= 0.5)[sample.smoking].mean()
    assert gained > 0.1


def test_pictures_without_a_further_look_keep_their_first_score(sample):
    scale, bias = fit_first(sample, 0.02)
    logits = scale * sample.logits[:, [0, 3]] + bias
    logits[::5, 1] = np.nan
    fitted, scores = fit_decision(replace(sample, logits=logits), NUMBERS, (0.55,), -3.0)
    alone = np.isnan(logits[:, 1]) | (logits[:, 0] < -3)
    np.testing.assert_allclose(scores[alone], 1 / (1 + np.exp(-logits[alone, 0])))
    assert "600 NotSmoking pictures (ordinary) and of 200" in fitted.chosen


def test_the_uncertain_band_holds_few_pictures_of_each_family(sample):
    scale, bias = fit_first(sample, 0.02)
    scores = 1 / (1 + np.exp(-(scale * sample.logits[:, 0] + bias)))
    low, high = uncertain_band(scores, sample, 0.5, NUMBERS)
    assert 0 < low < 0.5 <= high < 1
    for places in sample.negatives().values():
        inside = (scores[places] >= low) & (scores[places] < high)
        assert inside.mean() <= NUMBERS.uncertain_limit
    wide, _ = uncertain_band(scores, sample, 0.5, replace(NUMBERS, uncertain_limit=0.9))
    assert wide < low


def test_all_choices_are_compared_and_the_best_is_chosen(sample):
    scale, bias = fit_first(sample, 0.02)
    candidates = compare(replace(sample, logits=scale * sample.logits + bias), NUMBERS)
    assert [c.sizes for c in candidates[::5]] == [(), (0.85,), (0.7,), (0.55,), (0.85, 0.7)]
    assert [c.lowest for c in candidates[1:6]] == list(LOWEST)
    sizes, lowest = choose(candidates)
    assert sizes == (0.55,) and lowest in LOWEST
    shown = describe_candidates(candidates, 5.0)
    assert "| + 0.85 + 0.7 | -4 |" in shown and "no person: recall at 1/2/5 %" in shown


def test_a_look_that_brings_nothing_is_not_taken():
    one = Candidate((), -4.0, {}, 0.7, 0.0)
    other = Candidate((0.7,), -4.0, {}, 0.705, 0.5)
    assert choose([one, other]) == ((), -4.0)


def test_as_few_pictures_are_looked_at_again_as_the_recall_allows():
    one = Candidate((), -4.0, {}, 0.7, 0.0)
    recalls, again = (0.8, 0.8, 0.799, 0.79, 0.7), (0.9, 0.5, 0.3, 0.2, 0.1)
    numbers = zip(LOWEST, recalls, again, strict=True)
    further = [Candidate((0.7,), lowest, {}, recall, share) for lowest, recall, share in numbers]
    assert choose([one, *further]) == ((0.7,), -2.0)


def test_a_decision_moved_with_its_logits_decides_the_same(sample):
    scale, bias = fit_first(sample, 0.02)
    logits = scale * sample.logits[:, [0, 3]] + bias
    fitted, scores = fit_decision(replace(sample, logits=logits), NUMBERS, (0.55,), -2.0)
    shifted = moved(fitted, 1.5)
    other = 1 / (1 + np.exp(-combine_all(logits + 1.5, shifted.looks)))
    assert np.array_equal(scores >= 0.5, other >= shifted.threshold)
    assert np.array_equal(
        [fitted.is_uncertain(s) for s in scores], [shifted.is_uncertain(s) for s in other]
    )


def test_numbers_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="false_alarms"):
        replace(NUMBERS, false_alarms=0)


def test_fit_looks_of_a_sample_without_smoking_says_so(sample):
    from edge_app.looks import Looks

    none = replace(sample, smoking=np.zeros(1200, bool))
    with pytest.raises(DecisionError, match="both labels"):
        fit_looks(none, [3], Looks((0.55,), -16.0), 0.02)


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


def test_the_command_fits_a_tflite_file_and_prints_all_choices(pictures, tmp_path):
    from conftest import SHIPPED_INT8, run_module

    out = tmp_path / "d.tflite"
    result = run_module("train.decide", SHIPPED_INT8, "--data", pictures, "--out", out)
    assert result.returncode == 0, result.stderr
    assert re.search(r"^\| \+ 0.85 \+ 0.7 +\| +-4 +\|", result.stdout, re.M), result.stdout
    decision = read_decision(str(out))
    assert 0 < decision.threshold < 1 and "all" in decision.chosen
    assert out.read_bytes()[:1000] == SHIPPED_INT8.read_bytes()[:1000]


@pytest.mark.slow
def test_the_command_folds_the_calibration_into_a_keras_file(pictures, tmp_path):
    from conftest import SHIPPED_KERAS, run_module

    from train.data import find_examples
    from train.scoring import load_model, score

    out = tmp_path / "d.keras"
    options = ("--data", pictures, "--out", out, "--looks", "0.7", "--from", "-2")
    result = run_module("train.decide", SHIPPED_KERAS, *options)
    assert result.returncode == 0, result.stderr
    decision = read_decision(str(out))
    assert decision.threshold == 0.5 and decision.looks.sizes == (0.7,)
    examples = find_examples(pictures)
    before, after = (
        score(load_model(file), examples, SIZES[1:2]).logits for file in (SHIPPED_KERAS, out)
    )
    told = np.abs(after) < 15  # float32 scores cannot tell more than 16
    slope, shift = np.polyfit(before[told], after[told], 1)
    assert slope > 0 and told.mean() > 0.5
    np.testing.assert_allclose(after[told], slope * before[told] + shift, atol=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--looks", "0.3"], "--looks: expected none or one of"),
        (["--out", "x.keras"], "expected a .tflite file"),
        (["--split", "Testing"], "there are no Testing pictures"),
    ],
)
def test_wrong_usage_is_one_clear_line(options, message, pictures):
    from click.testing import CliRunner
    from conftest import SHIPPED_INT8

    from train.decide import main

    result = CliRunner().invoke(main, [str(SHIPPED_INT8), "--data", str(pictures), *options])
    assert result.exit_code == 1 and message in result.output
