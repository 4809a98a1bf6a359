"""The state of a visitor's camera, with the time line of its scores."""

from __future__ import annotations

from collections.abc import Sequence

from edge_app.live.event_detector import Rule
from edge_app.web.markup import icon, sentences
from edge_app.web.pool import Pool
from edge_app.web.texts import percent, text

TIME_LINE = 60
"""Scores that the time line has room for."""


def live_card(language: str, pool: Pool, shown: str, scores: Sequence[float]) -> str:
    """The smoothed state with its time line.

    Args:
        shown: the label, or ``Uncertain``.
        scores: P(Smoking) of the last frames, smoothed, in [0, 1], the newest last.
    """
    say = sentences(language)
    kind, score = pool.kind(shown), scores[-1]
    name = say("live_score", label=text(language, pool.info.decision.label))
    time_line = say("live_time", count=len(scores))
    return (
        f'<section class="result {kind}">'
        f'<p class="label">{say("live_state")}</p>'
        f'<p class="answer">{icon(kind)}{say(shown)}</p>'
        f"{_meter(name, score, percent(language, score))}"
        f"{_time_line(Rule.of(pool.info.decision), scores, time_line)}"
        f'<p class="took">{time_line}</p></section>'
    )


def _meter(name: str, value: float, shown: str) -> str:
    return (
        f'<div class="number"><span>{name}</span><b>{shown}</b></div>'
        f'<div class="bar" role="meter" aria-label="{name}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{100 * value:.0f}" aria-valuetext="{shown}">'
        f'<i style="width:{100 * value:.1f}%"></i></div>'
    )


def _time_line(rule: Rule, scores: Sequence[float], name: str) -> str:
    """The scores from left to right, the newest at the right end, over the uncertain band."""
    right = TIME_LINE - 1
    points = " ".join(
        f"{right - age},{1 - score:.3f}" for age, score in enumerate(reversed(scores))
    )
    oldest = right - len(scores) + 1
    return (
        f'<svg class="timeline" viewBox="0 0 {right} 1" preserveAspectRatio="none" role="img" '
        f'aria-label="{name}"><rect class="band" y="{1 - rule.begin:g}" width="{right}" '
        f'height="{rule.begin - (rule.maybe or 0):g}"/>'
        f'<polygon points="{right},1 {points} {oldest},1"/><polyline points="{points}"/></svg>'
    )
