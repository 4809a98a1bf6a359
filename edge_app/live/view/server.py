"""Serves the page in a thread of its own, beside the cameras."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from string import Template
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from edge_app.live.view.guard import Guard
from edge_app.live.view.hub import Hub, Seen
from edge_app.live.view.metrics import CONTENT_TYPE, metrics, temperature
from edge_app.live.view.texts import TEXTS, language_of, reason_of
from edge_app.live.zone import Point, Zone

_FOLDER = Path(__file__).parent
_UPDATE_SECONDS = 0.5
_POLL_SECONDS = 0.05
_STALE_SECONDS = 30.0
_BOUNDARY = b"--frame\r\n"
_CLIP = re.compile(r"smoking-[\w-]+\.mp4")


def parse_address(text: str) -> tuple[str, int]:
    """Reads ``[HOST:]PORT``.

    Raises:
        ValueError: it is none.

    >>> parse_address("8080"), parse_address("[::1]:8080")
    (('127.0.0.1', 8080), ('::1', 8080))
    """
    match = re.fullmatch(r"(?:(\[[0-9a-fA-F:.]+\]|[\w.-]+):)?(\d{1,5})", text)
    if not match or int(match[2]) > 65535:
        raise ValueError(f"expected [HOST:]PORT, such as 8080 or 0.0.0.0:8080, got {text!r}")
    return (match[1] or "127.0.0.1").strip("[]"), int(match[2])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Server:
    """The page's server; a context manager.

    Args:
        hub: what it shows.
        address: host and port; port 0 takes a free one.
        auth: user and password of every visitor; None only on a loopback address.
        clips: folder of the clips.

    Raises:
        ValueError: there is no password, and others can reach the address.
        OSError: the address cannot be used.
    """

    def __init__(
        self,
        hub: Hub,
        address: tuple[str, int],
        auth: tuple[str, str] | None = None,
        clips: Path | None = None,
    ):
        host, port = address
        if auth is None and not is_loopback(host):
            raise ValueError(f"{host} can be reached by others: a password is needed (--auth)")
        import uvicorn

        self._hub, self._clips = hub, clips
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family)
        # For people in the same network, who cannot open 0.0.0.0.
        name = socket.gethostname() if host in ("0.0.0.0", "::", "") else host
        shown_host = f"[{name}]" if ":" in name else name
        self.url = f"http://{shown_host}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self._app(auth),
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="view", daemon=True
        )

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(3)
        self._socket.close()

    def _app(self, auth: tuple[str, str] | None) -> Starlette:
        routes = [
            Route("/", self._page),
            Route("/view.{kind:str}", self._static),
            Route("/updates", self._updates),
            Route("/history/{camera}", self._history),
            Route("/stream/{camera}.mjpg", self._stream),
            Route("/picture/{camera}.jpg", self._picture),
            Route("/event/{event}.jpg", self._event_picture),
            Route("/clip/{name}", self._clip),
            Route("/health", self._health),
            Route("/metrics", self._metrics),
        ]
        middleware = [Middleware(Guard, auth=auth, open_paths=("/health",))]
        if auth is None:  # a foreign page whose name leads here (DNS rebinding) sees nothing
            local = ["localhost", "127.0.0.1", "[::1]", "::1"]
            middleware.insert(0, Middleware(TrustedHostMiddleware, allowed_hosts=local))
        return Starlette(routes=routes, middleware=middleware)

    async def _page(self, request: Request) -> Response:
        chosen = request.query_params.get("lang")
        language = language_of(chosen, request.headers.get("accept-language", ""))
        known: dict[str, Any] = {
            "texts": TEXTS[language],
            "label": self._hub.label,
            "cameras": [
                {
                    "id": key,
                    "name": seen.camera.title,
                    "threshold": seen.camera.threshold or self._hub.threshold,
                    # A name has who is in a file, or one of several: --region is refused there.
                    "toml": bool(seen.camera.name),
                    "masks": [_text_of(mask) for mask in (seen.camera.zone or Zone()).masks],
                }
                for key, seen in self._hub.cameras.items()
            ],
        }
        page = Template((_FOLDER / "view.html").read_text(encoding="utf-8"))
        data = json.dumps(known).replace("<", "\\u003c")
        return HTMLResponse(page.substitute(TEXTS[language], lang=language, data=data))

    async def _static(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        media = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}.get(kind)
        if media is None:
            return PlainTextResponse("Not found", 404)
        return FileResponse(_FOLDER / f"view.{kind}", media_type=media)

    def _seen(self, request: Request) -> Seen | None:
        return self._hub.cameras.get(request.path_params["camera"])

    async def _history(self, request: Request) -> Response:
        seen = self._seen(request)
        return JSONResponse(seen.history()) if seen else PlainTextResponse("Not found", 404)

    async def _picture(self, request: Request) -> Response:
        seen = self._seen(request)
        jpeg = await run_in_threadpool(seen.jpeg) if seen else None
        if jpeg is None:
            return PlainTextResponse("No picture yet", 404)
        return Response(jpeg[1], media_type="image/jpeg")

    async def _stream(self, request: Request) -> Response:
        seen = self._seen(request)
        if seen is None:
            return PlainTextResponse("Not found", 404)
        media = "multipart/x-mixed-replace; boundary=frame"
        return StreamingResponse(self._pictures(request, seen), media_type=media)

    async def _pictures(self, request: Request, seen: Seen) -> AsyncIterator[bytes]:
        """Parts of MJPEG; each ends with the next boundary, or browsers would wait for it."""
        self._hub.watchers += 1
        last = None
        try:
            yield _BOUNDARY
            while not (self._server.should_exit or await request.is_disconnected()):
                jpeg = await run_in_threadpool(seen.jpeg)
                if jpeg is not None and jpeg[0] != last:
                    last, content = jpeg
                    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
                    yield head.encode() + content + b"\r\n" + _BOUNDARY
                await asyncio.sleep(max(_POLL_SECONDS, 0.5 / self._hub.fps))
        finally:
            self._hub.watchers -= 1

    async def _updates(self, request: Request) -> Response:
        return StreamingResponse(self._messages(request), media_type="text/event-stream")

    async def _messages(self, request: Request) -> AsyncIterator[str]:
        """Server-sent events: the cameras, and the events where they changed."""
        self._hub.watchers += 1
        version = -1
        try:
            while not (self._server.should_exit or await request.is_disconnected()):
                if version != self._hub.version:
                    version = self._hub.version
                    yield f"event: events\ndata: {json.dumps(self._hub.events())}\n\n"
                yield f"data: {json.dumps(self._state())}\n\n"
                await asyncio.sleep(_UPDATE_SECONDS)
        finally:
            self._hub.watchers -= 1

    def _state(self) -> dict[str, Any]:
        cameras = {key: _state_of(seen) for key, seen in self._hub.cameras.items()}
        return {"time": time.time(), "temperature": temperature(), "cameras": cameras}

    async def _event_picture(self, request: Request) -> Response:
        picture = await run_in_threadpool(self._hub.thumbnail, request.path_params["event"])
        if picture is None:
            return PlainTextResponse("Not found", 404)
        return Response(picture, media_type="image/jpeg")

    async def _clip(self, request: Request) -> Response:
        name = request.path_params["name"]
        path = self._clips / name if self._clips and _CLIP.fullmatch(name) else None
        if path is None or not path.is_file():
            return PlainTextResponse("Not found", 404)
        return FileResponse(path)

    async def _health(self, _request: Request) -> Response:
        """For watchdogs: without names, and without a password."""
        fine = [
            seen.lost is None
            and seen.moment is not None
            and time.monotonic() - seen.moment.frame.captured_at < _STALE_SECONDS
            for seen in self._hub.cameras.values()
        ]
        state = {"ok": all(fine), "cameras": len(fine), "connected": sum(fine)}
        return JSONResponse(state, 200 if all(fine) else 503)

    async def _metrics(self, _request: Request) -> Response:
        return PlainTextResponse(metrics(self._hub), headers={"Content-Type": CONTENT_TYPE})


def _state_of(seen: Seen) -> dict[str, Any]:
    """What the page shows of a camera."""
    state: dict[str, Any] = {"lost": seen.lost_since, "reason": reason_of(seen.lost or "")}
    if (moment := seen.moment) is None:
        return state
    prediction = moment.prediction
    evidence = prediction.evidence
    height, width = moment.frame.pixels.shape[:2]
    zone = (seen.camera.zone or Zone()).scaled(seen.first_size, (width, height))
    return state | {
        "number": seen.classified,
        "state": moment.state,
        "score": round(prediction.smoking, 3),
        "smoothed": round(moment.smoothed, 3),
        "uncertain": prediction.uncertain,
        "rate": round(moment.rate, 1),
        "latency": round(moment.latency * 1000),
        "dropped": moment.dropped,
        "size": [width, height],
        "box": moment.box,
        "outline": zone.outline(),
        "masks": zone.masks,
        "region": prediction.region,
        "evidence": None if evidence is None else evidence.astype(float).round(2).tolist(),
    }


def _text_of(points: tuple[Point, ...]) -> str:
    """A polygon as ``--mask`` and the TOML file take it."""
    return " ".join(f"{x},{y}" for x, y in points)
