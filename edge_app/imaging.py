"""The only code that turns a picture into the model's input.

A file, bytes or a camera frame goes in; ``uint8[size, size, 3]`` RGB comes out. Training and
conversion read pictures through here too, so that what is trained on is what is served.

The steps are: decode, RGB on white, antialiased resize stretched to a square, EXIF orientation.
Orientation comes last because turning a square of 224 pixels costs nothing, while turning a
photograph of 12 megapixels does; for a stretched square the order does not change the result.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Union

import numpy as np
from PIL import Image, ImageDraw

from edge_app.decoding import Decoded, decode
from edge_app.folders import skip_reason
from edge_app.formats import EXTENSIONS
from edge_app.looks import Box
from edge_app.opening import (
    PictureError,
    looks_like_picture,
    open_picture,
    open_source,
    path_or_bytes,
    picture_errors,
)
from edge_app.pixels import TURNS, from_array, on_white, orientation_of, turned

__all__ = [
    "EXTENSIONS",
    "REDUCED_DECODE",
    "Picture",
    "PictureError",
    "Source",
    "find_pictures",
    "from_frame",
    "looks_like_picture",
    "open_picture",
    "read_frame",
    "read_picture",
    "read_pixels",
    "read_thumbnail",
]

Source = Union[str, "os.PathLike[str]", bytes, BinaryIO, Image.Image, np.ndarray]

REDUCED_DECODE = 2.5
"""A large JPEG is decoded at the smallest scale that keeps both sides at this multiple of the
model's size. libjpeg offers 1/2, 1/4 and 1/8; the antialiased resize does the rest. At 2.5, a tenth
of the model's input moves by one grey level at most; at 2, a quarter did. What that does to the
answers is in docs/scan.md."""

_REGION_COLOUR = "#fbbf24"

_SIDEWAYS = {5, 6, 7, 8}
"""Orientations that swap width and height."""
_FROM_THE_RIGHT = {2, 3, 7, 8}
_FROM_BELOW = {3, 4, 6, 7}
"""Orientations that, once the sides are swapped, count from the right or from below."""


class Picture:
    """A picture, decoded once and ready for several looks.

    Attributes:
        width: of the upright picture in pixels, as stored and not as decoded.
        height: likewise.
        pixels: the whole picture as the model's input, ``uint8[size, size, 3]``, RGB.
        incomplete: whether the file ends too early, so that a part of it is missing.
    """

    def __init__(
        self,
        image: Image.Image,
        size: int,
        *,
        stored: tuple[int, int] | None = None,
        orientation: int = 1,
        bgr: bool = False,
        incomplete: bool = False,
    ):
        """Prepares the whole picture for the model.

        Args:
            image: in three channels, possibly at a reduced scale, not yet upright.
            size: side of the model's input in pixels.
            stored: width and height before reduction; None for those of ``image``.
            orientation: by EXIF, 1 to 8.
            bgr: whether the channels are in OpenCV's order.
            incomplete: whether the file ends too early.
        """
        self._image, self._size, self._bgr = image, size, bgr
        self._orientation = orientation
        self.incomplete = incomplete
        self._stored = stored or image.size
        self.width, self.height = self._stored[::-1] if orientation in _SIDEWAYS else self._stored
        self.pixels = self._look((0, 0, *image.size))

    def crop(self, box: Box, *, mirrored: bool = False) -> np.ndarray:
        """A part of the picture as the model's input.

        Args:
            box: left, top, right, bottom in pixels of the upright picture, inside of it.
            mirrored: flip it left to right.

        Returns:
            ``uint8[size, size, 3]``, RGB.
        """
        left, top, right, bottom = box
        # The same box in the picture as it is stored, then in the pixels that were decoded.
        width, height = self._stored
        if self._orientation in _SIDEWAYS:
            left, top, right, bottom = top, left, bottom, right
        if self._orientation in _FROM_THE_RIGHT:
            left, right = width - right, width - left
        if self._orientation in _FROM_BELOW:
            top, bottom = height - bottom, height - top
        across, down = self._image.width / width, self._image.height / height
        pixels = self._look(
            (
                left * across,
                top * down,
                min(right * across, self._image.width),
                min(bottom * down, self._image.height),
            )
        )
        return np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels

    def _look(self, box: tuple[float, float, float, float]) -> np.ndarray:
        # Pillow's bilinear filter widens with the scale, that is, it is antialiased.
        square = (self._size, self._size)
        image = self._image.resize(square, Image.Resampling.BILINEAR, box)
        if self._orientation in TURNS:
            image = image.transpose(TURNS[self._orientation])
        pixels = np.asarray(image)
        # Each channel is resized on its own, so their order may change when there is little left.
        return np.ascontiguousarray(pixels[..., ::-1]) if self._bgr else pixels


def read_picture(source: Source, size: int = 224) -> Picture:
    """Reads one picture for one or several looks.

    A large JPEG is decoded at a reduced scale that serves all of them (`REDUCED_DECODE`).

    Args:
        source: a path, the bytes of a picture file, a file open in binary mode, a PIL image, or an
            RGB array ``uint8[height, width, 3]``.
        size: side of the model's input in pixels.

    Raises:
        PictureError: the file is missing, unreadable, damaged, or no picture.
        TypeError: the source is something else, such as None or a list.

    >>> picture = read_picture(Image.new("RGB", (640, 480), "red"))
    >>> picture.width, picture.pixels.shape
    (640, (224, 224, 3))
    """
    if isinstance(source, np.ndarray):
        return Picture(from_array(source), size)
    if isinstance(source, Image.Image):
        with picture_errors():
            source.load()
            return _to_picture(Decoded(source, source.size, False), size)
    given = path_or_bytes(source)
    with picture_errors(), open_source(given) as image:
        return _to_picture(decode(image, round(size * REDUCED_DECODE)), size)


def read_frame(frame: np.ndarray, size: int = 224) -> Picture:
    """Prepares a camera frame as OpenCV gives it for one or several looks.

    Args:
        frame: ``uint8[height, width, 3]``, **BGR**.
        size: side of the model's input in pixels.

    Raises:
        PictureError: the frame has another shape or dtype.
        TypeError: it is no array, such as None.
    """
    return Picture(from_array(frame), size, bgr=True)


def read_pixels(source: Source, size: int = 224) -> np.ndarray:
    """Reads one picture as the model's input.

    Args:
        source: as in `read_picture`.
        size: side of the result in pixels.

    Returns:
        ``uint8[size, size, 3]``, RGB, 0 to 255.

    Raises:
        PictureError: as `read_picture`.

    >>> read_pixels(Image.new("RGB", (640, 480), "red")).shape
    (224, 224, 3)
    """
    return read_picture(source, size).pixels


def from_frame(frame: np.ndarray, size: int = 224) -> np.ndarray:
    """Turns a camera frame as OpenCV gives it into the model's input.

    Args:
        frame: ``uint8[height, width, 3]``, **BGR**.
        size: side of the result in pixels.

    Returns:
        ``uint8[size, size, 3]``, RGB, 0 to 255.

    Raises:
        PictureError: the frame has another shape or dtype.
        TypeError: it is no array, such as None.
    """
    return read_frame(frame, size).pixels


def read_thumbnail(
    source: str | os.PathLike[str] | bytes | BinaryIO, longest: int, region: Box | None = None
) -> Image.Image:
    """Reads a picture for people: upright, RGB on white, in its own shape.

    Args:
        source: a path, the bytes of a picture file, or a file open in binary mode.
        longest: the longer side is at most this, in pixels.
        region: a rectangle to draw, in pixels of the upright picture; None for none.

    Raises:
        PictureError: as `read_pixels`.
    """
    given = path_or_bytes(source)
    with picture_errors(), open_source(given) as image:
        decoded = decode(image, longest)
        upright = on_white(turned(decoded.image))
        # The longer side as stored: a reduced picture is as wide as high in the same proportion.
        before = max(decoded.stored)
        upright.thumbnail((longest, longest))
        if region:
            _outline(upright, region, max(upright.size) / before)
        return upright


def _outline(image: Image.Image, region: Box, scale: float) -> None:
    """Draws a rectangle that shows on bright and on dark pictures."""
    left, top, right, bottom = (round(side * scale) for side in region)
    width, height = image.size
    outer = max(left, 0), max(top, 0), min(right, width) - 1, min(bottom, height) - 1
    if outer[2] - outer[0] < 4 or outer[3] - outer[1] < 4:
        return
    draw = ImageDraw.Draw(image)
    draw.rectangle(outer, outline="black", width=3)
    inner = outer[0] + 1, outer[1] + 1, outer[2] - 1, outer[3] - 1
    draw.rectangle(inner, outline=_REGION_COLOUR)


def find_pictures(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields the picture files below a folder in a stable order, or the path if it is no folder.

    A file is a picture by `looks_like_picture`. Hidden files and folders are left out, and so are
    those of systems and programs (`edge_app.folders`); links to folders are not followed. A folder
    that cannot be listed is yielded as it is, so that whoever reads it reports it.
    """
    path = Path(path)
    if not os.path.isdir(path):
        yield path
        return
    levels = [("", iter([os.fspath(path)]))]  # names alone: a folder may hold a million
    while levels:
        above, names = levels[-1]
        name = next(names, None)
        if name is None:
            levels.pop()
            continue
        inner = os.path.join(above, name)
        if not os.path.isdir(inner):
            if looks_like_picture(inner):
                yield Path(inner)
        elif not above or not (os.path.islink(inner) or skip_reason(name, Path(above).name)):
            try:
                listed = sorted(n for n in os.listdir(inner) if not n.startswith("."))
            except OSError:
                yield Path(inner)
            else:
                levels.append((inner, iter(listed)))


def _to_picture(decoded: Decoded, size: int) -> Picture:
    image, stored, incomplete = decoded
    orientation = orientation_of(image)
    return Picture(
        on_white(image), size, stored=stored, orientation=orientation, incomplete=incomplete
    )
