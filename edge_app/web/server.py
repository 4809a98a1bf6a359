"""Serves the page: limits, headers and looks."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_app.classifier import Classifier
from edge_app.web.page import build_page
from edge_app.web.uploads import MOST_ZIP_MEGABYTES

MOST_WAITING = 200
"""Visitors in the queue; beyond it they are told to come again later."""
_MOST_SESSIONS = 1000
"""With at most 1 MB of history each."""

_HEADERS = {
    # Gradio needs inline scripts and eval; everything else comes from this server alone.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' "
    "'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self' https://huggingface.co",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


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
        footer_links=["api", "settings"],
        max_file_size=MOST_ZIP_MEGABYTES * 1_000_000,
        state_session_capacity=_MOST_SESSIONS,
        app_kwargs={"middleware": [Middleware(_SecurityHeaders)]},
        i18n=translations,
        theme=_theme(),
        css=(Path(__file__).parent / "style.css").read_text(encoding="utf-8"),
    )
    print(f"Serving on http://{host}:{port} (Ctrl-C stops)", flush=True)
    page.block_thread()


def _theme() -> gr.themes.Base:
    """Soft, in teal, with the visitor's own fonts, and with texts dark enough to be read."""
    fonts = [gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")]
    return gr.themes.Soft(
        primary_hue="teal", neutral_hue="slate", radius_size="lg", font=fonts, font_mono=fonts
    ).set(
        color_accent="*primary_700",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_label_text_color="*primary_800",
        block_label_text_color_dark="*primary_200",
        block_label_background_fill_dark="*neutral_800",
        block_title_text_color="*primary_800",
        block_title_text_color_dark="*primary_200",
        block_title_background_fill_dark="*neutral_800",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        checkbox_label_background_fill_selected="*primary_700",
        checkbox_label_background_fill_selected_dark="*primary_700",
        slider_color="*primary_700",
    )


class _SecurityHeaders:
    """Adds headers that keep the page to this server, whatever Gradio's own pages ask for."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), text.encode()) for name, text in _HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        await self.app(scope, receive, send_with_headers)
