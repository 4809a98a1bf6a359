"""Who may see the page: a password where it can be reached from elsewhere, and nothing foreign."""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_app.lockout import Lockout, address_of

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Another site must not show the pictures with the password that the browser remembers.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_REFUSAL_SECONDS = 0.5  # so that a password cannot be guessed quickly


class Guard:
    """Adds security headers, and asks for the password (HTTP Basic: no sessions, no cookies).

    Args:
        app: what is behind it.
        auth: user and password; None where only this machine can reach the page.
        open_paths: paths that need none.
    """

    def __init__(
        self, app: ASGIApp, auth: tuple[str, str] | None, open_paths: tuple[str, ...] = ()
    ):
        self.app, self._open_paths = app, open_paths
        self._wanted = ":".join(auth).encode() if auth else None
        self._lockout = Lockout()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no web sockets, no lifespan

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        headers = Headers(scope=scope)
        if self._wanted is None or scope["path"] in self._open_paths:
            await self.app(scope, receive, send_with_headers)
            return
        address = address_of(scope)
        if seconds := self._lockout.seconds(address):
            text = f"Too many wrong passwords. Try again in {seconds} s."
            await PlainTextResponse(text, 429, {"Retry-After": str(seconds)})(
                scope, receive, send_with_headers
            )
            return
        if self._is_allowed(headers):
            await self.app(scope, receive, send_with_headers)
            return
        if "authorization" in headers:
            self._lockout.add(address)
        await asyncio.sleep(_REFUSAL_SECONDS)
        refusal = PlainTextResponse(
            "User and password, please.",
            401,
            {"WWW-Authenticate": 'Basic realm="Smoking gesture detector", charset="UTF-8"'},
        )
        await refusal(scope, receive, send_with_headers)

    def _is_allowed(self, headers: Headers) -> bool:
        kind, _, value = headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            given = b""
        return secrets.compare_digest(given, self._wanted or b"") and kind.lower() == "basic"
