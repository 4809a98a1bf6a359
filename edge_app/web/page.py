"""The Gradio page: its tabs, and what happens in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from edge_app.classifier import Classifier
from edge_app.imaging import PictureError, find_pictures
from edge_app.web import cards
from edge_app.web.about import about
from edge_app.web.camera import Camera, frame_bytes
from edge_app.web.history import MOST_ENTRIES, Entry, History, make_entry
from edge_app.web.pool import Answer, Pool
from edge_app.web.texts import TEXTS, language_of, text
from edge_app.web.uploads import (
    MOST_MEGABYTES,
    MOST_MEGAPIXELS,
    MOST_PICTURES,
    MOST_ZIP_MEGABYTES,
    LimitError,
    only_uploads,
    unpack,
)

CACHE_SECONDS = 300
"""Uploaded files are deleted from the server's disk when they are older than this."""

_SAMPLES = Path(__file__).parent.parent.parent / "samples"
_STATE_SECONDS = 3600
"""A visitor's state is forgotten after so long without use."""

_VALUES = {
    "batch_limits": {
        "count": MOST_PICTURES,
        "mb": MOST_MEGABYTES,
        "mp": MOST_MEGAPIXELS,
        "zip_mb": MOST_ZIP_MEGABYTES,
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
    say = gr.I18n(**{language: _fixed(language, pool) for language in TEXTS})
    with gr.Blocks(
        title="Smoking gesture detector",
        analytics_enabled=False,
        delete_cache=(CACHE_SECONDS, CACHE_SECONDS),
    ) as page:
        _api(pool)  # first, as Gradio gives names to private events too
        history = gr.State(History(), time_to_live=_STATE_SECONDS)
        gr.HTML(say("html_header"), elem_id="header")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab(say("tab_picture"), id="picture"):
                kept = _picture_tab(pool, say, history)
            with gr.Tab(say("tab_live"), id="live"):
                _live_tab(pool, say)
            with gr.Tab(say("tab_batch"), id="batch"):
                _batch_tab(pool, say)
            with gr.Tab(say("tab_history"), id="history"):
                _history_tab(say, history, kept)
            with gr.Tab(say("tab_about"), id="about"):
                gr.HTML(say("html_about"))
    return page, say


def _fixed(language: str, pool: Pool) -> dict[str, str]:
    """The texts that are the same for every visitor, for Gradio to choose from in the browser."""
    texts = {
        key: sentence.format(**_VALUES.get(key, {}))
        for key, sentence in TEXTS[language].items()
        if key in _VALUES or "{" not in sentence
    }
    lead = text(language, "lead")
    return {
        **texts,
        "html_header": f"<h1>{text(language, 'title')}</h1><p>{lead}</p>",
        "html_empty": cards.empty_card(language),
        "html_live_empty": f'<section class="result empty"><p>{texts["live_empty"]}</p></section>',
        "html_examples": f'<p class="note">{texts["examples"]}</p>',
        "html_live_note": f'<p class="note">{texts["live_note"]}</p>',
        "html_limits": f'<p class="note">{texts["batch_limits"]}</p>',
        "html_history_note": f'<p class="note">{texts["history_note"]}</p>',
        "html_nothing": cards.gallery(language, []),
        "html_about": about(language, pool.info),
    }


def _language(request: gr.Request) -> str:
    return language_of(request.headers.get("accept-language"))


def _answer(pool: Pool, source: str | bytes, language: str, preview: bool = True) -> Answer:
    """Classifies, or tells the visitor why not."""
    try:
        return pool.classify(source, preview)
    except (LimitError, PictureError) as error:
        raise gr.Error(_reason(error, language), print_exception=False) from None


def _reason(error: LimitError | PictureError, language: str) -> str:
    if isinstance(error, LimitError):
        return text(language, error.key, mb=MOST_MEGABYTES, mp=MOST_MEGAPIXELS)
    return text(language, "error_picture", reason=error)


def _picture_tab(pool: Pool, say: gr.I18n, history: gr.State) -> Any:
    def classify(path: str | None, history: History, request: gr.Request):
        language = _language(request)
        if path is None:  # the picture was taken away
            return cards.empty_card(language), history
        answer = _answer(pool, path, language)
        history.add(make_entry(Path(path).name, answer))
        return cards.result_card(language, pool, answer), history

    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            picture = only_uploads(
                gr.Image(
                    label=say("picture"),
                    sources=["upload", "webcam", "clipboard"],
                    height=380,
                    type="filepath",
                    buttons=["fullscreen"],
                    elem_id="picture-input",
                )
            )
        with gr.Column(min_width=300):
            result = gr.HTML(say("html_empty"), elem_id="result")
            if pool.info.evidence:
                strength = gr.Slider(0, 100, 55, step=5, label=say("strength"), elem_id="strength")
                strength.input(
                    None,
                    strength,
                    js="v => document.documentElement.style.setProperty('--evidence', v / 100)",
                    api_visibility="private",
                )
    for button, path in _examples(say):
        button.click(
            lambda path=path: path, None, picture, api_visibility="private", show_progress="hidden"
        )
    return picture.change(  # by upload, camera, clipboard or example
        classify,
        [picture, history],
        [result, history],
        concurrency_limit=pool.size,
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
            (gr.Button(path.stem.replace("_", " "), icon=str(path), min_width=100), str(path))
            for path in find_pictures(_SAMPLES)
        ]


def _live_tab(pool: Pool, say: gr.I18n) -> None:
    def classify(payload: Any, camera: Camera, request: gr.Request):
        try:
            content = frame_bytes(payload)
        except LimitError:
            content = None
        if content is None:
            return gr.skip(), camera
        language = _language(request)
        answer = _answer(pool, content, language, preview=False)
        shown = camera.update(answer.prediction.smoking, pool.info.decision)
        shown = shown or pool.info.other_label
        score = camera.scores[-1]
        return cards.live_card(language, pool, shown, score, camera.scores), camera

    camera = gr.State(Camera(), time_to_live=_STATE_SECONDS)
    gr.HTML(say("html_live_note"))
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            stream = gr.Image(
                label=say("live_camera"),
                sources=["webcam"],
                streaming=True,
                height=380,
                elem_id="camera-input",
            )
            stream.preprocess = lambda payload: payload  # the frame stays the text that it came as
        with gr.Column(min_width=300):
            state = gr.HTML(say("html_live_empty"), elem_id="live-state")
    stream.stream(
        classify,
        [stream, camera],
        [state, camera],
        stream_every=0.25,
        time_limit=300,
        concurrency_limit=8,
        show_progress="hidden",
        api_visibility="private",
    )


def _batch_tab(pool: Pool, say: gr.I18n) -> None:
    def classify(paths: list[str] | None, request: gr.Request, progress=gr.Progress()):  # noqa: B008
        language = _language(request)
        if not paths:
            raise gr.Error(text(language, "batch_none"), print_exception=False)
        entries: list[Entry] = []
        for path in paths:
            try:
                for name, source in unpack(path):
                    if len(entries) == MOST_PICTURES:
                        gr.Info(text(language, "batch_more", count=MOST_PICTURES))
                        break
                    progress((len(entries), None), text(language, "batch_progress"), unit="")
                    entries.append(_entry(pool, name, source, language))
            except LimitError as error:
                entries.append(_failed(Path(path).name, error, language))
        rows = [
            [entry.name, text(language, entry.shown), round(entry.confidence, 4), entry.error]
            for entry in entries
        ]
        return (
            gr.update(value=rows, visible=True),
            cards.csv_link(language, entries, "smoking_batch.csv"),
            cards.gallery_by_class(language, entries),
        )

    gr.HTML(say("html_limits"))
    files = only_uploads(
        gr.File(label=say("batch_files"), file_count="multiple", height=180, elem_id="batch-input")
    )
    button = gr.Button(say("batch_run"), variant="primary", elem_id="batch-run")
    table = gr.Dataframe(
        headers=["file", "answer", "confidence", "error"],
        datatype=["str", "str", "number", "str"],
        label=say("batch_table"),
        interactive=False,
        visible=False,
        elem_id="batch-table",
    )
    link = gr.HTML(elem_id="batch-csv")
    pictures = gr.HTML(elem_id="batch-gallery")
    button.click(
        classify,
        files,
        [table, link, pictures],
        concurrency_limit=1,  # beside it single pictures go on
        api_visibility="private",
        show_progress_on=files,
    )


def _entry(pool: Pool, name: str, source: str | bytes, language: str) -> Entry:
    try:
        answer = pool.classify(source)
    except (LimitError, PictureError) as error:
        return _failed(name, error, language)
    return make_entry(name, answer)


def _failed(name: str, error: LimitError | PictureError, language: str) -> Entry:
    return Entry(name, b"", "", 0.0, 0.0, _reason(error, language))


def _history_tab(say: gr.I18n, history: gr.State, kept: Any) -> None:
    def show(history: History, shown: str, request: gr.Request):
        language, entries = _language(request), history.of(shown)
        link = cards.csv_link(language, entries, "smoking_history.csv")
        return cards.gallery(language, entries), link

    def clear(shown: str, request: gr.Request):
        history = History()
        return history, *show(history, shown, request)

    gr.HTML(say("html_history_note"))
    with gr.Row():
        chosen = gr.Radio(
            [(say("all"), "all")]
            + [(say(name), name) for name in ("Smoking", "NotSmoking", "Uncertain")],
            value="all",
            label=say("history_filter"),
            elem_id="history-filter",
        )
        button = gr.Button(say("history_clear"), size="sm", elem_id="history-clear", scale=0)
    gallery = gr.HTML(say("html_nothing"), elem_id="history-gallery")
    link = gr.HTML(elem_id="history-csv")
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    kept.success(show, [history, chosen], [gallery, link], **quiet)
    chosen.change(show, [history, chosen], [gallery, link], **quiet)
    button.click(clear, chosen, [history, gallery, link], **quiet)


def _api(pool: Pool) -> None:
    def classify(picture: str | None, request: gr.Request) -> dict[str, Any]:
        """Classifies one uploaded picture; keeps nothing.

        The answer holds: label, confidence, smoking = P(Smoking), uncertain, evidence (rows of
        logits, or null where the model has none), elapsed_ms.
        """
        language = _language(request)
        if picture is None:
            raise gr.Error(text(language, "error_uploads"), print_exception=False)
        answer = _answer(pool, picture, language, preview=False)
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
        concurrency_limit=pool.size,
        concurrency_id="classify",
    )
