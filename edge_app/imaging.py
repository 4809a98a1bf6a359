"""The only code that turns a picture into the model's input.

A file, bytes or a camera frame goes in; ``uint8[size, size, 3]`` RGB comes out. Training and
conversion read pictures through here too, so that what is trained on is what is served.

The steps are: decode, RGB on white, antialiased resize stretched to a square, EXIF orientation.
Orientation comes last because turning a square of 224 pixels costs nothing, while turning a
photograph of 12 megapixels does; for a stretched square the order does not change the result.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Union

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

Source = Union[str, "os.PathLike[str]", bytes, Image.Image, np.ndarray]

EXTENSIONS = frozenset(
    {".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
"""Endings that a walk over a folder takes for pictures; a file named outright is always tried."""

REDUCED_DECODE = 2
"""A large JPEG is decoded at the smallest scale that keeps both sides at this multiple of the
model's size. libjpeg offers 1/2, 1/4 and 1/8; the antialiased resize does the rest. At 2, the
result stays within a mean of 1 grey level of the full decode (tests/test_imaging.py)."""

_TURNS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}


class PictureError(ValueError):
    """A picture that cannot be read. The message is one line: what is wrong, without the name."""


def read_pixels(source: Source, size: int = 224) -> np.ndarray:
    """Reads one picture as the model's input.

    Args:
        source: a path, the bytes of a picture file, a PIL image, or an RGB array
            ``uint8[height, width, 3]``.
        size: side of the result in pixels.

    Returns:
        ``uint8[size, size, 3]``, RGB, 0 to 255.

    Raises:
        PictureError: the file is missing, unreadable, damaged, or no picture.

    >>> read_pixels(Image.new("RGB", (640, 480), "red")).shape
    (224, 224, 3)
    """
    if isinstance(source, np.ndarray):
        return _shrink(_from_array(source), size)
    if isinstance(source, Image.Image):
        return _decode(source, size)
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return _decode(image, size)
    except FileNotFoundError:
        raise PictureError("there is no such file") from None
    except IsADirectoryError:
        raise PictureError("is a folder, not a picture") from None
    except PermissionError:
        raise PictureError("no permission to read it") from None
    except UnidentifiedImageError:
        raise PictureError(_why_unidentified(source)) from None
    except Image.DecompressionBombError as error:
        raise PictureError(f"is too large: {error}") from None
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        # Pillow's decoders report damage with any of these.
        raise PictureError(f"is damaged or cut short ({_first_line(error)})") from None


def from_frame(frame: np.ndarray, size: int = 224) -> np.ndarray:
    """Turns a camera frame as OpenCV gives it into the model's input.

    Args:
        frame: ``uint8[height, width, 3]``, **BGR**.
        size: side of the result in pixels.

    Returns:
        ``uint8[size, size, 3]``, RGB, 0 to 255.

    Raises:
        PictureError: the frame has another shape or dtype.
    """
    return _shrink(_from_array(frame[..., ::-1]), size)


def find_pictures(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields the picture files below a folder in a stable order, or the path if it is no folder.

    Hidden files and folders are left out, and links to folders are not followed. A folder that
    cannot be listed is yielded as it is, so that whoever reads it reports it and nothing is lost.
    """
    path = Path(path)
    if not path.is_dir():
        yield path
        return
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError:
        yield path
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from find_pictures(entry.path)
        elif Path(entry.name).suffix.lower() in EXTENSIONS:
            yield Path(entry.path)


def _decode(image: Image.Image, size: int) -> np.ndarray:
    if image.format == "JPEG":
        image.draft("RGB", (size * REDUCED_DECODE, size * REDUCED_DECODE))
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    pixels = _shrink(_on_white(image), size)
    for turn in _TURNS.get(orientation, ()):
        pixels = np.asarray(Image.fromarray(pixels).transpose(turn))
    return pixels


def _on_white(image: Image.Image) -> Image.Image:
    """Any Pillow mode to RGB, what is transparent on white, 16-bit grey scaled to 8."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """32-bit grey values to 8 bits: taken for 16-bit where they exceed 255, else as they are."""
    values = np.nan_to_num(values.astype(np.float32))
    if values.max(initial=0) > 255:
        values = values / 257
    return values.clip(0, 255).astype(np.uint8)


def _from_array(pixels: np.ndarray) -> Image.Image:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise PictureError(
            f"expected an array uint8[height, width, 3], got {pixels.dtype}{list(pixels.shape)}"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))


def _shrink(image: Image.Image, size: int) -> np.ndarray:
    # Pillow's bilinear filter widens with the scale, that is, it is antialiased.
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def _why_unidentified(source: object) -> str:
    empty = not (source if isinstance(source, bytes) else os.path.getsize(source))
    return "is empty" if empty else "is no picture in a known format"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
