"""From a file to an opened picture, whatever the file is: nothing is decoded here.

The decoder is chosen by the first bytes. A file that is damaged, unsupported, too large or too slow
to decode is refused in one line.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import struct
from collections.abc import Iterator
from typing import BinaryIO, cast

from PIL import Image, ImageFile, UnidentifiedImageError, features

from edge_app.formats import (
    EXTENSIONS,
    HEAD_BYTES,
    RAW_EXTENSIONS,
    is_camera_raw,
    name_other,
    sniff,
)
from edge_app.gif import first_frame
from edge_app.limits import SMALL, SMALL_READS, count_scans, scans_problem, size_problem
from edge_app.tail import empty_share

_IN_MEMORY = 8_000_000
"""Files up to this size in bytes are read at once; larger ones piece by piece."""

_WHOLE_FILE = 256_000_000
"""No decoder gets more bytes than this at once; those of WebP, AVIF and HEIF take whole files."""

LARGEST_FILE = 2_000_000_000
"""And no more than this in all: more than the largest picture that is decoded."""

_UNSUPPORTED = re.compile(r"unsupported|not supported|cannot handle|unknown|unrecognized", re.I)
"""What Pillow's messages have in common where a file is sound and of a kind that it cannot read."""

_COMPRESSION, _PHOTOMETRIC, _YCBCR = 259, 262, 6
_DNG_VERSION, _NEW_SUBFILE, _SUB_IFDS = 0xC612, 254, 330
"""Tags of TIFF by which camera raw files are told: Adobe's DNG, and those that hold a thumbnail
first and the picture in a directory below it (NEF, ARW, PEF)."""

_CAMERA_RAW = "is a camera raw file, which is not read; export it as JPEG"


class PictureError(ValueError):
    """A picture that cannot be read. The message is one line: what is wrong, without the name."""


@contextlib.contextmanager
def picture_errors() -> Iterator[None]:
    """Turns whatever Pillow and its plugins raise into a `PictureError`."""
    try:
        yield
    except PictureError:
        raise
    except MemoryError:
        raise PictureError("needs more memory than this machine has free") from None
    except FileNotFoundError as error:
        dangling = error.filename and os.path.islink(error.filename)
        raise PictureError(
            "is a link to a file that does not exist" if dangling else "there is no such file"
        ) from None
    except IsADirectoryError:
        raise PictureError("is a folder, not a picture") from None
    except PermissionError:
        raise PictureError("no permission to read it") from None
    except UnidentifiedImageError:
        raise PictureError("is damaged or cut short (its header makes no sense)") from None
    except Image.DecompressionBombError as error:
        raise PictureError(f"is too large: {_first_line(error)}") from None
    except Exception as error:  # decoders report damage with any kind of exception
        if isinstance(error, OSError) and error.strerror:  # of the system, not of a decoder
            raise PictureError(f"cannot be read ({error.strerror})") from None
        raise PictureError(_decoder_problem(error)) from None


def _decoder_problem(error: Exception) -> str:
    line = _first_line(error)
    if "out of memory" in line or "Memory allocation" in line:
        return "needs more memory than this machine has free"
    if _UNSUPPORTED.search(line):
        return f"is of a kind that is not supported ({line})"
    return f"is damaged or cut short ({line})"


def looks_like_picture(path: str | os.PathLike[str]) -> bool:
    """Whether a file is worth reading: its ending promises a picture, or its first bytes are one.

    A file that turns out to hold no picture in spite of its ending is then reported, not ignored.
    One without such an ending that cannot be opened is not taken for a picture, nor is a camera
    raw file; a JPEG that has the name of one is.
    """
    ending = os.path.splitext(path)[1].lower()
    if ending in EXTENSIONS:
        return True
    try:
        with open_file(path) as file:
            form = sniff(file.read(HEAD_BYTES))
    except (OSError, PictureError):
        return False
    return form is not None and not (form == "TIFF" and ending in RAW_EXTENSIONS)


def path_or_bytes(source: object) -> str | os.PathLike[str] | bytes:
    """A path as it is; bytes and what a binary file still holds as bytes.

    Raises:
        TypeError: it is none of them.
        PictureError: the file cannot be read.
    """
    if isinstance(source, (str, os.PathLike, bytes)):
        return source
    if isinstance(source, (bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, io.TextIOBase):
        raise TypeError('a picture is no text: open its file with mode "rb"')
    if not callable(read := getattr(source, "read", None)):
        raise TypeError(
            "a picture is a path, bytes, a binary file, a PIL image or an array "
            f"uint8[height, width, 3], not {type(source).__name__}"
        )
    with picture_errors():
        content = read()
    if not isinstance(content, bytes):
        raise TypeError(f"a binary file is needed; this one gives {type(content).__name__}")
    return content


@contextlib.contextmanager
def open_source(source: str | os.PathLike[str] | bytes) -> Iterator[ImageFile.ImageFile]:
    """Opens a file or its bytes; see `open_picture`."""
    file: BinaryIO
    if isinstance(source, bytes):
        file = _PictureBytes(source)
    else:
        file = open_file(source)
        if os.fstat(file.fileno()).st_size <= _IN_MEMORY:
            with file:
                file = _PictureBytes(file.read())
    with file, open_picture(file) as image:
        yield image


def open_picture(file: BinaryIO) -> ImageFile.ImageFile:
    """Opens a picture with the decoder that its first bytes ask for, and no other.

    Only the header is read; `check_size` says whether it may be decoded. What Pillow raises of a
    damaged one comes through.

    Args:
        file: at its beginning, and seekable.

    Returns:
        The opened picture. ``info["incomplete"]`` is set where the file ends too early.

    Raises:
        PictureError: it is empty, no picture in a known format, of a kind that is not supported, or
            takes too long to decode; or its decoder is not installed.
    """
    head = file.read(HEAD_BYTES)
    file.seek(0)
    form = sniff(head)
    if form is None:
        if is_camera_raw(head):
            raise PictureError(_CAMERA_RAW)
        other = name_other(head)
        known = f"is no picture in a known format{f' ({other})' if other else ''}"
        raise PictureError(known if head else "is empty")
    if form == "PNG" and head[12:16] == b"CgBI":
        raise PictureError("is of a kind that is not supported (PNG of an iPhone app, CgBI)")
    if head[:4] == b"MM\0+":
        raise PictureError("is of a kind that is not supported (big-endian BigTIFF)")
    _prepare_decoder(form)
    incomplete = False
    if form == "GIF":
        try:
            file, incomplete = first_frame(file)
        except ValueError as error:
            raise PictureError(f"is damaged or cut short ({error})") from None
    image = _construct(form, file)
    if share := empty_share(file, form, image):
        raise PictureError(
            f"is damaged or cut short ({max(1, round(100 * share))} % of it is empty)"
        )
    if form == "TIFF":
        _refuse_tiff(image, head)
    elif image.info.get("progressive") and (
        problem := scans_problem(count_scans(file), image.width * image.height)
    ):
        raise PictureError(problem)
    image.info["incomplete"] = incomplete
    return image


def check_size(image: Image.Image, stored: tuple[int, int]) -> None:
    """Makes sure that an opened picture may be decoded, as it stands after ``draft``.

    Args:
        image: as `open_picture` gives it.
        stored: its size before it was drafted.

    Raises:
        PictureError: it would take too much memory.
    """
    form = "JPEG" if image.format == "MPO" else str(image.format)
    progressive = bool(image.info.get("progressive"))
    if problem := size_problem(form, image.mode, stored, image.size, progressive):
        raise PictureError(problem)


def _construct(form: str, file: BinaryIO) -> ImageFile.ImageFile:
    """As ``Image.open``, which refuses by size alone what is decoded at a reduced scale."""
    if form not in Image.OPEN:
        Image.init()
    factory, _ = Image.OPEN[form]
    try:
        return factory(cast("io.BytesIO", file), b"")
    except (SyntaxError, IndexError, TypeError, struct.error) as error:
        if _UNSUPPORTED.search(str(error)):
            raise PictureError(_decoder_problem(error)) from None
        if form == "TIFF" and str(error).isdecimal():  # a compression that Pillow does not know
            raise PictureError(
                f"is of a kind that is not supported (compression {error})"
            ) from None
        raise UnidentifiedImageError(str(error)) from None


def _refuse_tiff(image: Image.Image, head: bytes) -> None:
    tags = getattr(image, "tag_v2", {})
    if (
        tags.get(_PHOTOMETRIC) == _YCBCR and tags.get(_COMPRESSION) == 1
    ):  # for Pillow it is cut short
        raise PictureError("is of a kind that is not supported (YCbCr without compression)")
    thumbnail = _SUB_IFDS in tags and int(tags.get(_NEW_SUBFILE, 0)) & 1
    if _DNG_VERSION in tags or thumbnail or head[8:10] == b"CR":
        raise PictureError(_CAMERA_RAW)


class _Counting:
    """Counts reads, so that no decoder is lost in a file, however large and damaged it is."""

    _most_small_reads = SMALL_READS
    _small_reads = 0
    _bytes = 0

    def _count(self, asked: int, got: int) -> None:
        self._small_reads += asked < SMALL
        if self._small_reads > self._most_small_reads:
            raise PictureError("is damaged, or of more parts than are read")
        self._bytes += got
        if self._bytes > LARGEST_FILE:
            raise PictureError(f"is damaged or too large (more than {LARGEST_FILE / 1e9:.0f} GB)")


class _PictureBytes(_Counting, io.BytesIO):
    _most_small_reads = SMALL_READS // 4

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        self._count(len(content), len(content))
        return content


class _PictureFile(_Counting, io.BufferedReader):
    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = os.fstat(self.fileno()).st_size
        if size > _WHOLE_FILE:
            raise PictureError(f"is too large ({size / 1e9:.1f} GB to be read at once)")
        content = super().read(size)
        self._count(size, len(content))
        return content


def open_file(path: str | os.PathLike[str]) -> _PictureFile:
    """Opens an ordinary file, and nothing else even for a moment.

    Whoever writes to a pipe would take it for a reader, a serial port would reset what is connected
    to it, and ``/dev/watchdog`` would restart the machine.

    Raises:
        PictureError: it is something else, or the path holds a NUL.
        OSError: it is not there, or may not be read.
    """
    # The flag is for a pipe that takes the place of the file just now: it would wait for its end.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # to open a folder says what it is
            raise PictureError("is no ordinary file")
        file = _PictureFile(io.FileIO(path, opener=lambda name, _: os.open(name, flags)))
    except (OSError, PictureError):
        raise
    except ValueError:
        raise PictureError("is no valid path") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise PictureError("is no ordinary file")
    return file


def _prepare_decoder(form: str) -> None:
    """Loads the plugins that Pillow does not load, and keeps decoders from using all cores."""
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


def _first_line(error: Exception) -> str:
    return (str(error) or "its content makes no sense").splitlines()[0]
