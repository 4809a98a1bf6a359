"""The Picture tab: one picture, its answer, and the evidence for it."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import gradio as gr

from edge_app.imaging import PictureError, find_pictures
from edge_app.shipped import shipped
from edge_app.web.cards import empty_card, error_card, result_card
from edge_app.web.history import History, make_entry
from edge_app.web.pool import Pool
from edge_app.web.texts import text
from edge_app.web.uploads import LimitError, only_uploads
from edge_app.web.visitor import language_in, note, reason

SAMPLES = shipped("samples")
"""Pictures to try; their names in the texts are ``sample_`` and the file's stem."""

_PLACES = {"smoking": 0, "hand": 1}
"""Of the samples that come first."""


def picture_tab(pool: Pool, history: gr.State) -> Any:
    """Builds the tab inside the current one; gives the event after which the history has grown."""

    def classify(path: str | None, history: History, request: gr.Request) -> tuple[str, History]:
        language = language_in(request)
        if path is None:  # the picture was taken away
            return empty_card(language, "empty"), history
        try:
            answer = pool.classify(path)
        except (LimitError, PictureError) as error:
            return error_card(language, reason(error, language)), history
        history.add(make_entry(Path(path).name, answer))
        return result_card(language, pool, answer), history

    with gr.Row(elem_id="picture-row"):  # a grid; on a phone, in this order
        with gr.Column(elem_id="picture-side"):
            picture = only_uploads(
                gr.Image(
                    label=text("en", "picture"),
                    show_label=False,
                    sources=["upload", "webcam", "clipboard"],
                    height=360,
                    type="filepath",
                    buttons=["fullscreen"],
                    elem_id="picture-input",
                )
            )
            gr.HTML(note("picture_note") + note("no_camera", "insecure"))
        with gr.Column(elem_id="answer-side"):
            result = gr.HTML(empty_card("en", "empty"), elem_id="result")
            _sliders(pool)
        with gr.Column(elem_id="example-side"):
            gr.HTML(_examples())
    waiting = empty_card("en", "empty").replace("empty", "waiting", 1)
    picture.change(  # the answer before is no answer to this picture
        None, None, result, js=f"() => `{waiting}`", api_visibility="private"
    )
    return picture.change(  # by upload, camera, clipboard or example
        classify,
        [picture, history],
        [result, history],
        concurrency_limit=pool.visitors,
        concurrency_id="classify",
        api_visibility="private",
        show_progress_on=result,
    )


def _sliders(pool: Pool) -> None:
    decision = pool.info.decision
    key = "threshold_label" if pool.is_smoking else "threshold_label_other"
    gr.Slider(
        0,
        100,
        round(100 * decision.threshold, 1),
        step=0.1,
        label=text("en", key),
        buttons=[],
        interactive=True,  # result.js does the rest
        elem_id="threshold",
    )
    if not pool.info.evidence:
        return
    strength = gr.Slider(
        0, 100, 55, step=5, label=text("en", "strength"), buttons=[], elem_id="strength"
    )
    strength.input(
        None,
        strength,
        js="v => document.documentElement.style.setProperty('--evidence', v / 100)",
        api_visibility="private",
    )


def _examples() -> str:
    """Buttons that upload a sample as if the visitor had chosen the file; see ``page.js``."""
    if not SAMPLES.is_dir():
        return ""
    pictures = sorted(find_pictures(SAMPLES), key=lambda path: _PLACES.get(path.stem, 2))
    buttons = "".join(
        f'<button type="button" data-file="samples/{html.escape(path.name)}">'
        f'<img src="samples/{html.escape(path.name)}" alt="" loading="lazy">'
        f"<span>{html.escape(text('en', f'sample_{path.stem}'))}</span></button>"
        for path in pictures
    )
    return f'{note("examples")}<div id="examples">{buttons}</div>{note("examples_rendered")}'
