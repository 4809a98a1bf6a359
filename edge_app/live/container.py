"""Whether a video file ends before its container says it does: MP4 and MOV, AVI, Matroska and WebM.

Decoders end such a file as if it were whole, and the number of frames in a header alone proves
nothing: it counts what an edit list hides (MP4), or comes from a longer sound track (Matroska).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

_MOST_BOXES = 100_000
_TAIL_BYTES = 4096
_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"}
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def is_surely_damaged(path: str, seconds: float) -> bool:
    """Whether a file that gave fewer frames than its header counts is known to be damaged.

    Args:
        path: of the video file.
        seconds: how long it would be by the frames that its header counts.

    Returns:
        True if a part of the file reaches beyond its end, if it ends in zeros, as a download does
        that was never finished, or if it is an MP4 whose movie header gives the same length.
    """
    try:
        with open(path, "rb") as file:
            length = os.fstat(file.fileno()).st_size
            file.seek(max(0, length - _TAIL_BYTES))
            if not any(file.read(_TAIL_BYTES)):
                return True
            file.seek(0)
            head = file.read(12)
            if head[:4] == b"RIFF":
                return any(end > length for end in _riffs(file, length))
            if head[:4] == _EBML:
                return _segment_end(file) > length
            if head[4:8] in _FIRST_BOXES:
                return _is_movie_damaged(file, length, seconds)
    except OSError:
        pass  # nothing is known then
    return False


def _riffs(file: BinaryIO, length: int) -> Iterator[int]:
    """The ends of the RIFF chunks; an AVI of more than a gigabyte has several."""
    start = 0
    while start < length:
        file.seek(start)
        head = file.read(8)
        size = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or size in (0, 0xFFFFFFFF):  # it was streamed
            return
        start += 8 + size + size % 2
        yield start - size % 2


def _segment_end(file: BinaryIO) -> int:
    """Where the segment of a Matroska file ends by its own account; 0 where it does not say."""
    file.seek(4)
    size = _ebml_size(file)
    file.seek(max(size, 0), os.SEEK_CUR)
    if file.read(4) != _SEGMENT:
        return 0
    size = _ebml_size(file)
    return file.tell() + size if size >= 0 else 0


def _ebml_size(file: BinaryIO) -> int:
    """The variable-length integer here (RFC 8794, section 4); -1 for an unknown size."""
    first = file.read(1)[0:1] or b"\0"
    width = 9 - first[0].bit_length()
    if width > 8:
        return -1
    mask = (1 << (7 * width)) - 1
    value = int.from_bytes(first + file.read(width - 1), "big") & mask
    return -1 if value == mask else value


def _is_movie_damaged(file: BinaryIO, length: int, seconds: float) -> bool:
    """Walks the boxes of an MP4 (ISO/IEC 14496-12, 4.2)."""
    start, movie = 0, 0.0
    for _ in range(_MOST_BOXES):
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            break
        size, body = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, body = int.from_bytes(head[8:], "big"), 16
        if size < body:  # 0: up to the end of the file
            break
        if start + size > length:
            return True
        if head[4:8] == b"moov":
            file.seek(start + body)
            movie = _movie_seconds(file.read(40))
        start += size
    return abs(movie - seconds) < 0.05 * seconds


def _movie_seconds(box: bytes) -> float:
    """The length in the movie header, which knows of edit lists; 0 where it does not say."""
    if box[4:8] != b"mvhd":
        return 0.0
    place, width = (28, 8) if box[8] else (20, 4)
    scale, duration = box[place : place + 4], box[place + 4 : place + 4 + width]
    return int.from_bytes(duration, "big") / (int.from_bytes(scale, "big") or 1)
