"""Serves the page: Gradio behind the guards, in a web server of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from types import FrameType, SimpleNamespace
from typing import Any

import fastapi
import gradio as gr
import gradio.queueing
import gradio.route_utils
import gradio.routes
import jinja2
import uvicorn
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from edge_app.classifier import Classifier
from edge_app.web import guard
from edge_app.web.audience import Audience, Shares
from edge_app.web.batch_tab import BATCH
from edge_app.web.folder import UPLOADS, remove_old_uploads, remove_uploads
from edge_app.web.login import Login
from edge_app.web.memory import keep_memory_low
from edge_app.web.page import CACHE_SECONDS, FOLDER, build_page, head
from edge_app.web.picture_tab import SAMPLES
from edge_app.web.snippets import code_snippets
from edge_app.web.texts import LANGUAGES, text
from edge_app.web.theme import make_theme
from edge_app.web.uploads import MOST_ZIP_MEGABYTES

_LOG = logging.getLogger(__name__)

MOST_WAITING = 200
"""Visitors in the queue; beyond it they are told to come again later."""
MOST_CONNECTIONS = 800
"""Connections at the same time; beyond it the answer is 503."""
HEADER_SECONDS = 15
"""Until the headers of a request have arrived."""
_MOST_SESSIONS = 1000
_MANIFEST = '<link rel="manifest" href="/manifest.json" />'
"""In Gradio's page: at the root even where the page is not, and missing without a PWA."""
_ICON = '<link rel="icon" href="./favicon.ico" />'
"""In its place: without it browsers look for the icon at the root."""
_GOODBYE_SECONDS = 2
"""For answers that are under way when the server stops."""


@dataclass(frozen=True)
class Reach:
    """Where the page is reached.

    Attributes:
        host, port: the interface and port to listen on.
        root_path: the path under which a proxy shows the page, such as ``/smoking``; empty for
            the root.
        hosts: further host names, such as that of the proxy. Names are checked where the page
            listens on this machine alone, or where any are given.
        proxies: addresses of proxies whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are
            believed; ``*`` for all.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    root_path: str = ""
    hosts: Sequence[str] = ()
    proxies: Sequence[str] = ("127.0.0.1",)

    @property
    def known_hosts(self) -> Sequence[str] | None:
        is_local = self.host in ("127.0.0.1", "localhost", "::1")
        return self.hosts if is_local or self.hosts else None


def serve(
    classifier: Classifier,
    reach: Reach | None = None,
    auth: tuple[str, str] | None = None,
    ready: Callable[[str], None] = _LOG.info,
) -> None:
    """Serves the page until Ctrl-C or SIGTERM; then removes what visitors have uploaded.

    Args:
        classifier: what to use.
        reach: where; None for port 7860 of this machine alone.
        auth: user and password that every visitor has to give; None for an open page.
        ready: called with a sentence as soon as the page can be opened.

    Raises:
        OSError: the port is taken.
    """
    reach = reach or Reach()
    keep_memory_low()
    signal.signal(signal.SIGTERM, _leave)
    try:
        listening = _listen(reach)
        app, audience = make_app(classifier, reach, auth)
        config = uvicorn.Config(
            app,
            http=PatientProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=HEADER_SECONDS,  # uvicorn's 5 s meet clients that ask every 5 s
            timeout_graceful_shutdown=_GOODBYE_SECONDS,
            forwarded_allow_ips=list(reach.proxies),
        )
        logging.getLogger("uvicorn.error").addFilter(_one_line)
        logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it tells what was sent
        server = Server(config, audience, ready, f"http://{_in_url(reach.host)}:{reach.port}")
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        return
    finally:
        remove_uploads()


def make_app(
    classifier: Classifier, reach: Reach, auth: tuple[str, str] | None
) -> tuple[ASGIApp, Audience]:
    """Builds the page with everything that stands before it, from the outside to the inside."""
    audience = Audience(BATCH)
    page = build_page(classifier, audience.is_heard)
    page.queue(max_size=MOST_WAITING)
    page.state_session_capacity = _MOST_SESSIONS
    page.space_id = None  # with it the page asks huggingface.co and Google for a frame of theirs
    inner = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    inner.mount("/samples", StaticFiles(directory=SAMPLES, check_dir=False))
    gr.mount_gradio_app(
        inner,
        page,
        "/",
        root_path=reach.root_path or None,
        footer_links=["api"],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        favicon_path=str(FOLDER / "mark.svg"),
        max_file_size=MOST_ZIP_MEGABYTES * 1_000_000,
        theme=make_theme(),
        css=(FOLDER / "style.css").read_text(encoding="utf-8"),
        head=head(),
    )
    for module in (gradio.queueing, gradio.route_utils):
        module.traceback = SimpleNamespace(print_exc=_log_current)  # type: ignore[attr-defined]
    routes: Any = gradio.routes
    routes.generate_code_snippets = code_snippets
    routes.templates.env.loader = _first_scripts(routes.templates.env)
    page.is_running = True  # without it Gradio does not check where files lie
    audience.queue = page._queue
    app: ASGIApp = Shares(inner, audience)
    app = guard.Limits(app, UPLOADS)
    if auth is not None:
        app = Login(app, *auth, UPLOADS)
    app = guard.OnlyWhatThePageNeeds(app, UPLOADS)
    app = guard.KnownHosts(app, reach.known_hosts)
    app = guard.SecurityHeaders(app)
    return guard.OneLine(app), audience


def _first_scripts(environment: jinja2.Environment) -> Any:
    """Gradio's page with scripts before its own; what it is given as ``head`` runs after them."""
    original: Any = environment.loader
    name = "frontend/index.html"
    source, _, _ = original.get_source(environment, name)
    english, arrival = (
        (FOLDER / name).read_text(encoding="utf-8") for name in ("english.js", "arrival.js")
    )
    if english in source:
        return original  # of a page made earlier in this process
    sentences = {
        language: [text(language, key) for key in ("arrival_again", "arrival_never")]
        for language in LANGUAGES
    }
    arrival = arrival.replace('"__SENTENCES__"', json.dumps(sentences))
    changed = source.replace("<head>", f"<head><script>{english}{arrival}</script>", 1)
    changed = changed.replace(_MANIFEST, _ICON)
    return jinja2.ChoiceLoader([jinja2.DictLoader({name: changed}), original])


class PatientProtocol(H11Protocol):
    """Uvicorn's protocol, which closes connections whose request does not arrive in time."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.loop.call_later(HEADER_SECONDS, self._give_up, None)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self.loop.call_later(HEADER_SECONDS, self._give_up, self.cycle)

    def _give_up(self, answered: Any) -> None:
        """Closes the connection if this is still the last request that has arrived whole."""
        if self.cycle is answered and not self.transport.is_closing():
            self.transport.close()


class Server(uvicorn.Server):
    """Uvicorn's server, which tells when it is ready and cleans up while it runs."""

    def __init__(
        self, config: uvicorn.Config, audience: Audience, ready: Callable[[str], None], url: str
    ):
        super().__init__(config)
        self._audience = audience
        self._ready = ready
        self._url = url

    async def main_loop(self) -> None:
        self._ready(f"Serving on {self._url} (Ctrl-C stops)")
        async with _background(self._audience.keep_dropping(), _sweep()):
            await super().main_loop()


@contextlib.asynccontextmanager
async def _background(*works: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def _sweep() -> None:
    while True:
        await asyncio.sleep(CACHE_SECONDS / 5)
        await asyncio.to_thread(remove_old_uploads, UPLOADS, CACHE_SECONDS)


def _listen(reach: Reach) -> socket.socket:
    family = socket.AF_INET6 if ":" in reach.host else socket.AF_INET
    return socket.create_server((reach.host, reach.port), family=family, backlog=2048)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _leave(number: int, frame: FrameType | None) -> None:
    """Ends the program the ordinary way, so that everything is cleaned up."""
    remove_uploads()
    sys.exit(0)


def _log_current(*arguments: Any, **options: Any) -> None:
    """Replaces Gradio's tracebacks, which hold what visitors sent."""
    error = sys.exc_info()[1]
    if error is not None:
        guard.log_failure("a job", error)


def _one_line(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return "Invalid HTTP request" not in record.getMessage()
