"""Scores over time become events; the same ones at any frame rate."""

import numpy as np
import pytest

from edge_app.decision import Decision
from edge_app.live.event_detector import EventDetector, Rule

RATES = [2, 5, 15, 30, 120]


def run(score, rate, seconds=20.0, rule=None):
    """The changes that a score (a function of time) makes at a frame rate, and the detector."""
    detector = EventDetector(rule)
    changes = []
    for number in range(int(seconds * rate)):
        changes += detector.update(float(score(number / rate)), number / rate)
    return changes, detector


@pytest.mark.parametrize("rate", RATES)
def test_an_event_begins_and_ends_at_the_same_times_at_any_rate(rate):
    changes, detector = run(lambda time: 0.95 if 5 <= time < 10 else 0.05, rate)
    assert [event.ended is None for event in changes] == [True, False]
    begun, ended = changes
    assert begun.id == ended.id
    assert ended.started == pytest.approx(5.3, abs=0.5)
    assert ended.ended == pytest.approx(10.4, abs=0.5)
    assert ended.peak == 0.95
    assert 0.75 < ended.mean <= 0.95
    assert detector.state == "clear"


@pytest.mark.parametrize("rate", RATES)
def test_a_short_spike_is_no_event(rate):
    changes, _ = run(lambda time: 1.0 if 5 <= time < 5 + max(0.3, 1 / rate) else 0.0, rate)
    assert changes == []


@pytest.mark.parametrize("rate", RATES)
def test_a_spike_in_the_first_frame_is_no_event(rate):
    assert run(lambda time: 1.0 if time == 0 else 0.0, rate)[0] == []


@pytest.mark.parametrize("rate", RATES)
def test_a_short_dropout_does_not_split_an_event(rate):
    changes, detector = run(lambda time: 0.0 if 8 <= time < 9.4 else 0.9, rate)
    assert len(changes) == 1
    assert detector.state == "smoking"


@pytest.mark.parametrize("rate", [5, 15, 30])
def test_noise_around_the_threshold_does_not_flicker(rate):
    noise = np.random.default_rng(1)
    changes, _ = run(lambda _: np.clip(noise.normal(0.5, 0.25), 0, 1), rate, seconds=300)
    frames = np.random.default_rng(1).normal(0.5, 0.25, 300 * rate) >= 0.5
    flips = int(np.count_nonzero(np.diff(frames)))
    assert flips > 100
    assert len(changes) < flips / 20


def test_a_score_between_the_thresholds_neither_begins_nor_ends_an_event():
    changes, detector = run(lambda _: 0.5, 15)
    assert changes == []
    assert detector.state == "maybe"
    changes, detector = run(lambda time: 0.9 if time < 5 else 0.5, 15)
    assert len(changes) == 1
    assert detector.state == "smoking"


def test_a_long_gap_ends_an_event_where_it_was_last_seen():
    detector = EventDetector()
    times = [*np.arange(0, 3, 0.1), 30.0]
    changes = [event for time in times for event in detector.update(0.9, time)]
    assert [event.ended for event in changes] == [None, pytest.approx(2.9)]
    assert detector.state == "maybe"  # one frame after the gap does not begin another


def test_scores_that_come_seldom_by_wish_are_no_gap():
    rule = Rule().for_rate(0.1)
    changes, _ = run(lambda time: 0.9 if 100 <= time < 300 else 0.0, 0.1, 600, rule)
    assert [(event.started, event.ended) for event in changes] == [(100, None), (100, 300)]
    assert Rule().for_rate(15) == Rule() == Rule().for_rate(None)


def test_a_short_gap_is_bridged():
    detector = EventDetector()
    times = [*np.arange(0, 3, 0.1), *np.arange(6, 9, 0.1)]
    changes = [event for time in times for event in detector.update(0.9, time)]
    assert len(changes) == 1


def test_irregular_frames_give_the_events_of_regular_ones():
    rng = np.random.default_rng(2)
    times = np.cumsum(rng.exponential(1 / 15, 300))
    detector = EventDetector()
    changes = [
        event for time in times for event in detector.update(0.95 if 5 <= time < 10 else 0.05, time)
    ]
    assert [round(event.started) for event in changes] == [5, 5]
    assert round(changes[1].ended) == 10


def test_an_interruption_ends_the_event_and_forgets_the_past():
    detector = EventDetector()
    for number in range(30):
        detector.update(0.9, number / 10)
    (ended,) = detector.interrupt()
    assert ended.ended == pytest.approx(2.9)
    assert ended.frames == 30
    assert (detector.smoothed, detector.state, detector.event) == (None, "clear", None)
    assert detector.interrupt() == []


def test_what_lasts_is_known_so_far():
    _, detector = run(lambda _: 0.8, 10, seconds=3)
    assert detector.event.ended is None
    assert detector.event.frames == 30
    assert detector.event.mean == pytest.approx(0.8)


def test_the_rule_comes_from_the_model():
    assert Rule.of(Decision(threshold=0.5)) == Rule(begin=0.5, end=0.4, maybe=0.4)
    uncertain = Decision(threshold=0.5, uncertain=(0.1, 0.8))
    assert Rule.of(uncertain) == Rule(begin=0.5, end=0.4, maybe=0.1)
    sensitive = Rule.of(uncertain.with_threshold(0.2))
    assert (sensitive.begin, sensitive.end, sensitive.maybe) == pytest.approx((0.2, 1 / 7, 0.1))
    assert Rule.of(uncertain.with_threshold(0.05)).maybe < 0.05  # and the band is another's


def test_a_steady_score_is_called_in_time_what_it_is_called_in_a_picture():
    decision = Decision(threshold=0.5, uncertain=(0.1, 0.5))
    for score, state in ((0.05, "clear"), (0.15, "maybe"), (0.45, "maybe"), (0.5, "smoking")):
        _, detector = run(lambda _, score=score: score, 10, seconds=3, rule=Rule.of(decision))
        assert detector.state == state, score
    for threshold in (0.0, 0.01, 0.99, 1.0):
        rule = Rule.of(Decision(threshold=threshold))
        assert rule.end <= threshold <= rule.begin


@pytest.mark.parametrize(
    "values",
    [{"begin": 0.3, "end": 0.4}, {"begin": 1.1}, {"end_seconds": -1}, {"gap_seconds": np.nan}],
)
def test_a_rule_without_sense_is_refused(values):
    with pytest.raises(ValueError, match="expected"):
        Rule(**values)


def test_scores_and_times_without_sense_are_refused():
    detector = EventDetector()
    detector.update(0.5, 1.0)
    for score, time in ((1.5, 2.0), (float("nan"), 2.0), (0.5, 0.0)):
        with pytest.raises(ValueError, match="expected"):
            detector.update(score, time)
