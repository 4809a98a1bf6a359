"""Middleware around Gradio: security headers, limits of uploads, and the visitor's language."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_app.web.texts import TEXTS, language_of, text
from edge_app.web.uploads import MOST_ZIP_MEGABYTES

MOST_UPLOAD_MEGABYTES = 2 * MOST_ZIP_MEGABYTES
"""Of all files that are sent at once."""
_FREE_MEGABYTES = 500
"""Nothing is taken where the disk would have less left."""

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
_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]


class SecurityHeaders:
    """Adds headers that keep the page to this server, whatever Gradio's own pages ask for."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *_RAW_HEADERS]}
            await send(message)

        await self.app(scope, receive, send_with_headers)


class UploadLimit:
    """Ends an upload that is larger than the limit, or for which the disk has no room."""

    def __init__(self, app: ASGIApp, folder: Path):
        self.app = app
        self.folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].rstrip("/").endswith("/upload"):
            await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        language = language_of(headers.get(b"accept-language"))
        too_large = text(language, "error_upload", mb=MOST_UPLOAD_MEGABYTES)
        most = MOST_UPLOAD_MEGABYTES * 1_000_000
        if int(headers.get(b"content-length") or 0) > most:
            await _refuse(send, 413, too_large)
            return
        if shutil.disk_usage(self.folder).free < _FREE_MEGABYTES * 1_000_000:
            await _refuse(send, 507, text(language, "error_disk"))
            return
        received = 0

        async def receive_some() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:  # one that did not say its length
                raise _TooLargeError
            return message

        try:
            await self.app(scope, receive_some, send)
        except _TooLargeError:
            await _refuse(send, 413, too_large)


class _TooLargeError(Exception):
    """Ends the reading of an upload."""


class ChosenLanguage:
    """Makes ``?lang=id`` in the page's address the browser's language for Gradio's own texts.

    Gradio's `gr.I18n` asks the browser alone, before any script of a page of ours can run.
    """

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and scope["path"] == "/" and scope["method"] == "GET"
        chosen = QueryParams(scope["query_string"]).get("lang") if is_page else None
        if chosen not in TEXTS:
            await self.app(scope, receive, send)
            return
        script = (
            "<head><script>Object.defineProperty(navigator, 'language', "
            f"{{get: () => {json.dumps(chosen)}}})</script>"
        ).encode()
        start: Message = {}
        page = bytearray()

        async def send_page(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            page.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            body = bytes(page).replace(b"<head>", script, 1)
            kept = [header for header in start["headers"] if header[0] != b"content-length"]
            length = (b"content-length", str(len(body)).encode())
            await send({**start, "headers": [*kept, length]})
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, send_page)


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = reason.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
