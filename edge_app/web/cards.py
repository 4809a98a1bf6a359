"""The answer for one picture, and the cards without an answer: empty, waiting, error."""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from urllib.parse import quote, urlencode

from edge_app.web.evidence import evidence_figure
from edge_app.web.markup import icon, sentences
from edge_app.web.pool import UNCERTAIN, Answer, Pool
from edge_app.web.texts import percent, text


def result_card(language: str, pool: Pool, answer: Answer) -> str:
    """The answer for one picture: class, scores, meaning, evidence, time.

    ``result.js`` changes it in the browser for the visitor's own threshold.
    """
    say = sentences(language)
    prediction, decision = answer.prediction, pool.info.decision
    low, high = decision.uncertain or ("", "")
    took = say("took", ms=f"{answer.elapsed_ms:.0f}", model=pool.info.metadata.name)
    scores = {decision.label: prediction.smoking, pool.info.other_label: 1 - prediction.smoking}
    bars = "".join(
        _bar(language, pool, name, score, name == decision.label) for name, score in scores.items()
    )
    missing = f'<p class="missing">{say("incomplete")}</p>' if prediction.incomplete else ""
    return (
        f'<section class="result {answer.kind}" data-kind="{answer.kind}" '
        f'data-score="{prediction.smoking:.6f}" data-threshold="{decision.threshold:.6f}" '
        f'data-low="{low}" data-high="{high}" style="--threshold:{decision.threshold:.4f}">'
        f"{_verdicts(language, pool, answer.kind)}{missing}"
        f'<div class="scores">{bars}{_bar_notes(language, pool)}</div>'
        f"{evidence_figure(say, pool, answer)}"
        f'<p class="took">{took}</p>{_actions(say, answer)}</section>'
    )


def error_card(language: str, sentence: str) -> str:
    """What stands in the place of an answer when there is none."""
    return f'<section class="result failed"><p>{html.escape(sentence)}</p></section>'


def empty_card(language: str, key: str) -> str:
    """What stands in the place of an answer before there is one."""
    return f'<section class="result empty"><p>{sentences(language)(key)}</p></section>'


def _verdicts(language: str, pool: Pool, kind: str) -> str:
    say, info = sentences(language), pool.info
    labels = {"found": info.decision.label, "clear": info.other_label, "unsure": UNCERTAIN}
    parts = []
    for each, label in labels.items():
        if pool.is_smoking or each == "unsure":
            means = say(f"means_{each}")
        else:
            threshold = percent(language, info.decision.threshold)
            means = say("means_other", label=info.decision.label, threshold=threshold)
        hidden = "" if each == kind else " hidden"
        parts.append(
            f'<div class="verdict {each}"{hidden}><p class="answer">{icon(each)}{say(label)}</p>'
            f'<p class="means">{means}</p></div>'
        )
    parts.append(
        '<div class="verdict own" hidden><p class="answer"></p><p class="means"></p></div>'
    )
    return "".join(parts)


def _bar(language: str, pool: Pool, label: str, score: float, is_target: bool) -> str:
    """The score of a class, over the band in which the model is often wrong."""
    say, decision = sentences(language), pool.info.decision
    shown, name = percent(language, score), say("score_of", label=text(language, label))
    band = ""
    if decision.uncertain is not None:
        low, high = decision.uncertain if is_target else (1 - x for x in decision.uncertain[::-1])
        band = f'<s class="band" style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></s>'
    return (
        f'<div class="number"><span>{say(label)}</span><b>{shown}</b></div>'
        f'<div class="bar {"target" if is_target else "other"}" role="meter" aria-label="{name}" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{100 * score:.0f}" '
        f'aria-valuetext="{shown}"><i style="width:{100 * score:.1f}%"></i>{band}<u></u></div>'
    )


def _bar_notes(language: str, pool: Pool) -> str:
    """What the marks in the bars mean."""
    say, decision = sentences(language), pool.info.decision
    threshold = say("threshold_here", threshold=percent(language, decision.threshold))
    notes = f'<p class="note threshold-note">{threshold}</p>'
    if decision.uncertain is not None:
        low, high = (percent(language, score) for score in decision.uncertain)
        notes += f'<p class="note band-note">{say("band_here", low=low, high=high)}</p>'
    return notes


def _actions(say: Callable[..., str], answer: Answer) -> str:
    saves = "".join(
        f'<button type="button" data-save="{what}">{say(f"save_{what}")}</button>'
        for what in ("map", "card")
        if answer.preview is not None
    )
    link = report_link(answer.shown)
    wrong = (
        f'<a class="wrong" href="{html.escape(link)}" target="_blank" rel="noopener" '
        f'title="{say("wrong_note")}">{say("wrong")}</a>'
        if link
        else ""
    )
    return f'<div class="actions">{saves}{wrong}</div>'


def report_link(shown: str) -> str:
    """Where a visitor may report a wrong answer; empty where nobody would read it.

    In a Space it is a new discussion, elsewhere what ``SMOKING_WEB_REPORT`` says. The picture is
    not part of it.
    """
    space = os.environ.get("SPACE_ID", "")
    address = os.environ.get("SMOKING_WEB_REPORT", "")
    if space and not address:
        address = f"https://huggingface.co/spaces/{space}/discussions/new"
    if not address.startswith(("https://", "http://", "mailto:")):
        return ""
    title = f"Wrong answer: {shown}"
    body = f"The page answered: {shown}\nThe right answer is:\nWhat the picture shows:\n"
    names = ("subject", "body") if address.startswith("mailto:") else ("title", "description")
    query = urlencode(dict(zip(names, (title, body), strict=True)), quote_via=quote)
    return f"{address}{'&' if '?' in address else '?'}{query}"
