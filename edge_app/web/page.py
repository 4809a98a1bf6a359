"""The Gradio page: its tabs, its fixed texts, and its API."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import gradio as gr

from edge_app.classifier import Classifier, ModelInfo
from edge_app.web import cards
from edge_app.web.about import about
from edge_app.web.batch_tab import MOST_BATCH_SECONDS, batch_tab
from edge_app.web.history import MOST_ENTRIES, History
from edge_app.web.history_tab import history_tab
from edge_app.web.live_tab import live_tab
from edge_app.web.picture_tab import picture_tab
from edge_app.web.pool import Pool
from edge_app.web.texts import TEXTS, text
from edge_app.web.uploads import (
    MOST_MEGABYTES,
    MOST_MEGAPIXELS,
    MOST_PICTURES,
    MOST_ZIP_MEGABYTES,
    only_uploads,
)
from edge_app.web.visitor import classify_or_tell, language_in

CACHE_SECONDS = 300
"""Uploaded files are deleted from the server's disk when they are older than this."""

STATE_SECONDS = 3600
"""A visitor's state is forgotten after so long without use."""

FOLDER = Path(__file__).parent

_VALUES = {
    "batch_limits": {
        "count": MOST_PICTURES,
        "mb": MOST_MEGABYTES,
        "mp": MOST_MEGAPIXELS,
        "zip_mb": MOST_ZIP_MEGABYTES,
        "minutes": MOST_BATCH_SECONDS // 60,
    },
    "history_note": {"count": MOST_ENTRIES, "minutes": 2 * CACHE_SECONDS // 60},
}


def build_page(classifier: Classifier) -> tuple[gr.Blocks, gr.I18n]:
    """Builds the page around a classifier.

    Its API: ``/classify``, a picture in, a JSON object out; it keeps nothing.

    Returns:
        The page and its translations, both of which `gradio.Blocks.launch` needs.
    """
    pool = Pool(classifier)
    say = gr.I18n(**{language: _fixed(language, pool.info) for language in TEXTS})
    with gr.Blocks(
        title="Smoking gesture detector",
        analytics_enabled=False,
        fill_width=True,  # style.css says how wide
        delete_cache=(CACHE_SECONDS, CACHE_SECONDS),
    ) as page:
        _api(pool)  # first, as Gradio gives names to private events too
        history = gr.State(History(), time_to_live=STATE_SECONDS)
        gr.HTML(say("html_header"), elem_id="header")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab(say("tab_picture"), id="picture"):
                kept = [picture_tab(pool, say, history)]
            with gr.Tab(say("tab_live"), id="live"):
                live_tab(pool, say, STATE_SECONDS)
            with gr.Tab(say("tab_batch"), id="batch"):
                kept += [batch_tab(pool, say, history)]
            with gr.Tab(say("tab_history"), id="history"):
                history_tab(pool, say, history, kept)
            with gr.Tab(say("tab_about"), id="about"):
                gr.HTML(say("html_about"))
        script = (FOLDER / "page.js").read_text(encoding="utf-8")
        page.load(None, None, None, js=script, api_visibility="private")
    return page, say


def _fixed(language: str, info: ModelInfo) -> dict[str, str]:
    """The texts that are the same for every visitor, for Gradio to choose from in the browser."""
    texts = {
        key: sentence.format(**_VALUES.get(key, {}))
        for key, sentence in TEXTS[language].items()
        if key in _VALUES or "{" not in sentence
    }
    notes = {
        f"html_{key}": f'<p class="note">{html.escape(texts[key])}</p>'
        for key in ("picture_note", "examples", "live_note", "batch_limits", "history_note")
    }
    return {
        **texts,
        **notes,
        "html_header": _header(language, info),
        "html_empty": cards.empty_card(language, "empty"),
        "html_live_empty": cards.empty_card(language, "live_empty"),
        "html_nothing": cards.gallery(language, []),
        "html_about": about(language, info),
    }


def _header(language: str, info: ModelInfo) -> str:
    mark = (FOLDER / "mark.svg").read_text(encoding="utf-8")
    links = "".join(
        f'<a href="?lang={code}" hreflang="{code}" lang="{code}"'
        f"{' aria-current=true' if code == language else ''}>{TEXTS[code]['language']}</a>"
        for code in TEXTS
    )
    size = text(language, "fact_size", megabytes=cards.megabytes(language, info))
    facts = "".join(
        f"<li>{html.escape(fact)}</li>"
        for fact in (size, text(language, "fact_here"), text(language, "fact_kept"))
    )
    return (
        f'<div class="top"><p class="brand">{mark}{text(language, "brand")}</p>'
        f'<nav aria-label="{text(language, "languages")}">{links}</nav></div>'
        f"<h1>{text(language, 'title')}</h1>"
        f'<p class="lead">{text(language, "lead")}</p><ul class="facts">{facts}</ul>'
    )


def _api(pool: Pool) -> None:
    def classify(picture: str | None, request: gr.Request) -> dict[str, Any]:
        """Classifies one uploaded picture; keeps nothing.

        The answer holds: label, confidence, smoking = P(Smoking), uncertain, evidence (rows of
        logits, or null where the model has none), elapsed_ms.
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
            "evidence": None if evidence is None else evidence.round(4).tolist(),
            "elapsed_ms": round(answer.elapsed_ms, 1),
        }

    picture = only_uploads(gr.Image(visible=False, label="picture"))
    answer = gr.JSON(visible=False, label="answer")
    gr.Button(visible=False).click(
        classify,
        picture,
        answer,
        api_name="classify",
        concurrency_limit=pool.visitors,
        concurrency_id="classify",
    )
