"""What a picture may cost, told from its header before it is decoded.

A file of a few kilobytes can ask for gigabytes of memory or hours of work. `MAX_MEMORY` and
`MAX_SECONDS` say what one picture gets; whoever has larger ones raises `set_max_pixels`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import BinaryIO

MAX_MEMORY = 400_000_000
"""Bytes that one picture may take while it is decoded."""

MAX_SECONDS = 5.0
"""Seconds of one core that one picture may take, where it is decoded in a process of its own; the
limits below keep it under that on a computer of today in any case."""

_BYTES = {"PNG": 5.5, "BMP": 5.5, "GIF": 6.0, "TIFF": 7.5, "WEBP": 16.0, "AVIF": 10.0, "HEIF": 8.0}
"""Bytes per pixel at the peak, rounded up from what benchmarks/picture_memory.py prints. A JPEG is
decoded at a reduced scale and takes 4 per pixel of that."""
_COEFFICIENTS = 6.0
"""Bytes per stored pixel that a progressive JPEG takes beside: all of it is kept until the end."""
_ALPHA = 9.5
"""The same for PNG and TIFF with transparency, which are made smaller before they meet white."""

_JPEG_PIXELS = 400_000_000
"""Pixels of a JPEG: twice what the largest phones write, about four seconds."""
_NO_PICTURE = 20_000_000_000
"""Pixels that no picture has, but many a damaged header."""
_SCANS = 100
"""Scans of a progressive JPEG; cameras and programs write about ten."""
_SCANNED_PIXELS = 1_000_000_000
"""Pixels times scans from which on more scans than that are refused, about three seconds."""

SMALL, SMALL_READS = 64, 200_000
"""Pillow reads chunks and markers in pieces of a few bytes: at most `SMALL_READS` reads of less
than `SMALL` bytes, about two seconds; a quarter of that for a file of a few megabytes."""


@dataclass(frozen=True)
class Limits:
    """What the user allows a picture.

    Attributes:
        max_pixels: of any format; None for what fits into `MAX_MEMORY`.
        max_seconds: of one core.
    """

    max_pixels: int | None = None
    max_seconds: float = MAX_SECONDS


_setting = Limits()


def current() -> Limits:
    """The limits of this process, to be set in another one."""
    return _setting


def use(limits: Limits) -> None:
    """Sets the limits of this process."""
    global _setting
    _setting = limits


def set_max_pixels(count: int | None) -> None:
    """Sets how many pixels a picture of any format may have, for this process.

    Args:
        count: instead of what fits into `MAX_MEMORY`; None for that.
    """
    use(replace(_setting, max_pixels=count))


def set_max_seconds(seconds: float) -> None:
    """Sets how many seconds of one core a picture may take, instead of `MAX_SECONDS`."""
    use(replace(_setting, max_seconds=seconds))


def max_seconds() -> float:
    """How many seconds of one core a picture may take."""
    return _setting.max_seconds


def size_problem(
    form: str, mode: str, stored: tuple[int, int], decoded: tuple[int, int], progressive: bool
) -> str | None:
    """Why a picture is too large to be decoded, else None.

    Args:
        form: its format, by Pillow's name.
        mode: Pillow's mode of its pixels.
        stored: width and height in its header.
        decoded: width and height at which it will be decoded.
        progressive: whether it is a progressive JPEG.

    >>> size_problem("WEBP", "RGB", (9000, 9000), (9000, 9000), False)[:42]
    'is too large: 81.0 megapixels (9000 x 9000'
    >>> size_problem("JPEG", "RGB", (16320, 12240), (2040, 1530), False)
    """
    pixels = stored[0] * stored[1]
    most = _setting.max_pixels
    if most is None:
        most = _fitting(form, mode, pixels, decoded[0] * decoded[1], progressive)
    if pixels <= most:
        return None
    if pixels > _NO_PICTURE:
        return f"is damaged or too large: its header says {stored[0]} x {stored[1]} pixels"
    return (
        f"is too large: {pixels / 1e6:.1f} megapixels ({stored[0]} x {stored[1]}), at most "
        f"{most / 1e6:.1f} of {form} are read; for more, set --max-pixels {pixels}"
    )


def _fitting(form: str, mode: str, pixels: int, decoded: int, progressive: bool) -> int:
    """How many pixels of such a picture fit into `MAX_MEMORY`."""
    if form == "JPEG":
        per_pixel = 4.0 * decoded / max(pixels, 1) + (_COEFFICIENTS if progressive else 0.0)
        return min(_JPEG_PIXELS, int(MAX_MEMORY / per_pixel))
    transparent = mode in ("RGBA", "LA", "PA", "RGBa", "La") and form in ("PNG", "TIFF")
    return int(MAX_MEMORY / (_ALPHA if transparent else _BYTES[form]))


def scans_problem(scans: int, pixels: int) -> str | None:
    """Why a JPEG takes too long to decode, else None."""
    if scans <= _SCANS or scans * pixels <= _SCANNED_PIXELS:
        return None
    return f"takes too long to decode: it has {scans} scans"


def count_scans(file: BinaryIO) -> int:
    """Counts the scans of a JPEG, from its beginning to its end; goes back to where it was."""
    place = file.tell()
    file.seek(0)
    count, last = 0, b""
    while block := file.read(1 << 20):
        count += (last + block).count(b"\xff\xda")
        last = block[-1:]
    file.seek(place)
    return count
