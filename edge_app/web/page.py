"""The Gradio page."""

from __future__ import annotations

import time
from pathlib import Path

import gradio as gr

from edge_app.classifier import Classifier
from edge_app.imaging import PictureError, find_pictures
from edge_app.web.history import MOST_ENTRIES, History

_SAMPLES = Path(__file__).parent.parent.parent / "samples"
_CACHE_SECONDS = 600
"""Uploaded files are deleted from the server's disk when they are older than this."""

_INTRODUCTION = """
# Is the person in this picture smoking?
Choose a picture and see what the model thinks. It runs on this machine; no picture leaves it.
"""
_LIMITS = f"""
The model was trained on a few thousand pictures of everyday life. It errs: on drinking, phoning
and other gestures near the mouth, on small figures, on drawings. Do not decide about people by it.
The history shows the last {MOST_ENTRIES} pictures of this visit, to you alone, until you close or
reload the page.
"""
_CSS = ".gradio-container {max-width: 1100px !important; margin: 0 auto !important}"


def build_page(classifier: Classifier) -> gr.Blocks:
    """Builds the page around a classifier.

    Its API: ``/classify``, a picture in, scores, note and history out; ``/clear``, the history.
    """

    uploads = Path(gr.utils.get_upload_folder()).resolve()

    def uploaded_file(payload: gr.data_classes.ImageData | None) -> str | None:
        # A visitor may send any path; only what was uploaded is read.
        if payload is None:
            return None
        path = Path(payload.path or "").resolve()
        if not path.is_relative_to(uploads):
            raise gr.Error("Only uploaded pictures are read.", print_exception=False)
        return str(path)

    def classify(path: str | None, history: History):
        if path is None:  # the picture was taken away
            return None, "", history.entries, history
        start = time.perf_counter()
        try:
            prediction = classifier.classify(path)
        except PictureError as error:
            raise gr.Error(f"This file {error}.", print_exception=False) from None
        elapsed_ms = (time.perf_counter() - start) * 1000
        history.add(path, prediction, uploads)
        scores = {
            classifier.info.decision.label: prediction.smoking,
            classifier.info.other_label: 1 - prediction.smoking,
        }
        note = f"{prediction.label}: {prediction.confidence:.1%} ({elapsed_ms:.0f} ms)"
        return scores, note, history.entries, history

    def clear(history: History):
        history.clear()
        return history.entries, history

    with gr.Blocks(
        title="Smoking gesture detector",
        analytics_enabled=False,
        delete_cache=(_CACHE_SECONDS, _CACHE_SECONDS),
    ) as page:
        history = gr.State(History())
        gr.Markdown(_INTRODUCTION)
        with gr.Row():
            with gr.Column():
                picture = gr.Image(
                    label="Picture", sources=["upload", "webcam", "clipboard"], height=360
                )
                # The file as it was sent, read by our own reader, with its own error messages.
                picture.preprocess = uploaded_file
                if _SAMPLES.is_dir():
                    samples = [str(path) for path in find_pictures(_SAMPLES)]
                    gr.Examples(samples, picture, label="Or try one of these")
            with gr.Column():
                scores = gr.Label(label="Result")
                note = gr.Textbox(label="In short", interactive=False)
        gallery = gr.Gallery(
            label="Your history",
            columns=5,
            fit_columns=False,
            object_fit="contain",
            height=260,
            interactive=False,
        )
        clear_button = gr.Button("Clear the history", size="sm")
        gr.Markdown(_LIMITS)
        picture.change(  # by upload, camera, clipboard or example
            classify,
            [picture, history],
            [scores, note, gallery, history],
            api_name="classify",
            concurrency_limit=4,
        )
        clear_button.click(clear, history, [gallery, history], api_name="clear")
    return page


def serve(classifier: Classifier, host: str, port: int) -> None:
    """Serves the page until Ctrl-C.

    Args:
        classifier: what to use.
        host: the interface to listen on.
        port: the port to listen on.

    Raises:
        OSError: the port is taken.
    """
    font = [gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")]
    mono = [gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")]
    page = build_page(classifier)
    page.launch(
        prevent_thread_lock=True,
        server_name=host,
        server_port=port,
        share=False,
        ssr_mode=False,
        quiet=True,
        footer_links=["api"],
        theme=gr.themes.Soft(primary_hue="teal", font=font, font_mono=mono),
        css=_CSS,
    )
    print(f"Serving on http://{host}:{port} (Ctrl-C stops)", flush=True)
    page.block_thread()
