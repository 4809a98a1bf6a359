"""The Picture tab: one picture, its answer, and the evidence for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from edge_app.imaging import find_pictures
from edge_app.web import cards
from edge_app.web.history import History, make_entry
from edge_app.web.pool import Pool
from edge_app.web.uploads import only_uploads
from edge_app.web.visitor import classify_or_tell, language_in

_SAMPLES = Path(__file__).parent.parent.parent / "samples"


def picture_tab(pool: Pool, say: gr.I18n, history: gr.State) -> Any:
    """Builds the tab inside the current one; gives the event after which the history has grown."""

    def classify(path: str | None, history: History, request: gr.Request):
        language = language_in(request)
        if path is None:  # the picture was taken away
            return cards.empty_card(language, "empty"), history
        answer = classify_or_tell(pool, path, language)
        history.add(make_entry(Path(path).name, answer))
        return cards.result_card(language, pool, answer), history

    with gr.Row(elem_id="picture-row"):  # a grid; on a phone, in this order
        with gr.Column(elem_id="picture-side"):
            picture = only_uploads(
                gr.Image(
                    label=say("picture"),
                    show_label=False,
                    sources=["upload", "webcam", "clipboard"],
                    height=360,
                    type="filepath",
                    buttons=["fullscreen"],
                    elem_id="picture-input",
                )
            )
            gr.HTML(say("html_picture_note"))
        with gr.Column(elem_id="answer-side"):
            result = gr.HTML(say("html_empty"), elem_id="result")
            if pool.info.evidence:
                strength = gr.Slider(
                    0, 100, 55, step=5, label=say("strength"), buttons=[], elem_id="strength"
                )
                strength.input(
                    None,
                    strength,
                    js="v => document.documentElement.style.setProperty('--evidence', v / 100)",
                    api_visibility="private",
                )
        with gr.Column(elem_id="example-side"):
            examples = _examples(say)
    for button, path in examples:
        button.click(
            lambda path=path: path, None, picture, api_visibility="private", show_progress="hidden"
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


def _examples(say: gr.I18n) -> list[tuple[gr.Button, str]]:
    """Buttons with a picture and a name each: those of `gradio.Examples` have no name to be read
    aloud, and using them replaces the component that only takes uploads."""
    if not _SAMPLES.is_dir():
        return []
    gr.HTML(say("html_examples"))
    with gr.Row(elem_id="examples"):
        return [
            (gr.Button(path.stem.replace("_", " "), icon=str(path), min_width=80), str(path))
            for path in find_pictures(_SAMPLES)
        ]
