"""Many pictures with their results: as a table and as galleries."""

from __future__ import annotations

import html
from collections.abc import Sequence

from edge_app.web.history import Entry
from edge_app.web.markup import data_url, sentences
from edge_app.web.texts import percent


def batch_card(language: str, entries: Sequence[Entry], notes: Sequence[str]) -> str:
    """How many pictures of a batch were classified, and why not more."""
    failed = sum(bool(entry.error) for entry in entries)
    done = sentences(language)("batch_done", count=len(entries) - failed, failed=failed)
    more = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in notes)
    return f'<section class="summary"><p>{done}</p>{more}</section>'


def results_table(language: str, entries: Sequence[Entry]) -> str:
    """A table with one row per picture; on a narrow screen each row becomes a card."""
    say = sentences(language)
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
    say = sentences(language)
    if not entries:
        return f'<p class="nothing">{say("history_empty")}</p>'
    figures = "".join(
        f'<li><figure class="{entry.kind}">'
        f'<img src="{data_url("image/webp", entry.thumbnail)}" alt="">'
        f"<figcaption><b>{say(entry.shown)}</b> <span>{percent(language, entry.confidence)}</span>"
        f'<small translate="no">{html.escape(entry.name)}</small>'
        f"</figcaption></figure></li>"
        for entry in entries
    )
    return f'<ul class="gallery">{figures}</ul>'


def gallery_by_class(language: str, entries: Sequence[Entry]) -> str:
    """A gallery for each answer, with its number of pictures."""
    say = sentences(language)
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
