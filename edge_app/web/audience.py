"""Who waits for an answer, and how much one visitor may ask for at the same time.

Gradio's queue takes jobs from anybody, runs them whether or not somebody listens, and keeps the
results. Here each address and each session get a share, and what nobody listens to is dropped.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import Any

import gradio as gr
from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from edge_app.lockout import address_of
from edge_app.web.bodies import BodyError
from edge_app.web.guard import refuse, route_of
from edge_app.web.texts import language_of, text

MOST_JOBS = 20
"""Jobs of one address that wait or run, cameras among them."""
MOST_BATCHES = 3
"""Of those, batches: one per visitor, and a few visitors may share an address."""
MOST_CONNECTIONS = 64
"""Requests of one address that are being answered; a visitor holds two or three."""
_UNHEARD_SECONDS = 10
"""After so long without a listener a job is dropped."""
_UNREAD_SECONDS = 60
"""After so long without a listener the results of a session are dropped."""


class Audience:
    """Sessions that listen for their answers.

    Args:
        batch: the name of the function that takes a whole batch; of those, one per visitor.

    Attributes:
        queue: Gradio's queue of the page.
    """

    def __init__(self, batch: str):
        self.queue: Any = None
        self.batch = batch
        self.listening: Counter[str] = Counter()
        self.connections: Counter[str] = Counter()
        self._left: dict[str, float] = {}

    def is_heard(self, session: str | None) -> bool:
        """Whether somebody listens for the answers of a session, or just did."""
        if session is None or self.listening[session]:
            return True
        return time.monotonic() - self._left.setdefault(session, time.monotonic()) < (
            _UNHEARD_SECONDS
        )

    def admit(self, address: str, body: dict[str, Any]) -> None:
        """Lets a job in.

        Raises:
            BodyError: its address has enough of them waiting.
        """
        jobs = [
            event
            for event in self.queue.event_ids_to_events.values()
            if address_of(event.request.scope) == address
        ]
        if len(jobs) >= MOST_JOBS:
            raise BodyError(429, "error_busy")
        asked = self.queue.blocks.fns.get(body.get("fn_index", 0))  # the first is the API's
        data = body.get("data")
        takes_picture = isinstance(asked and asked.inputs and asked.inputs[0], gr.Image)
        if takes_picture and isinstance(data, list) and data and isinstance(data[0], str):
            raise BodyError(422, "error_uploads")
        if getattr(asked, "name", None) != self.batch:
            return
        batches = [event for event in jobs if event.fn.name == self.batch]
        own = [event for event in batches if event.session_hash == body.get("session_hash")]
        if own or len(batches) >= MOST_BATCHES:
            raise BodyError(429, "error_one_batch")

    async def drop_unheard(self) -> None:
        """Drops waiting jobs that nobody listens to, and results that nobody fetches."""
        now = time.monotonic()
        waiting = {
            event.session_hash
            for event in list(self.queue.event_ids_to_events.values())
            if now - event.enqueue_time > _UNHEARD_SECONDS
        }
        for session in waiting:
            if not self.is_heard(session):
                await self.queue.clean_events(session_hash=session)
        messages = self.queue.pending_messages_per_session
        busy = {event.session_hash for event in self.queue.event_ids_to_events.values()}
        for session in list(messages):
            if self.is_heard(session) or session in busy:
                continue
            if now - self._left[session] > _UNREAD_SECONDS:
                messages.pop(session, None)
                self.queue.pending_event_ids_session.pop(session, None)
                self._left.pop(session, None)
        for session in [s for s, left in self._left.items() if now - left > 2 * _UNREAD_SECONDS]:
            del self._left[session]

    async def keep_dropping(self) -> None:
        """Does so every few seconds, until it is cancelled."""
        while True:
            await asyncio.sleep(_UNHEARD_SECONDS / 4)
            await self.drop_unheard()


class Shares:
    """Middleware: notes who listens, and gives each address its share of jobs."""

    def __init__(self, app: ASGIApp, audience: Audience):
        self.app = app
        self.audience = audience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        address, route, audience = address_of(scope), route_of(scope), self.audience
        if audience.connections[address] >= MOST_CONNECTIONS:
            await self._refuse(scope, send, BodyError(429, "error_busy"))
            return
        audience.connections[address] += 1
        try:
            session = _session_heard(scope, route)
            if session is not None:
                await self._listen(session, scope, receive, send)
            elif scope["method"] == "POST" and route.endswith(("/queue/join", "/call/classify")):
                await self._join(address, scope, receive, send)
            else:
                await self.app(scope, receive, send)
        finally:
            audience.connections[address] -= 1
            if not audience.connections[address]:
                del audience.connections[address]

    async def _listen(self, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        listening = self.audience.listening
        listening[session] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            listening[session] -= 1
            if not listening[session]:
                del listening[session]
            self.audience._left[session] = time.monotonic()

    async def _join(self, address: str, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()  # the whole body, as `edge_app.web.guard.Limits` hands it on
        try:
            body = json.loads(message.get("body", b""))
            if not isinstance(body, dict):
                raise BodyError(400, "error_request")
            self.audience.admit(address, body)
        except ValueError:
            await self._refuse(scope, send, BodyError(400, "error_request"))
            return
        except BodyError as error:
            await self._refuse(scope, send, error)
            return
        first = [message]

        async def replay() -> Any:
            return first.pop() if first else await receive()

        await self.app(scope, replay, send)

    async def _refuse(self, scope: Scope, send: Send, error: BodyError) -> None:
        accepted = dict(scope["headers"]).get(b"accept-language", b"").decode("latin-1")
        await refuse(send, error.status, text(language_of(accepted), error.key, **error.values))


def _session_heard(scope: Scope, route: str) -> str | None:
    """The session whose answers this request waits for; a call of the API is its own session."""
    if scope["method"] != "GET":
        return None
    if route.endswith("/queue/data"):
        return QueryParams(scope["query_string"]).get("session_hash")
    _, is_call, event = route.partition("/call/classify/")
    return event if is_call else None
