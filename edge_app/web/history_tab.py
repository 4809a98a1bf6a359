"""The History tab: what this visitor has tried, to look through, save and clear."""

from __future__ import annotations

from typing import Any

import gradio as gr

from edge_app.web.history import ALL, History
from edge_app.web.pool import UNCERTAIN, Pool
from edge_app.web.results import gallery
from edge_app.web.spreadsheet import csv_link
from edge_app.web.texts import text
from edge_app.web.visitor import language_in, model_threshold


def history_tab(pool: Pool, note_html: str, history: gr.State, kept: list[Any]) -> None:
    """Builds the tab inside the current one.

    Args:
        note_html: what is kept, and for how long.
        kept: the events after which the history has grown.
    """

    info = pool.info

    def show(history: History, shown: str, request: gr.Request) -> tuple[str, str]:
        language, entries = language_in(request), history.of(shown)
        link = csv_link(language, entries, "smoking_history.csv")
        return gallery(language, info.decision.label, entries), link

    def clear(history: History, shown: str, request: gr.Request) -> tuple[History, str, str]:
        history.entries.clear()
        return history, *show(history, shown, request)

    gr.HTML(note_html + model_threshold(pool))
    with gr.Row(elem_id="history-tools"):
        chosen = gr.Radio(
            [(text("en", "all"), ALL)]
            + [
                (text("en", name), name)
                for name in (info.decision.label, info.other_label, UNCERTAIN)
            ],
            value=ALL,
            label=text("en", "history_filter"),
            show_label=False,
            elem_id="history-filter",
        )
        button = gr.Button(text("en", "history_clear"), size="sm", elem_id="history-clear", scale=0)
    pictures = gr.HTML(gallery("en", info.decision.label, []), elem_id="history-gallery")
    link = gr.HTML(elem_id="history-csv")
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    for event in kept:  # Gradio drops an event whose one before is under way, unless told otherwise
        event.success(
            show, [history, chosen], [pictures, link], trigger_mode="always_last", **quiet
        )
    chosen.change(show, [history, chosen], [pictures, link], **quiet)
    button.click(clear, [history, chosen], [history, pictures, link], **quiet)
