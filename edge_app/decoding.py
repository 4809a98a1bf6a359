"""Decoding what an opened picture holds, also where its file ends too early."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile

from edge_app.opening import PictureError, check_size, open_picture

_MOST = 0.5
"""Share of the rows that must be there for a picture that is cut short to be used."""
_END_OF_JPEG = b"\xff\xd9"
_NOISE = 2
"""Grey levels between pixels of rows that libjpeg had no data for."""
_BAND = 1_000_000
"""Pixels that are compared at once."""
_REDUCED_FROM = 24_000_000
"""Pixels from which on a picture is made smaller before its mode is changed."""


class Decoded(NamedTuple):
    """What was decoded of a file.

    Attributes:
        image: at a reduced scale where that is large enough.
        stored: width and height before it was reduced, as the pixels are turned now.
        incomplete: whether the file ends too early, so that a part of it is missing.
    """

    image: Image.Image
    stored: tuple[int, int]
    incomplete: bool


def decode(image: ImageFile.ImageFile, draft: int) -> Decoded:
    """Decodes a picture, a JPEG at the smallest scale that is large enough.

    A picture whose file ends too early is used if most of it is there: browsers and viewers show
    those, and phones and memory cards make them.

    Args:
        image: as `edge_app.opening.open_picture` gives it; decoded in place.
        draft: both sides have at least so many pixels where the picture has them.

    Raises:
        PictureError: it is too large, or too little of it is there.
        Exception: whatever Pillow raises of a damaged one.
    """
    stored = image.size
    drafted = image.draft("RGB", (draft, draft))
    check_size(image, stored)
    incomplete = bool(image.info.get("incomplete"))
    try:
        image.load()
    except OSError as error:
        if "truncated" not in str(error):
            raise
        image = _decode_truncated(image, draft, error)
        incomplete = True
    if incomplete and _missing(image) > 1 - _MOST:
        raise PictureError("is damaged or cut short (less than half of it is there)")
    # Pillow turns a TIFF when it loads it.
    return Decoded(_reduced(image, draft), stored if drafted else image.size, incomplete)


def _decode_truncated(
    image: ImageFile.ImageFile, draft: int, error: OSError
) -> ImageFile.ImageFile:
    if image.format in ("JPEG", "MPO"):
        file = image.fp
        assert file is not None
        file.seek(0)
        # Zeros at the end are what never arrived; libjpeg would make grey or flat rows of them.
        again = open_picture(io.BytesIO(file.read().rstrip(b"\0") + _END_OF_JPEG))
        again.draft("RGB", (draft, draft))
        again.load()
        return again
    if image.format not in ("PNG", "BMP", "GIF"):
        raise error
    image.tile = []  # use what was decoded, and do not load the rest
    return image


def _missing(image: Image.Image) -> float:
    """The share of rows that hold nothing but what the last row in the file was filled with."""
    width, height = image.size
    # A BMP ends with the highest row, an interlaced GIF or PNG with the last odd one.
    last = 0 if image.format == "BMP" else max(height // 2 * 2 - 1, 0)
    fill = np.asarray(image.crop((0, last, 1, last + 1))).astype(np.int16)
    empty, band = 0, max(1, _BAND // width)  # a header may state millions of rows
    for top in range(0, height, band):
        bottom = min(top + band, height)
        pixels = np.asarray(image.crop((0, top, width, bottom))).astype(np.int16)
        near = np.abs(pixels - fill) <= _NOISE
        empty += int(near.reshape(bottom - top, -1).all(axis=1).sum())
    return empty / height


def _reduced(image: Image.Image, draft: int) -> Image.Image:
    """A large picture with transparency, or of floats, made smaller: changing it takes memory."""
    factor = min(image.size) // draft
    if image.width * image.height < _REDUCED_FROM or factor < 2:
        return image
    if image.mode not in ("RGBA", "LA", "F", "I"):
        return image
    return image.reduce(factor)
