"""The page's own pieces of HTML. Every name that a visitor sent is escaped here."""

from __future__ import annotations

import base64
import csv
import html
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from edge_app.web.history import Entry
from edge_app.web.pool import Answer, Pool
from edge_app.web.texts import text

_CELL = 32
"""Pixels that a cell of the evidence map is drawn with before the browser stretches it."""


def result_card(language: str, pool: Pool, answer: Answer) -> str:
    """The answer for one picture: class, confidence, meaning, evidence, time."""
    say = _in(language)
    prediction = answer.prediction
    percent = f"{prediction.confidence:.1%}"
    took = say("took", ms=f"{answer.elapsed_ms:.0f}", model=pool.info.metadata.name)
    return (
        f'<section class="result {_kind(pool, answer.shown)}" role="status">'
        f'<p class="answer">{say(answer.shown)}</p>'
        f"{_bar(say('confidence'), prediction.label, say, prediction.confidence, percent)}"
        f'<p class="means">{say(_meaning(pool, answer.shown))}</p>'
        f"{_evidence(say, answer)}"
        f'<p class="took">{html.escape(took)}</p></section>'
    )


def empty_card(language: str) -> str:
    """What stands in the place of the answer before there is one."""
    return f'<section class="result empty"><p>{_in(language)("empty")}</p></section>'


def gallery(language: str, entries: Sequence[Entry]) -> str:
    """Pictures with label and confidence under them."""
    say = _in(language)
    if not entries:
        return f'<p class="nothing">{say("history_empty")}</p>'
    figures = "".join(
        f'<li><figure class="{html.escape(entry.shown)}">'
        f'<img src="{_data("image/webp", entry.thumbnail)}" alt="{html.escape(entry.name)}">'
        f"<figcaption><b>{say(entry.shown)}</b> <span>{entry.confidence:.0%}</span>"
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
        name = f"'{entry.name}" if entry.name.startswith(("=", "+", "-", "@", "\t")) else entry.name
        if entry.error:
            writer.writerow((name, "", "", "", entry.error))
        else:
            numbers = f"{entry.confidence:.4f}", f"{entry.smoking:.4f}"
            writer.writerow((name, entry.shown, *numbers, ""))
    return table.getvalue()


def live_card(language: str, pool: Pool, shown: str, score: float, scores: Sequence[float]) -> str:
    """The smoothed state with its time line.

    Args:
        shown: the label, or ``Uncertain``.
        score: P(Smoking) of the last frame, smoothed, in [0, 1].
        scores: the smoothed ones of the last frames, the newest last.
    """
    say = _in(language)
    points = " ".join(f"{4 * x},{40 - 40 * y:.1f}" for x, y in enumerate(scores))
    threshold = 40 - 40 * pool.info.decision.threshold
    width = max(4 * (len(scores) - 1), 1)
    time_line = say("live_time", count=len(scores))
    return (
        f'<section class="result {_kind(pool, shown)}">'
        f'<p class="label">{say("live_state")}</p><p class="answer">{say(shown)}</p>'
        f"{_bar('P', pool.info.decision.label, say, score, f'{score:.0%}')}"
        f'<svg class="timeline" viewBox="0 0 {width} 40" preserveAspectRatio="none" role="img" '
        f'aria-label="{html.escape(time_line)}"><line x1="0" x2="{width}" y1="{threshold}" '
        f'y2="{threshold}"/><polyline points="{points}"/></svg>'
        f'<p class="took">{html.escape(time_line)}</p></section>'
    )


def _in(language: str):
    return lambda key, **values: text(language, key, **values)


def _kind(pool: Pool, shown: str) -> str:
    if shown == "Uncertain":
        return "unsure"
    return "found" if shown == pool.info.decision.label else "clear"


def _meaning(pool: Pool, shown: str) -> str:
    kinds = {"unsure": "means_Uncertain", "found": "means_Smoking", "clear": "means_NotSmoking"}
    return kinds[_kind(pool, shown)]


def _bar(name: str, label: str, say, value: float, percent: str) -> str:
    label = html.escape(say(label))
    return (
        f'<div class="number"><span>{name}: {label}</span><b>{percent}</b></div>'
        f'<div class="bar" role="meter" aria-label="{name}: {label}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{100 * value:.0f}" aria-valuetext="{percent}">'
        f'<i style="width:{100 * value:.1f}%"></i></div>'
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
        f'<figure class="evidence"><img src="{_data("image/webp", buffer.getvalue())}" '
        f'alt="{say("evidence_alt")}"><img class="map" alt="" '
        f'src="{_data("image/png", overlay.getvalue())}">'
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
