"""Many pictures with their results: as a table and as galleries."""

from __future__ import annotations

import html
from collections.abc import Sequence

from edge_app.web.history import Entry
from edge_app.web.markup import data_url, sentences
from edge_app.web.texts import percent, text


def batch_card(language: str, entries: Sequence[Entry], notes: Sequence[str]) -> str:
    """How many pictures of a batch were classified, and why not more."""
    failed = sum(bool(entry.error) for entry in entries)
    done = sentences(language)("batch_done", count=len(entries) - failed, failed=failed)
    more = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in notes)
    return f'<section class="summary"><p>{done}</p>{more}</section>'


def results_table(language: str, label: str, entries: Sequence[Entry]) -> str:
    """A table with one row per picture; on a narrow screen each row becomes a card.

    Args:
        label: what the score is for.
    """
    say = sentences(language)
    score_for = text(language, "score_for", label=text(language, label))
    columns = (text(language, "file"), text(language, "answer"), score_for, text(language, "error"))
    head = "".join(
        f'<th scope="col"><button type="button" aria-label="{say("sort_by", column=column)}">'
        f"{html.escape(column)}</button></th>"
        for column in columns
    )
    rows = []
    for entry in entries:
        answer = "" if entry.error else say(entry.shown)
        problem = say("incomplete_mark") if entry.incomplete else html.escape(entry.error)
        score = "" if entry.error else percent(language, entry.smoking)
        cells = (
            f'<td data-label="{say("file")}" translate="no">{html.escape(entry.name)}</td>',
            f'<td data-label="{say("answer")}" class="{entry.kind}">{answer}</td>',
            f'<td data-label="{html.escape(score_for)}" data-value="{entry.smoking:.6f}">'
            f"{score}</td>",
            f'<td data-label="{say("error")}">{problem}</td>',
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<table class="results"><caption>{say("batch_table")}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def gallery(language: str, label: str, entries: Sequence[Entry]) -> str:
    """Pictures with answer and score under them; the score is that of a label."""
    say = sentences(language)
    if not entries:
        return f'<p class="nothing">{say("history_empty")}</p>'
    mark = f'<i class="missing">{say("incomplete_mark")}</i>'
    label = text(language, label)
    scores = [
        say("score_is", label=label, score=percent(language, entry.smoking)) for entry in entries
    ]
    figures = "".join(
        f'<li><figure class="{entry.kind}">'
        f'<img src="{data_url("image/webp", entry.thumbnail)}" alt="">'
        f"<figcaption><b>{say(entry.shown)}</b> <span>{score}</span>"
        f"{mark if entry.incomplete else ''}"
        f'<small translate="no">{html.escape(entry.name)}</small>'
        f"</figcaption></figure></li>"
        for entry, score in zip(entries, scores, strict=True)
    )
    return f'<ul class="gallery">{figures}</ul>'


def gallery_by_class(language: str, label: str, entries: Sequence[Entry]) -> str:
    """A gallery for each answer, with its number of pictures."""
    say = sentences(language)
    shown = sorted({entry.shown for entry in entries if not entry.error})
    parts = []
    for name in shown:
        group = [entry for entry in entries if entry.shown == name and not entry.error]
        heading = f"<h2><span>{say(name)}</span> ({len(group)})</h2>"
        parts.append(f"{heading}{gallery(language, label, group)}")
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
