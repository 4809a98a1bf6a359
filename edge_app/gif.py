"""The first frame of a GIF, without all that stands around it.

Pillow 12 takes minutes for comments of a few megabytes, and an animation may have any number of
frames. See "Graphics Interchange Format, Version 89a", https://www.w3.org/Graphics/GIF/spec-gif89a.txt.
"""

from __future__ import annotations

import io
from typing import BinaryIO

_EXTENSION, _IMAGE, _END = b"!", b",", b";"
_CONTROL = b"\xf9"
"""Label of the extension that says which color is transparent."""
_MOST_BLOCKS = 500_000
"""Of one frame: 127 MB, or about half a second where they are shorter."""


def first_frame(file: BinaryIO) -> tuple[BinaryIO, bool]:
    """Copies a GIF up to its first frame.

    Args:
        file: at its beginning.

    Returns:
        A GIF of one frame; and whether the file ends before that frame does.

    Raises:
        ValueError: its blocks make no sense, or there are too many; the message is one line.
    """
    out = io.BytesIO()
    head = file.read(13)
    out.write(head)
    out.write(_colors(file, head[10:11]))
    budget = _MOST_BLOCKS
    while True:
        kind = file.read(1)
        if kind == _EXTENSION:
            label = file.read(1)
            content, _, budget = _blocks(file, budget)
            if label == _CONTROL:
                out.write(kind + label + content)
        elif kind == _IMAGE:
            descriptor = file.read(9)
            out.write(kind + descriptor + _colors(file, descriptor[8:9]) + file.read(1))
            content, whole, _ = _blocks(file, budget)
            out.write(content + (b"" if whole else b"\0") + _END)
            break
        else:
            raise ValueError("no picture in it" if kind in (b"", _END) else "its blocks")
    out.seek(0)
    return out, not whole


def _colors(file: BinaryIO, flags: bytes) -> bytes:
    """The color table that these flags announce."""
    if not flags or not flags[0] & 0x80:
        return b""
    return file.read(3 << (flags[0] & 7) + 1)


def _blocks(file: BinaryIO, budget: int) -> tuple[bytes, bool, int]:
    """Sub-blocks with the empty one at their end; whether it is there; how many may still come."""
    parts: list[bytes] = []
    while True:
        length = file.read(1)
        if not length:
            return b"".join(parts), False, budget
        if length == b"\0":
            return b"".join([*parts, length]), True, budget
        budget -= 1
        if budget < 0:
            raise ValueError("too many blocks")
        parts += [length, file.read(length[0])]
