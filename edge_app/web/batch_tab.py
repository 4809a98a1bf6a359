"""The Batch tab: many pictures or a ZIP at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from edge_app.imaging import PictureError
from edge_app.web.cards import empty_card, error_card
from edge_app.web.history import Entry, History, make_entry
from edge_app.web.pool import Pool
from edge_app.web.results import batch_card, gallery_by_class, results_table
from edge_app.web.spreadsheet import csv_link
from edge_app.web.texts import text
from edge_app.web.uploads import (
    MOST_MEGABYTES,
    MOST_PICTURES,
    MOST_ZIP_MEGABYTES,
    LimitError,
    only_uploads,
    unpack,
)
from edge_app.web.visitor import language_in, model_threshold, note, reason

MOST_BATCH_SECONDS = 120
"""What is not classified by then is left out, so that the next visitor's batch gets its turn."""

LIMITS = {
    "count": MOST_PICTURES,
    "mb": MOST_MEGABYTES,
    "zip_mb": MOST_ZIP_MEGABYTES,
    "minutes": MOST_BATCH_SECONDS // 60,
}

BATCH = "classify_batch"
"""Name of the function that takes a batch; `edge_app.web.audience` gives each visitor one."""


def batch_tab(pool: Pool, history: gr.State, is_heard: Callable[[str | None], bool]) -> Any:
    """Builds the tab inside the current one; gives the event after which the history has grown.

    Args:
        is_heard: whether somebody listens for the answers of a session.
    """

    def classify_batch(
        paths: list[str] | None,
        history: History,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[str, str, str, str, History]:
        language = language_in(request)
        entries: list[Entry] = []
        notes: list[str] = []
        end = time.monotonic() + MOST_BATCH_SECONDS
        for entry in _entries(pool, paths or [], language):
            if not is_heard(request.session_hash):
                break
            if len(entries) == MOST_PICTURES:
                notes.append(text(language, "batch_more", count=MOST_PICTURES))
                break
            entries.append(entry)
            if not entry.error:
                history.add(entry)
            progress((len(entries), None), unit=text(language, "pictures"))
            if time.monotonic() > end:
                notes.append(text(language, "batch_late", count=len(entries)))
                break
        if not entries:
            return error_card(language, text(language, "batch_empty")), "", "", "", history
        return (
            batch_card(language, entries, notes),
            results_table(language, pool.info.decision.label, entries),
            csv_link(language, entries, "smoking_batch.csv"),
            gallery_by_class(language, pool.info.decision.label, entries),
            history,
        )

    gr.HTML(note("batch_limits", **LIMITS) + model_threshold(pool))
    files = only_uploads(
        gr.File(
            label=text("en", "batch_files"),
            show_label=False,
            file_count="multiple",
            height=190,
            elem_id="batch-input",
        )
    )
    button = gr.Button(text("en", "batch_run"), variant="primary", elem_id="batch-run")
    message = gr.HTML(elem_id="batch-message")
    table = gr.HTML(elem_id="batch-table")
    link = gr.HTML(elem_id="batch-csv")
    pictures = gr.HTML(elem_id="batch-gallery")
    waiting = empty_card("en", "g_loading").replace("empty", "waiting", 1)
    button.click(  # the results before are none of these files
        None,
        None,
        [message, table, link, pictures],
        js=f"() => [`{waiting}`, '', '', '']",
        api_visibility="private",
    )
    return button.click(
        classify_batch,
        [files, history],
        [message, table, link, pictures, history],
        concurrency_limit=1,  # beside it single pictures go on
        api_visibility="private",
        show_progress_on=files,
    )


def _entries(pool: Pool, paths: list[str], language: str) -> Iterator[Entry]:
    for path in paths:
        try:
            for name, source in unpack(path):
                yield _entry(pool, name, source, language)
        except LimitError as error:
            yield _failed(Path(path).name, error, language)


def _entry(pool: Pool, name: str, source: str | bytes, language: str) -> Entry:
    try:
        return make_entry(name, pool.classify(source))
    except (LimitError, PictureError) as error:
        return _failed(name, error, language)


def _failed(name: str, error: LimitError | PictureError, language: str) -> Entry:
    return Entry(name, error=reason(error, language))
