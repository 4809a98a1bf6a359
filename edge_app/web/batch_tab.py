"""The Batch tab: many pictures or a ZIP at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from edge_app.imaging import PictureError
from edge_app.web import cards
from edge_app.web.history import Entry, History, make_entry
from edge_app.web.pool import Pool
from edge_app.web.texts import text
from edge_app.web.uploads import MOST_PICTURES, LimitError, only_uploads, unpack
from edge_app.web.visitor import language_in, reason

MOST_BATCH_SECONDS = 120
"""What is not classified by then is left out, so that the next visitor's batch gets its turn."""

_COLUMNS = ("file", "answer", "confidence", "error")


def batch_tab(pool: Pool, say: gr.I18n, history: gr.State) -> Any:
    """Builds the tab inside the current one; gives the event after which the history has grown."""

    def classify(
        paths: list[str] | None,
        history: History,
        request: gr.Request,
        progress=gr.Progress(),  # noqa: B008
    ):
        language = language_in(request)
        if not paths:
            raise gr.Error(text(language, "batch_none"), print_exception=False)
        entries: list[Entry] = []
        end = time.monotonic() + MOST_BATCH_SECONDS
        for entry in _entries(pool, paths, language):
            if len(entries) == MOST_PICTURES:
                gr.Info(text(language, "batch_more", count=MOST_PICTURES))
                break
            entries.append(entry)
            if not entry.error:
                history.add(entry)
            progress((len(entries), None), unit=text(language, "pictures"))
            if time.monotonic() > end:
                gr.Info(text(language, "batch_late", count=len(entries)))
                break
        return (
            gr.update(
                value=[_row(entry, language) for entry in entries],
                headers=[text(language, column) for column in _COLUMNS],
                visible=True,
            ),
            cards.csv_link(language, entries, "smoking_batch.csv"),
            cards.gallery_by_class(language, entries),
            history,
        )

    gr.HTML(say("html_batch_limits"))
    files = only_uploads(
        gr.File(
            label=say("batch_files"),
            show_label=False,
            file_count="multiple",
            height=190,
            elem_id="batch-input",
        )
    )
    button = gr.Button(say("batch_run"), variant="primary", elem_id="batch-run")
    table = gr.Dataframe(
        headers=list(_COLUMNS),
        datatype=["str", "str", "number", "str"],
        label=say("batch_table"),
        interactive=False,
        visible=False,
        max_height=420,
        wrap=True,
        buttons=[],
        elem_id="batch-table",
    )
    link = gr.HTML(elem_id="batch-csv")
    pictures = gr.HTML(elem_id="batch-gallery")
    return button.click(
        classify,
        [files, history],
        [table, link, pictures, history],
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


def _row(entry: Entry, language: str) -> list[str | float | None]:
    if entry.error:
        return [entry.name, "", None, entry.error]
    return [entry.name, text(language, entry.shown), round(entry.confidence, 4), ""]
