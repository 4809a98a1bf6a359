"""Serves the page: limits, headers and looks."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from edge_app.classifier import Classifier
from edge_app.web.guard import ChosenLanguage, SecurityHeaders, UploadLimit
from edge_app.web.page import CACHE_SECONDS, FOLDER, build_page
from edge_app.web.theme import make_theme
from edge_app.web.uploads import MOST_ZIP_MEGABYTES, remove_abandoned

MOST_WAITING = 200
"""Visitors in the queue; beyond it they are told to come again later."""
_MOST_SESSIONS = 1000
"""With at most 1 MB of history each."""


def serve(
    classifier: Classifier,
    host: str = "127.0.0.1",
    port: int = 7860,
    auth: tuple[str, str] | None = None,
) -> None:
    """Serves the page until Ctrl-C.

    Args:
        classifier: what to use.
        host: the interface to listen on.
        port: the port to listen on.
        auth: user and password that every visitor has to give; None for an open page.

    Raises:
        OSError: the port is taken.
    """
    page, translations = build_page(classifier)
    page.queue(max_size=MOST_WAITING)
    uploads = Path(gr.utils.get_upload_folder())
    threading.Thread(target=_sweep, args=(uploads,), daemon=True).start()
    middleware = [
        Middleware(SecurityHeaders),
        Middleware(UploadLimit, folder=uploads),
        Middleware(ChosenLanguage),
    ]
    page.launch(
        prevent_thread_lock=True,
        server_name=host,
        server_port=port,
        auth=auth,
        share=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        quiet=True,
        footer_links=["api"],
        favicon_path=FOLDER / "mark.svg",
        max_file_size=MOST_ZIP_MEGABYTES * 1_000_000,
        state_session_capacity=_MOST_SESSIONS,
        app_kwargs={"middleware": middleware},
        i18n=translations,
        theme=make_theme(),
        css=(FOLDER / "style.css").read_text(encoding="utf-8"),
    )
    print(f"Serving on http://{host}:{port} (Ctrl-C stops)", flush=True)
    page.block_thread()


def _sweep(uploads: Path) -> None:
    while True:
        time.sleep(CACHE_SECONDS)
        remove_abandoned(uploads, CACHE_SECONDS)
