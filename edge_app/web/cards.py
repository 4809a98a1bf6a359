"""The page's own pieces of HTML. Every name that a visitor sent is escaped here."""

from __future__ import annotations

import base64
import csv
import html
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from edge_app.classifier import ModelInfo
from edge_app.live.event_detector import Rule
from edge_app.web.history import Entry
from edge_app.web.pool import Answer, Pool
from edge_app.web.texts import decimal, percent, text

_CELL = 32
"""Pixels that a cell of the evidence map is drawn with before the browser stretches it."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")

TIME_LINE = 60
"""Scores that the time line has room for."""


def result_card(language: str, pool: Pool, answer: Answer) -> str:
    """The answer for one picture: class, confidence, meaning, evidence, time."""
    say = _in(language)
    prediction = answer.prediction
    name = f"{say('confidence')}: {say(prediction.label)}"
    took = say("took", ms=f"{answer.elapsed_ms:.0f}", model=pool.info.metadata.name)
    return (
        f'<section class="result {answer.kind}">'
        f'<p class="answer">{_icon(answer.kind)}{say(answer.shown)}</p>'
        f"{_bar(name, prediction.confidence, percent(language, prediction.confidence))}"
        f'<p class="means">{say("means_" + answer.kind)}</p>'
        f"{_evidence(say, answer)}"
        f'<p class="took">{took}</p></section>'
    )


def empty_card(language: str, key: str) -> str:
    """What stands in the place of an answer before there is one."""
    return f'<section class="result empty"><p>{_in(language)(key)}</p></section>'


def gallery(language: str, entries: Sequence[Entry]) -> str:
    """Pictures with label and confidence under them."""
    say = _in(language)
    if not entries:
        return f'<p class="nothing">{say("history_empty")}</p>'
    figures = "".join(
        f'<li><figure class="{entry.kind}">'
        f'<img src="{_data("image/webp", entry.thumbnail)}" alt="{html.escape(entry.name)}">'
        f"<figcaption><b>{say(entry.shown)}</b> <span>{percent(language, entry.confidence)}</span>"
        f"<small>{html.escape(entry.name)}</small></figcaption></figure></li>"
        for entry in entries
    )
    return f'<ul class="gallery">{figures}</ul>'


def gallery_by_class(language: str, entries: Sequence[Entry]) -> str:
    """A gallery for each answer, with its number of pictures."""
    say = _in(language)
    shown = sorted({entry.shown for entry in entries if not entry.error})
    parts = []
    for name in shown:
        group = [entry for entry in entries if entry.shown == name and not entry.error]
        parts.append(f"<h3>{say(name)} ({len(group)})</h3>{gallery(language, group)}")
    failed = [entry for entry in entries if entry.error]
    if failed:
        rows = "".join(
            f"<li><b>{html.escape(entry.name)}</b>: {html.escape(entry.error)}</li>"
            for entry in failed
        )
        parts.append(f"<h3>{say('unreadable')} ({len(failed)})</h3><ul>{rows}</ul>")
    return "".join(parts)


def csv_link(language: str, entries: Sequence[Entry], name: str) -> str:
    """A link that holds the results as a CSV file itself, so that no file is written."""
    if not entries:
        return ""
    content = _data("text/csv;charset=utf-8", to_csv(entries).encode("utf-8-sig"))
    label = _in(language)("csv")
    return f'<a class="download" download="{html.escape(name)}" href="{content}">{label}</a>'


def to_csv(entries: Sequence[Entry]) -> str:
    """The results as CSV; a name that a spreadsheet would run as a formula gets a quote before."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(("file", "answer", "confidence", "smoking", "error"))
    for entry in entries:
        name = f"'{entry.name}" if entry.name.startswith(_FORMULA) else entry.name
        if entry.error:
            writer.writerow((name, "", "", "", entry.error))
        else:
            numbers = f"{entry.confidence:.4f}", f"{entry.smoking:.4f}"
            writer.writerow((name, entry.shown, *numbers, ""))
    return table.getvalue()


def live_card(language: str, pool: Pool, shown: str, scores: Sequence[float]) -> str:
    """The smoothed state with its time line.

    Args:
        shown: the label, or ``Uncertain``.
        scores: P(Smoking) of the last frames, smoothed, in [0, 1], the newest last.
    """
    say = _in(language)
    kind, score = pool.kind(shown), scores[-1]
    name = say("live_score")
    time_line = say("live_time", count=len(scores))
    return (
        f'<section class="result {kind}">'
        f'<p class="label">{say("live_state")}</p>'
        f'<p class="answer">{_icon(kind)}{say(shown)}</p>'
        f"{_bar(name, score, percent(language, score))}"
        f"{_time_line(Rule.of(pool.info.decision), scores, time_line)}"
        f'<p class="took">{time_line}</p></section>'
    )


def megabytes(language: str, info: ModelInfo) -> str:
    """The size of the model file."""
    return decimal(language, f"{info.path.stat().st_size / 1e6:.1f}")


def _in(language: str):
    return lambda key, **values: html.escape(text(language, key, **values))


def _icon(kind: str) -> str:
    """A sign beside the colour, for those who do not see the colour."""
    sign = {"found": "M12 7v6m0 3.5v.5", "clear": "m7.5 12.5 3 3 6-7", "unsure": "M8 12h8"}[kind]
    return (
        '<svg class="sign" viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="10"/>'
        f'<path d="{sign}"/></svg>'
    )


def _bar(name: str, value: float, shown: str) -> str:
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
        f'height="{rule.begin - rule.maybe:g}"/>'
        f'<polygon points="{right},1 {points} {oldest},1"/><polyline points="{points}"/></svg>'
    )


def _evidence(say, answer: Answer) -> str:
    evidence = answer.prediction.evidence
    if evidence is None or answer.preview is None:
        return ""
    buffer = io.BytesIO()
    answer.preview.save(buffer, "WEBP", quality=80)
    overlay = io.BytesIO()
    draw_evidence(evidence).save(overlay, "PNG")
    return (
        f'<figure class="evidence"><div><img src="{_data("image/webp", buffer.getvalue())}" '
        f'alt="{say("evidence_alt")}"><img class="map" alt="" '
        f'src="{_data("image/png", overlay.getvalue())}"></div>'
        f"<figcaption>{say('evidence_legend')}</figcaption></figure>"
    )


def draw_evidence(evidence: np.ndarray) -> Image.Image:
    """Draws an evidence map to be laid over its picture.

    Args:
        evidence: ``float32[rows, columns]``, logits.

    Returns:
        An RGBA image: red where the evidence is positive, blue where negative, and the more
        opaque the stronger, relative to the strongest cell.
    """
    strength = evidence / max(float(np.abs(evidence).max()), 1.0)
    rows, columns = evidence.shape
    smooth = np.asarray(
        Image.fromarray(strength.astype(np.float32)).resize(
            (columns * _CELL, rows * _CELL), Image.Resampling.BICUBIC
        )
    ).clip(-1, 1)
    colours = np.where(smooth[..., None] > 0, (220, 38, 38), (37, 99, 235)).astype(np.uint8)
    opacity = (np.abs(smooth) * 255).astype(np.uint8)
    return Image.fromarray(np.dstack([colours, opacity]))


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
