"""The Gradio page: its tabs, its fixed texts, and its API."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from edge_app.classifier import Classifier
from edge_app.web.about import about, megabytes
from edge_app.web.batch_tab import batch_tab
from edge_app.web.history import MOST_ENTRIES, History
from edge_app.web.history_tab import history_tab
from edge_app.web.live_tab import live_tab
from edge_app.web.picture_tab import picture_tab
from edge_app.web.pool import Pool
from edge_app.web.snippets import EXAMPLE
from edge_app.web.texts import GRADIO, LANGUAGES, TEXTS, text
from edge_app.web.uploads import MOST_MEGABYTES, only_uploads
from edge_app.web.visitor import classify_or_tell, language_in, note

CACHE_SECONDS = 300
"""Uploaded files are deleted from the server's disk when they are older than this."""

STATE_SECONDS = 3600
"""A visitor's state is forgotten after so long without use."""

FOLDER = Path(__file__).parent

_SCRIPTS = ("language.js", "result.js", "page.js")


def build_page(
    classifier: Classifier, is_heard: Callable[[str | None], bool] = lambda session: True
) -> gr.Blocks:
    """Builds the page around a classifier, in English: ``language.js`` translates it.

    Its API: ``/classify``, a picture in, a JSON object out; it keeps nothing.

    Args:
        classifier: what to use.
        is_heard: whether somebody listens for the answers of a session.
    """
    pool = Pool(classifier)
    title = "Smoking gesture detector" if pool.is_smoking else pool.info.metadata.name
    page = gr.Blocks(
        title=title,
        analytics_enabled=False,
        fill_width=True,  # style.css says how wide
    )
    with page:
        _api(pool)  # first, as Gradio gives names to private events too
        history = gr.State(History(), time_to_live=STATE_SECONDS)
        gr.HTML(_header(pool), elem_id="header")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab(text("en", "tab_picture"), id="picture", elem_id="tab-picture"):
                kept = [picture_tab(pool, history)]
            with gr.Tab(text("en", "tab_live"), id="live", elem_id="tab-live"):
                live_tab(pool, STATE_SECONDS)
            with gr.Tab(text("en", "tab_batch"), id="batch", elem_id="tab-batch"):
                kept += [batch_tab(pool, history, is_heard)]
            with gr.Tab(text("en", "tab_history"), id="history", elem_id="tab-history"):
                kept_for = {"count": MOST_ENTRIES, "minutes": 2 * CACHE_SECONDS // 60}
                history_tab(pool, note("history_note", **kept_for), history, kept)
            with gr.Tab(text("en", "tab_about"), id="about", elem_id="tab-about"):
                gr.HTML(about("en", pool.info))
    return page


def head() -> str:
    """The scripts of the page, with the sentences that they translate."""
    known = {
        "texts": TEXTS,
        "gradio": GRADIO,
        "languages": LANGUAGES,
        "megabytes": MOST_MEGABYTES,
    }
    quoted = json.dumps(json.dumps(known, ensure_ascii=False), ensure_ascii=False)
    scripts = [(FOLDER / name).read_text(encoding="utf-8") for name in _SCRIPTS]
    scripts[0] = scripts[0].replace('"__TEXTS__"', quoted.replace("</", "<\\/"))
    return "".join(f"<script>{script}</script>" for script in scripts)


def _header(pool: Pool) -> str:
    mark = (FOLDER / "mark.svg").read_text(encoding="utf-8")
    buttons = "".join(
        f'<button type="button" lang="{code}" translate="no" '
        f'aria-pressed="{"true" if code == "en" else "false"}">'
        f'<span class="long">{name}</span><span class="short">{code.upper()}</span></button>'
        for code, name in LANGUAGES.items()
    )
    size = text("en", "fact_size", megabytes=megabytes("en", pool.info))
    here = [] if os.environ.get("SPACE_ID") else [text("en", "fact_here")]
    facts = "".join(
        f"<li>{html.escape(fact)}</li>" for fact in (size, *here, text("en", "fact_kept"))
    )
    brand = text("en", "brand") if pool.is_smoking else pool.info.metadata.name
    title = "title" if pool.is_smoking else "title_other"
    return (
        f'<div class="top"><p class="brand">{mark}<span>{html.escape(brand)}</span></p>'
        f'<nav aria-label="{text("en", "languages")}">{buttons}</nav></div>'
        f"<h1>{text('en', title)}</h1>"
        f'<p class="lead">{text("en", "lead")}</p><ul class="facts">{facts}</ul>'
    )


def _api(pool: Pool) -> None:
    def classify(picture: str | None, request: gr.Request) -> dict[str, Any]:
        """Classifies one uploaded picture; keeps nothing.

        The answer holds: label, confidence, smoking = P(Smoking), uncertain, incomplete (a
        part of the picture is missing), evidence (rows of logits, or null where the model has
        none), elapsed_ms.
        """
        language = language_in(request)
        if picture is None:
            raise gr.Error(text(language, "error_uploads"), print_exception=False)
        answer = classify_or_tell(pool, picture, language, preview=False)
        prediction = answer.prediction
        evidence = prediction.evidence
        return {
            "label": prediction.label,
            "confidence": round(prediction.confidence, 4),
            "smoking": round(prediction.smoking, 4),
            "uncertain": prediction.uncertain,
            "incomplete": prediction.incomplete,
            "evidence": None if evidence is None else evidence.round(4).tolist(),
            "elapsed_ms": round(answer.elapsed_ms, 1),
        }

    picture: Any = only_uploads(gr.Image(visible=False, label="picture"))
    picture.example_payload = lambda: EXAMPLE
    answer = gr.JSON(visible=False, label="answer")
    gr.Button(visible=False).click(
        classify,
        picture,
        answer,
        api_name="classify",
        concurrency_limit=pool.visitors,
        concurrency_id="classify",
    )
