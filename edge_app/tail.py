"""How much of a picture file is empty at its end: the part of a download that never arrived.

Torrents, download managers and crashed copies give a file its full size before its content. The
rest reads as zeros, which the decoders of WebP, AVIF and HEIF take for picture. Compressed pictures
do not end with many zeros; those without compression may, since black is zero there.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from PIL import Image

_SHARE = 0.02
"""Share of a file from which on zeros at its end are missing content."""
_LEAST = 512
"""The least number of such bytes; half of the file if that is less."""
_PIXELS_PER_BYTE = 1024
"""Fewer zeros than one for this many pixels are ignored: libwebp ends a picture of one color with
one zero per 10,000 pixels."""

_BLOCK = 1 << 16
_MOST_PARTS = 10_000
_PICTURE_PARTS = frozenset(
    (*(b"mdat", b"meta", b"moov"), *(b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANMF"))
)
"""Boxes of HEIF and AVIF and chunks of WebP that hold a picture; others may be padding."""
_COMPRESSION, _UNCOMPRESSED = 259, 1
_PLACES = ((273, 279), (324, 325))
"""Tags of TIFF: where its strips or tiles are, and how long they are."""


def empty_share(file: BinaryIO, form: str, image: Image.Image) -> float:
    """The share of a file that never arrived; 0 where it is whole as far as its end can tell.

    A sound file costs a read of its last 64 KB; others are read from their end to their content.

    Args:
        file: seekable, and left where it was.
        form: its format, as `edge_app.formats.sniff` names it.
        image: the opened picture.
    """
    if form not in ("WEBP", "AVIF", "HEIF", "TIFF"):
        return 0.0  # the decoders of the others find out
    place = file.tell()
    try:
        size = file.seek(0, os.SEEK_END)
        least = max(
            _SHARE * size,
            min(_LEAST, size / 2),
            image.width * image.height / _PIXELS_PER_BYTE,
        )
        start = _start_of_zeros(file, size, least)
        if start is None:
            return 0.0
        end = _end_of_strips(image) if form == "TIFF" else _end_of_part(file, form, start)
        lost = min(end, size) - start
        return lost / size if lost >= least else 0.0
    finally:
        file.seek(place)


def _start_of_zeros(file: BinaryIO, size: int, least: float) -> int | None:
    """Where the zeros at the end of a file begin; None where there are fewer than ``least``."""
    start = size
    while start > 0:
        before = max(0, start - _BLOCK)
        file.seek(before)
        content = file.read(start - before).rstrip(b"\0")
        if content:
            start = before + len(content)
            break
        start = before
    return start if size - start >= least else None


def _end_of_part(file: BinaryIO, form: str, start: int) -> int:
    """Where the part of a picture ends in which the zeros begin; ``start`` if it is none."""
    place = 12 if form == "WEBP" else 0
    for _ in range(_MOST_PARTS):
        file.seek(place)
        head = file.read(16)
        if form == "WEBP":
            name, length = head[:4], 8 + int.from_bytes(head[4:8], "little")
        else:
            name, length = head[4:8], int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            elif length == 0 and name in _PICTURE_PARTS:  # it goes to the end of the file
                length = 1 << 62
        if place >= start or length < 8:
            break
        if place + length > start:
            return place + length if name in _PICTURE_PARTS else start
        place += length + (length & 1 if form == "WEBP" else 0)
    return start


def _end_of_strips(image: Image.Image) -> int:
    """Where the content of a TIFF ends; 0 where zeros may be black."""
    tags = getattr(image, "tag_v2", {})
    if tags.get(_COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED:
        return 0
    ends = [
        int(place) + int(length)
        for places, lengths in _PLACES
        for place, length in zip(tags.get(places, ()), tags.get(lengths, ()), strict=False)
    ]
    return max(ends, default=0)
