"""What stands between the network and Gradio: hosts, routes, body sizes, security headers.

Each class is ASGI middleware. Gradio serves some sixty routes, of which the page uses about
twenty: everything else is answered with 404.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import traceback
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_app.web.bodies import BodyError, checked_receive
from edge_app.web.texts import language_of, text

log = logging.getLogger(__name__)

_FRAMES = "frame-ancestors 'self' https://huggingface.co"
_HEADERS = {
    # Gradio needs inline scripts and eval; everything else comes from this server alone.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' "
    "'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; " + _FRAMES,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]

_API = "/gradio_api"
_ROUTES = {
    "GET": [
        r"/",
        r"/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json|login_check|logout)/?",
        r"/(static|assets|samples)/[\w./@+~-]+",
        rf"{_API}/(info|startup-events|app_id|heartbeat/\w+|theme\.css|login_check)/?",
        rf"{_API}/(queue/data|upload_progress|call/classify/\w+)",
        rf"{_API}/file=.+",
    ],
    "POST": [
        r"/login/?",
        rf"{_API}/(queue/join|upload|cancel|reset|call/classify)/?",
        rf"{_API}/stream/\w+(/close)?",
    ],
}
_ALLOWED = {
    method: re.compile("|".join(f"(?:{route})" for route in routes))
    for method, routes in _ROUTES.items()
}
_ALLOWED["HEAD"] = _ALLOWED["GET"]


class OneLine:
    """Answers 500 to a broken request, and writes one line about it that names no visitor."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except Exception as error:
            if scope["type"] != "http":
                raise
            log_failure("a request", error)
            if not started:
                await refuse(send, 500, "Something went wrong on the server.")


def log_failure(what: str, error: BaseException) -> None:
    """Writes one line: kind and place of an error. Its message may hold what a visitor sent."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    log.warning("%s failed: %s at %s", what, type(error).__name__, place)


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


class KnownHosts:
    """Refuses requests under a foreign host name, and changes that another site's page asks for.

    The first is DNS rebinding (a name of the attacker that points to this machine), the second
    cross-site request forgery.

    Args:
        hosts: names under which the page is reached beside IP addresses and ``localhost``. None
            lets every name through, for a page that is open to a network.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str] | None):
        self.app = app
        self.hosts = None if hosts is None else {"localhost", *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_known(urlsplit(f"//{host}").hostname or ""):
            name = re.sub(r"[^\w.:-]", "", host)[:100]
            await refuse(send, 421, f"Unknown host {name}: start the page with --allow-host {name}")
        elif scope["method"] not in ("GET", "HEAD") and not _is_same_site(headers, host):
            await refuse(send, 403, "This request comes from another site.")
        else:
            await self.app(scope, receive, send)

    def _is_known(self, name: str) -> bool:
        if self.hosts is None or name in self.hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _is_same_site(headers: Headers, host: str) -> bool:
    origin = headers.get("origin")
    if origin is None:  # no browser, or an old one
        return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    return urlsplit(origin).netloc == host


class OnlyWhatThePageNeeds:
    """Answers 404 to every route that the page does not use, before anything is read."""

    def __init__(self, app: ASGIApp, uploads: Path):
        self.app = app
        self.uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_allowed(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await refuse(send, 404, "Not found")

    def _is_allowed(self, scope: Scope) -> bool:
        if scope["type"] != "http":
            return False
        path = route_of(scope)
        allowed = _ALLOWED.get(scope["method"])
        if allowed is None or not allowed.fullmatch(path) or ".." in path:
            return False
        if b"deep_link" in scope["query_string"]:
            return False
        _, is_file, file = path.partition("/file=")
        return not is_file or Path(unquote(file)).is_relative_to(self.uploads)


class Limits:
    """Reads each body no further than its route needs, and no slower than a phone sends it."""

    def __init__(self, app: ASGIApp, uploads: Path):
        self.app = app
        self.uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        failure: BodyError | None = None

        async def send_unless_failed(message: Message) -> None:
            if failure is None:  # else it is what the application makes of our exception
                await send(message)

        try:
            async with checked_receive(scope, route_of(scope), receive, self.uploads) as checked:

                async def receive_and_note() -> Message:
                    nonlocal failure
                    try:
                        return await checked()
                    except BodyError as error:
                        failure = error
                        raise

                await self.app(scope, receive_and_note, send_unless_failed)
        except BodyError as error:
            failure = error
        except Exception:  # what the application made of our BodyError, else it is raised again
            if failure is None:
                raise
        if failure is not None:
            language = language_of(Headers(scope=scope).get("accept-language"))
            await refuse(send, failure.status, text(language, failure.key, **failure.values))


def route_of(scope: Scope) -> str:
    """The path below the root path under which a proxy shows the page."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) or "/" if root and path.startswith(root) else path


async def refuse(send: Send, status: int, reason: str) -> None:
    """Answers with a sentence, and closes the connection, whose body may not have been read."""
    body = reason.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
