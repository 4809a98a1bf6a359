"""The page's own pieces of HTML. Every name that a visitor sent is escaped here."""

from __future__ import annotations

import base64
import csv
import html
import io
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from urllib.parse import quote, urlencode

import numpy as np
from PIL import Image

from edge_app.classifier import ModelInfo
from edge_app.live.event_detector import Rule
from edge_app.web.history import Entry
from edge_app.web.pool import UNCERTAIN, Answer, Pool
from edge_app.web.texts import decimal, percent, text

_CELL = 32
"""Pixels that a cell of the evidence map is drawn with before the browser stretches it."""

_FORMULA = ("=", "+", "-", "@", "%")

TIME_LINE = 60
"""Scores that the time line has room for."""


def result_card(language: str, pool: Pool, answer: Answer) -> str:
    """The answer for one picture: class, scores, meaning, evidence, time.

    It holds what each of the three answers says, so that the visitor's own threshold can choose
    between them in the browser.
    """
    say = _in(language)
    prediction, decision = answer.prediction, pool.info.decision
    low, high = decision.uncertain or ("", "")
    took = say("took", ms=f"{answer.elapsed_ms:.0f}", model=pool.info.metadata.name)
    scores = {decision.label: prediction.smoking, pool.info.other_label: 1 - prediction.smoking}
    bars = "".join(
        _bar(language, pool, name, score, name == decision.label) for name, score in scores.items()
    )
    return (
        f'<section class="result {answer.kind}" data-kind="{answer.kind}" '
        f'data-score="{prediction.smoking:.6f}" data-threshold="{decision.threshold:.6f}" '
        f'data-low="{low}" data-high="{high}" style="--threshold:{decision.threshold:.4f}">'
        f"{_verdicts(language, pool, answer.kind)}"
        f'<div class="scores">{bars}{_band_note(language, pool)}</div>'
        f"{_evidence(say, pool, answer)}"
        f'<p class="took">{took}</p>{_actions(say, answer)}</section>'
    )


def _verdicts(language: str, pool: Pool, kind: str) -> str:
    say, info = _in(language), pool.info
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
            f'<div class="verdict {each}"{hidden}><p class="answer">{_icon(each)}{say(label)}</p>'
            f'<p class="means">{means}</p></div>'
        )
    return "".join(parts)


def _bar(language: str, pool: Pool, label: str, score: float, is_target: bool) -> str:
    """The score of a class, over the band in which the model is often wrong."""
    say, decision = _in(language), pool.info.decision
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


def _band_note(language: str, pool: Pool) -> str:
    if pool.info.decision.uncertain is None:
        return ""
    low, high = (percent(language, score) for score in pool.info.decision.uncertain)
    return f'<p class="note band-note">{_in(language)("band_here", low=low, high=high)}</p>'


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


def error_card(language: str, sentence: str) -> str:
    """What stands in the place of an answer when there is none."""
    return f'<section class="result failed"><p>{html.escape(sentence)}</p></section>'


def empty_card(language: str, key: str) -> str:
    """What stands in the place of an answer before there is one."""
    return f'<section class="result empty"><p>{_in(language)(key)}</p></section>'


def batch_card(language: str, entries: Sequence[Entry], notes: Sequence[str]) -> str:
    """How many pictures of a batch were classified, and why not more."""
    failed = sum(bool(entry.error) for entry in entries)
    done = _in(language)("batch_done", count=len(entries) - failed, failed=failed)
    more = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in notes)
    return f'<section class="summary"><p>{done}</p>{more}</section>'


def results_table(language: str, entries: Sequence[Entry]) -> str:
    """A table with one row per picture; on a narrow screen each row becomes a card."""
    say = _in(language)
    columns = ("file", "answer", "score", "error")
    head = "".join(
        f'<th scope="col"><button type="button" aria-label="{say("sort_by", column=say(column))}">'
        f"{say(column)}</button></th>"
        for column in columns
    )
    rows = []
    for entry in entries:
        answer = "" if entry.error else say(entry.shown)
        score = "" if entry.error else percent(language, entry.smoking)
        cells = (
            f'<td data-label="{say("file")}" translate="no">{html.escape(entry.name)}</td>',
            f'<td data-label="{say("answer")}" class="{entry.kind}">{answer}</td>',
            f'<td data-label="{say("score")}" data-value="{entry.smoking:.6f}">{score}</td>',
            f'<td data-label="{say("error")}">{html.escape(entry.error)}</td>',
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<table class="results"><caption>{say("batch_table")}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def gallery(language: str, entries: Sequence[Entry]) -> str:
    """Pictures with label and confidence under them."""
    say = _in(language)
    if not entries:
        return f'<p class="nothing">{say("history_empty")}</p>'
    figures = "".join(
        f'<li><figure class="{entry.kind}">'
        f'<img src="{_data("image/webp", entry.thumbnail)}" alt="">'
        f"<figcaption><b>{say(entry.shown)}</b> <span>{percent(language, entry.confidence)}</span>"
        f'<small translate="no">{html.escape(entry.name)}</small>'
        f"</figcaption></figure></li>"
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
        parts.append(f"<h2><span>{say(name)}</span> ({len(group)})</h2>{gallery(language, group)}")
    failed = [entry for entry in entries if entry.error]
    if failed:
        rows = "".join(
            f'<li><b translate="no">{html.escape(entry.name)}</b>: '
            f"<span>{html.escape(entry.error)}</span></li>"
            for entry in failed
        )
        heading = f"<h2><span>{say('unreadable')}</span> ({len(failed)})</h2>"
        parts.append(f'{heading}<ul class="failures">{rows}</ul>')
    return "".join(parts)


def csv_link(language: str, entries: Sequence[Entry], name: str) -> str:
    """A link that holds the results as a CSV file itself, so that no file is written."""
    if not entries:
        return ""
    content = _data("text/csv;charset=utf-8", to_csv(entries).encode("utf-8-sig"))
    label = _in(language)("csv")
    return f'<a class="download" download="{html.escape(name)}" href="{content}">{label}</a>'


def to_csv(entries: Sequence[Entry]) -> str:
    """The results as CSV: everything quoted, and nothing that a spreadsheet would run.

    See OWASP, CSV injection.
    """
    table = io.StringIO()
    writer = csv.writer(table, quoting=csv.QUOTE_ALL)
    writer.writerow(("file", "answer", "confidence", "smoking", "error"))
    for entry in entries:
        name = _no_formula(entry.name)
        if entry.error:
            writer.writerow((name, "", "", "", entry.error))
        else:
            numbers = f"{entry.confidence:.4f}", f"{entry.smoking:.4f}"
            writer.writerow((name, _no_formula(entry.shown), *numbers, ""))
    return table.getvalue()


def _no_formula(value: str) -> str:
    """The text with a quote before it where any cell that begins in it would be a formula.

    Spreadsheets that separate by semicolons, or join lines, see more cells than there are.
    """
    line = "".join(char if char.isprintable() else " " for char in value)
    cells = re.split(r"[;,\t\r\n|]", unicodedata.normalize("NFKC", value))
    is_formula = any(cell.strip().lstrip("\"'").startswith(_FORMULA) for cell in cells)
    return f"'{line}" if is_formula else line


def live_card(language: str, pool: Pool, shown: str, scores: Sequence[float]) -> str:
    """The smoothed state with its time line.

    Args:
        shown: the label, or ``Uncertain``.
        scores: P(Smoking) of the last frames, smoothed, in [0, 1], the newest last.
    """
    say = _in(language)
    kind, score = pool.kind(shown), scores[-1]
    name = say("live_score", label=text(language, pool.info.decision.label))
    time_line = say("live_time", count=len(scores))
    return (
        f'<section class="result {kind}">'
        f'<p class="label">{say("live_state")}</p>'
        f'<p class="answer">{_icon(kind)}{say(shown)}</p>'
        f"{_meter(name, score, percent(language, score))}"
        f"{_time_line(Rule.of(pool.info.decision), scores, time_line)}"
        f'<p class="took">{time_line}</p></section>'
    )


def megabytes(language: str, info: ModelInfo) -> str:
    """The size of the model file."""
    return decimal(language, f"{info.path.stat().st_size / 1e6:.1f}")


def _in(language: str) -> Callable[..., str]:
    return lambda key, **values: html.escape(text(language, key, **values))


def _icon(kind: str) -> str:
    """A sign beside the colour, for those who do not see the colour."""
    sign = {"found": "M12 7v6m0 3.5v.5", "clear": "m7.5 12.5 3 3 6-7", "unsure": "M8 12h8"}[kind]
    return (
        '<svg class="sign" viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="10"/>'
        f'<path d="{sign}"/></svg>'
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


def _evidence(say: Callable[..., str], pool: Pool, answer: Answer) -> str:
    """The preview with the evidence map and the region of a second look, where there are any."""
    if answer.preview is None:
        return ""
    buffer = io.BytesIO()
    answer.preview.save(buffer, "WEBP", quality=80)
    notes, layers = [], ""
    if answer.prediction.evidence is not None:
        overlay = io.BytesIO()
        draw_evidence(answer.prediction.evidence).save(overlay, "PNG")
        layers += f'<img class="map" alt="" src="{_data("image/png", overlay.getvalue())}">'
        legend = say("evidence_legend")
        if not pool.is_smoking:
            legend = say("evidence_legend_other", label=pool.info.decision.label)
        notes.append(legend)
    if answer.prediction.region is not None:
        (width, height), sides = answer.size, answer.prediction.region
        left, top, right, bottom = (n / m for n, m in zip(sides, (width, height) * 2, strict=True))
        share = " ".join(f"{n:.4f}" for n in (left, top, right, bottom))
        layers += (
            f'<span class="region" data-share="{share}" style="left:{left:.2%};top:{top:.2%};'
            f'width:{right - left:.2%};height:{bottom - top:.2%}"></span>'
        )
        notes.append(say("region"))
    caption = "".join(f"<span>{note}</span> " for note in notes)
    return (
        f'<figure class="evidence"><div><img src="{_data("image/webp", buffer.getvalue())}" '
        f'alt="{say("evidence_alt")}">{layers}</div><figcaption>{caption}</figcaption></figure>'
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
