"""How much of a request's body is read: checked while it arrives, whatever its headers say."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from edge_app.lockout import address_of
from edge_app.web.uploads import MOST_PICTURES, MOST_ZIP_MEGABYTES

MOST_UPLOAD_MEGABYTES = 2 * MOST_ZIP_MEGABYTES
"""Of all files that are sent at once."""
MOST_ADDRESS_MEGABYTES = 600
"""That one address may upload within `ADDRESS_SECONDS`."""
ADDRESS_SECONDS = 300
_ADDRESS_UPLOADS = 6
"""Uploads of one address that arrive at the same time."""
_FREE_MEGABYTES = 500
"""Nothing is taken where the disk would have less left."""

_BODY_BYTES = {"queue/join": 600_000, "stream": 600_000, "login": 4_000}
"""A frame of the camera, 640 pixels wide, takes some 60,000."""
_OTHER_BYTES = 50_000
_BUFFERED_BYTES = 30_000_000
"""Of all bodies but uploads that are held while they arrive."""
_MOST_MARKS = 5_000
"""Brackets and commas in a body: each is an object of 50 to 100 bytes once it is parsed."""
_FIELD_BYTES = 4_000
"""Of a part without a file name in an upload: Gradio holds it in memory."""
IDLE_SECONDS = 20
"""Until the next piece of a body."""
_BODY_SECONDS, _UPLOAD_SECONDS = 30, 900
"""Until the whole of it."""


class BodyError(Exception):
    """A body that is not read to its end.

    Attributes:
        status: of the HTTP answer.
        key, values: the sentence in `edge_app.web.texts`.
    """

    def __init__(self, status: int, key: str, **values: object):
        super().__init__(key)
        self.status, self.key, self.values = status, key, values


_buffered = 0
_uploading: Counter[str] = Counter()
_uploaded: defaultdict[str, deque[tuple[float, int]]] = defaultdict(deque)


@asynccontextmanager
async def checked_receive(
    scope: Scope, route: str, receive: Receive, uploads: Path
) -> AsyncIterator[Receive]:
    """Gives a ``receive`` that keeps to the limits of the route.

    Raises:
        BodyError: the body is too large, too slow, or not of the form that the page sends.
    """
    headers = Headers(scope=scope)
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit():
        raise BodyError(400, "error_request")
    if route.rstrip("/").endswith("/upload"):
        async with _upload(address_of(scope), int(length), headers, receive, uploads) as checked:
            yield checked
    else:
        async with _small_body(route, int(length), receive) as checked:
            yield checked


@asynccontextmanager
async def _small_body(route: str, length: int, receive: Receive) -> AsyncIterator[Receive]:
    """Reads the whole body first, so that nobody's parser starts on one that breaks a limit."""
    global _buffered
    most = next((n for name, n in _BODY_BYTES.items() if f"/{name}" in route), _OTHER_BYTES)
    if length > most:
        raise BodyError(413, "error_request")
    body = bytearray()
    paced = _paced(receive, _BODY_SECONDS)
    try:
        more = True
        while more:
            message = await paced()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            piece = message.get("body", b"")
            body += piece
            _buffered += len(piece)
            more = message.get("more_body", False)
            if len(body) > most:
                raise BodyError(413, "error_request")
            if _buffered > _BUFFERED_BYTES:
                raise BodyError(503, "error_busy")
        if sum(body.count(mark) for mark in b"[{,") > _MOST_MARKS:
            raise BodyError(413, "error_request")
        whole: list[Message] = [{"type": "http.request", "body": bytes(body)}]
        yield lambda: _next(whole, receive)
    finally:
        _buffered -= len(body)


async def _next(first: list[Message], receive: Receive) -> Message:
    return first.pop() if first else await receive()


@asynccontextmanager
async def _upload(
    address: str, length: int, headers: Headers, receive: Receive, uploads: Path
) -> AsyncIterator[Receive]:
    most = MOST_UPLOAD_MEGABYTES * 1_000_000
    if length > most:
        raise BodyError(413, "error_upload", mb=MOST_UPLOAD_MEGABYTES)
    if shutil.disk_usage(uploads).free < _FREE_MEGABYTES * 1_000_000:
        raise BodyError(507, "error_disk")
    if _uploading[address] >= _ADDRESS_UPLOADS or not _has_room(address):
        raise BodyError(429, "error_busy")
    _, options = parse_options_header(headers.get("content-type", ""))
    check = _parts_checker(options.get(b"boundary", b"none"))
    paced, received = _paced(receive, _UPLOAD_SECONDS), 0

    async def next_piece() -> Message:
        nonlocal received
        message = await paced()
        piece = message.get("body", b"")
        received += len(piece)
        if received > most:  # one that did not say its length
            raise BodyError(413, "error_upload", mb=MOST_UPLOAD_MEGABYTES)
        check(piece)
        return message

    _uploading[address] += 1
    try:
        yield next_piece
    finally:
        _uploading[address] -= 1
        if not _uploading[address]:
            del _uploading[address]
        _uploaded[address].append((time.monotonic(), received))


def _has_room(address: str) -> bool:
    """Whether an address may upload more; forgets what is long ago, of every address."""
    before = time.monotonic() - ADDRESS_SECONDS
    for each, recent in list(_uploaded.items()):
        while recent and recent[0][0] < before:
            recent.popleft()
        if not recent:
            del _uploaded[each]
    sent = sum(size for _, size in _uploaded.get(address, ()))
    return sent < MOST_ADDRESS_MEGABYTES * 1_000_000


def _paced(receive: Receive, seconds: float) -> Receive:
    """The same messages; slow senders are given up."""
    end = time.monotonic() + seconds

    async def next_in_time() -> Message:
        try:
            patience = max(0.0, min(IDLE_SECONDS, end - time.monotonic()))
            return await asyncio.wait_for(receive(), patience)
        except (asyncio.TimeoutError, TimeoutError):
            raise BodyError(408, "error_slow") from None

    return next_in_time


def _parts_checker(boundary: bytes) -> Callable[[bytes], None]:
    """A function that takes an upload piece by piece and refuses what the page does not send."""
    sizes: dict[str, Any] = {"parts": 0, "field": 0, "is_file": False, "name": b"", "head": b""}

    def on_part_begin() -> None:
        sizes.update(parts=sizes["parts"] + 1, field=0, is_file=False)
        if sizes["parts"] > MOST_PICTURES + 1:
            raise BodyError(413, "error_upload_count", count=MOST_PICTURES)

    def on_header_field(data: bytes, start: int, end: int) -> None:
        sizes["name"] += data[start:end]

    def on_header_value(data: bytes, start: int, end: int) -> None:
        sizes["head"] += data[start:end]
        if len(sizes["head"]) > _FIELD_BYTES:
            raise BodyError(413, "error_request")

    def on_header_end() -> None:
        if sizes["name"].lower() == b"content-disposition":
            sizes["is_file"] = b"filename" in parse_options_header(sizes["head"])[1]
        sizes.update(name=b"", head=b"")

    def on_part_data(data: bytes, start: int, end: int) -> None:
        sizes["field"] += end - start
        most = MOST_ZIP_MEGABYTES * 1_000_000 if sizes["is_file"] else _FIELD_BYTES
        if sizes["field"] > most:
            raise BodyError(413, "error_upload", mb=MOST_ZIP_MEGABYTES)

    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": on_part_begin,
            "on_header_field": on_header_field,
            "on_header_value": on_header_value,
            "on_header_end": on_header_end,
            "on_part_data": on_part_data,
        },
    )

    def check(piece: bytes) -> None:
        try:
            parser.write(piece)
        except BodyError:
            raise
        except Exception:  # of the parser: a body that is no form
            raise BodyError(400, "error_request") from None

    return check
