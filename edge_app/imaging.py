"""The only code that turns a picture into the model's input.

A file, bytes or a camera frame goes in; ``uint8[size, size, 3]`` RGB comes out. Training and
conversion read pictures through here too, so that what is trained on is what is served.

The steps are: decode, RGB on white, antialiased resize stretched to a square, EXIF orientation.
Orientation comes last because turning a square of 224 pixels costs nothing, while turning a
photograph of 12 megapixels does; for a stretched square the order does not change the result.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Union

import numpy as np
from PIL import ExifTags, Image, ImageDraw, ImageOps, UnidentifiedImageError, features

from edge_app.folders import skip_reason
from edge_app.formats import EXTENSIONS, HEAD_BYTES, sniff
from edge_app.looks import Box

Source = Union[str, "os.PathLike[str]", bytes, Image.Image, np.ndarray]

REDUCED_DECODE = 2.5
"""A large JPEG is decoded at the smallest scale that keeps both sides at this multiple of the
model's size. libjpeg offers 1/2, 1/4 and 1/8; the antialiased resize does the rest. At 2.5, a tenth
of the model's input moves by one grey level at most; at 2, a quarter did. What that does to the
answers is in docs/scan.md."""

_IN_MEMORY = 8_000_000
"""Files up to this size in bytes are read at once; larger ones piece by piece."""

_WHOLE_FILE = 256_000_000
"""No decoder gets more bytes than this at once; those of WebP, AVIF and HEIF take whole files."""

_ALL_READS = 2_000_000_000
"""And no more than this in all: more than the largest picture that Pillow agrees to decode."""

_SMALL, _SMALL_READS = 64, 1_000_000
"""Pillow looks for the next block of a damaged file in reads of a few bytes: no more than so many
reads of less than so many bytes."""

_TURNS = {  # how to undo each EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_REGION_COLOUR = "#fbbf24"

_SIDEWAYS = {5, 6, 7, 8}
"""Orientations that swap width and height."""
_FROM_THE_RIGHT = {2, 3, 7, 8}
_FROM_BELOW = {3, 4, 6, 7}
"""Orientations that, once the sides are swapped, count from the right or from below."""


class PictureError(ValueError):
    """A picture that cannot be read. The message is one line: what is wrong, without the name."""


class Picture:
    """A picture, decoded once and ready for several looks.

    Attributes:
        width, height: of the upright picture in pixels, as stored and not as decoded.
        pixels: the whole picture as the model's input, ``uint8[size, size, 3]``, RGB.
    """

    def __init__(
        self,
        image: Image.Image,
        size: int,
        *,
        stored: tuple[int, int] | None = None,
        orientation: int = 1,
        bgr: bool = False,
    ):
        """Prepares the whole picture for the model.

        Args:
            image: in three channels, possibly at a reduced scale, not yet upright.
            size: side of the model's input in pixels.
            stored: width and height before reduction; None for those of ``image``.
            orientation: by EXIF, 1 to 8.
            bgr: whether the channels are in OpenCV's order.
        """
        self._image, self._size, self._bgr = image, size, bgr
        self._orientation = orientation
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
        if self._orientation in _TURNS:
            image = image.transpose(_TURNS[self._orientation])
        pixels = np.asarray(image)
        # Each channel is resized on its own, so their order may change when there is little left.
        return np.ascontiguousarray(pixels[..., ::-1]) if self._bgr else pixels


def read_picture(source: Source, size: int = 224) -> Picture:
    """Reads one picture for one or several looks.

    A large JPEG is decoded at a reduced scale that serves all of them (`REDUCED_DECODE`).

    Args:
        source: a path, the bytes of a picture file, a PIL image, or an RGB array
            ``uint8[height, width, 3]``.
        size: side of the model's input in pixels.

    Raises:
        PictureError: the file is missing, unreadable, damaged, or no picture.

    >>> picture = read_picture(Image.new("RGB", (640, 480), "red"))
    >>> picture.width, picture.pixels.shape
    (640, (224, 224, 3))
    """
    if isinstance(source, np.ndarray):
        return Picture(_from_array(source), size)
    with _picture_errors():
        if isinstance(source, Image.Image):
            return _to_picture(source, size)
        with _open(source) as image:
            stored = image.size
            # The smallest scale that a JPEG decoder offers and that is large enough.
            reduced = image.draft("RGB", (round(size * REDUCED_DECODE),) * 2)
            return _to_picture(image, size, stored if reduced else None)


def read_frame(frame: np.ndarray, size: int = 224) -> Picture:
    """Prepares a camera frame as OpenCV gives it for one or several looks.

    Args:
        frame: ``uint8[height, width, 3]``, **BGR**.
        size: side of the model's input in pixels.

    Raises:
        PictureError: the frame has another shape or dtype.
    """
    return Picture(_from_array(frame), size, bgr=True)


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
    """
    return read_frame(frame, size).pixels


def read_thumbnail(
    source: str | os.PathLike[str] | bytes, longest: int, region: Box | None = None
) -> Image.Image:
    """Reads a picture for people: upright, RGB on white, in its own shape.

    Args:
        source: a path, or the bytes of a picture file.
        longest: the longer side is at most this, in pixels.
        region: a rectangle to draw, in pixels of the upright picture; None for none.

    Raises:
        PictureError: as `read_pixels`.
    """
    with _picture_errors(), _open(source) as image:
        stored = image.size
        reduced = image.draft("RGB", (longest, longest))
        upright = _on_white(ImageOps.exif_transpose(image))
        # The longer side as stored: a reduced picture is as wide as high in the same proportion.
        before = max(stored if reduced else upright.size)
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


@contextlib.contextmanager
def _picture_errors() -> Iterator[None]:
    """Turns whatever Pillow and its plugins raise into a `PictureError`."""
    try:
        yield
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError("there is no such file") from None
    except IsADirectoryError:
        raise PictureError("is a folder, not a picture") from None
    except PermissionError:
        raise PictureError("no permission to read it") from None
    except UnidentifiedImageError:
        raise PictureError("is damaged or cut short (its header makes no sense)") from None
    except Image.DecompressionBombError as error:
        raise PictureError(f"is too large: {error}") from None
    except OSError as error:
        if error.strerror:  # of the system, not of a decoder
            raise PictureError(f"cannot be read ({error.strerror})") from None
        raise PictureError(f"is damaged or cut short ({_first_line(error)})") from None
    except Exception as error:  # decoders report damage with any kind of exception
        raise PictureError(f"is damaged or cut short ({_first_line(error)})") from None


def looks_like_picture(path: str | os.PathLike[str]) -> bool:
    """Whether a file is worth reading: its ending promises a picture, or its first bytes are one.

    A file that turns out to hold no picture in spite of its ending is then reported, not ignored.
    One without such an ending that cannot be opened is not taken for a picture.
    """
    if os.path.splitext(path)[1].lower() in EXTENSIONS:
        return True
    try:
        with _open_file(path) as file:
            return sniff(file.read(HEAD_BYTES)) is not None
    except (OSError, PictureError):
        return False


@contextlib.contextmanager
def _open(source: str | os.PathLike[str] | bytes) -> Iterator[Image.Image]:
    """Opens a picture whose decoder cannot be lost in it; see `_PictureFile`."""
    file: BinaryIO
    if isinstance(source, bytes):
        file = io.BytesIO(source)
    else:
        file = _open_file(source)
        if os.fstat(file.fileno()).st_size <= _IN_MEMORY:
            with file:
                file = io.BytesIO(file.read())
    with file, open_picture(file) as image:
        yield image


def open_picture(file: BinaryIO) -> Image.Image:
    """Opens a picture with the decoder that its first bytes ask for, and no other.

    Only the header is read. What Pillow raises of a damaged one comes through.

    Args:
        file: at its beginning, and seekable.

    Raises:
        PictureError: it is empty or no picture in a known format, or its decoder is not installed.
    """
    head = file.read(HEAD_BYTES)
    file.seek(0)
    form = sniff(head)
    if form is None:
        raise PictureError("is no picture in a known format" if head else "is empty")
    _prepare_decoder(form)
    return Image.open(file, formats=[form])


class _PictureFile(io.BufferedReader):
    """A file that no decoder can be lost in, however large and damaged it is."""

    _small_reads = 0
    _bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = os.fstat(self.fileno()).st_size
        if size > _WHOLE_FILE:
            raise PictureError(f"is too large ({size / 1e9:.1f} GB to be read at once)")
        self._small_reads += size < _SMALL
        if self._small_reads > _SMALL_READS:
            raise PictureError("is damaged (its blocks do not follow each other)")
        content = super().read(size)
        self._bytes += len(content)
        if self._bytes > _ALL_READS:
            raise PictureError(f"is damaged or too large (more than {_ALL_READS / 1e9:.0f} GB)")
        return content


def _open_file(path: str | os.PathLike[str]) -> _PictureFile:
    # Opening a pipe would wait for its other end, but for this flag.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = _PictureFile(io.FileIO(path, opener=lambda name, _: os.open(name, flags)))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise PictureError("is no ordinary file")
    return file


def _prepare_decoder(form: str) -> None:
    """Loads what Pillow does not load by itself, and keeps decoders from taking all the cores."""
    if form == "AVIF":
        if not features.check("avif"):
            raise PictureError("is an AVIF picture; to read it: pip install -U pillow")
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    elif form == "HEIF" and form not in Image.OPEN:
        try:
            import pillow_heif
        except ImportError:
            raise PictureError("is a HEIF picture; to read it: pip install pillow-heif") from None
        pillow_heif.register_heif_opener()
        pillow_heif.options.DECODE_THREADS = 1


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
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError:
        yield path
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if os.path.isdir(entry.path):
            if not entry.is_symlink() and not skip_reason(entry.name, path.name):
                yield from find_pictures(entry.path)
        elif looks_like_picture(entry.path):
            yield Path(entry.path)


def _to_picture(image: Image.Image, size: int, stored: tuple[int, int] | None = None) -> Picture:
    image.load()  # before it is asked for its orientation: Pillow turns a TIFF here itself
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return Picture(_on_white(image), size, stored=stored, orientation=orientation)


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
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """32-bit grey values to 8 bits; their largest tells whether they fill 16 bits, 8, or [0, 1]."""
    in_floats = values.dtype.kind == "f"
    values = np.nan_to_num(values.astype(np.float32))
    largest = values.max(initial=0)
    if largest > 255:
        values = values / 257
    elif in_floats and largest <= 1:
        values = values * 255
    return values.clip(0, 255).astype(np.uint8)


def _from_array(pixels: np.ndarray) -> Image.Image:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise PictureError(
            f"expected an array uint8[height, width, 3], got {pixels.dtype}{list(pixels.shape)}"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
