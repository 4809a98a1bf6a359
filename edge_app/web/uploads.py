"""What visitors may send, and how much of it: checked before anything is decoded."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar

import gradio as gr
from PIL import ExifTags, Image

from edge_app.imaging import EXTENSIONS, PictureError, open_picture
from edge_app.web.texts import text

MOST_MEGABYTES = 25
"""Of one picture."""
MOST_MEGAPIXELS = 64
"""Of one JPEG, which is decoded at a reduced scale."""
MOST_MEGAPIXELS_PROGRESSIVE = 40
"""Of one progressive JPEG: libjpeg holds all its coefficients, six bytes a pixel."""
MOST_MEGAPIXELS_IN_FULL = 24
"""Of one picture in any other format, which takes some ten bytes a pixel while it is decoded."""
MOST_MEGAPIXELS_ALPHA = 8
"""Of a WebP and of a picture with transparency, which take some sixteen."""
PIXELS = {
    "jpeg": MOST_MEGAPIXELS,
    "progressive": MOST_MEGAPIXELS_PROGRESSIVE,
    "full": MOST_MEGAPIXELS_IN_FULL,
    "alpha": MOST_MEGAPIXELS_ALPHA,
}
"""All of them, for the sentence that states them."""
LARGE_MEGAPIXELS = 6
"""Beyond it, pictures that are not decoded at a reduced scale wait for each other."""
MOST_PICTURES = 200
"""In one batch."""
MOST_ZIP_MEGABYTES = 100
"""Of one uploaded file of any kind; Gradio refuses larger ones while they arrive."""

_MOST_SCANS = 100
"""Of a progressive JPEG. Cameras and programs write about ten; each takes a pass over the picture,
and a small file can hold a hundred thousand."""
_START_OF_SCAN = b"\xff\xda"

_MOST_READ = 2_000_000
"""Bytes that are read from a ZIP file at a time, its directory among them: some 40,000 names."""
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Those that zipfile unpacks piece by piece. bzip2 and LZMA may give gigabytes for one piece."""
_MOST_NAME = 200
"""Characters that are kept of a name inside a ZIP file; its end says more than its folders."""


_Component = TypeVar("_Component", bound=gr.components.Component)


class LimitError(ValueError):
    """A file beyond a limit; ``key`` and ``values`` are the message in `edge_app.web.texts`."""

    def __init__(self, key: str, **values: object):
        super().__init__(key)
        self.key = key
        self.values = values


def only_uploads(component: _Component) -> _Component:
    """Makes a component hand on the paths of uploaded files, and refuse everything else.

    A visitor's program may send any path or address instead of what it uploaded. A path outside
    the folder of uploads is refused; an address is never asked for.
    """
    uploads = Path(gr.utils.get_upload_folder()).resolve()

    def refuse_others(path: str) -> str:
        if "://" in path or not Path(path).resolve().is_relative_to(uploads):
            raise gr.Error(text("en", "error_uploads"), print_exception=False)
        return path

    def path_of(payload: Any) -> Any:
        if payload is None:
            return None
        if isinstance(payload, gr.data_classes.ListFiles):
            return list(dict.fromkeys(path_of(file) for file in payload.root))[:MOST_PICTURES]
        return refuse_others(payload.path or "")

    to_cache = component.async_move_resource_to_block_cache

    async def only_from_uploads(path: str | None) -> str | None:
        return await to_cache(path and refuse_others(path))

    changed: Any = component
    changed.preprocess = path_of
    changed.async_move_resource_to_block_cache = only_from_uploads
    return component


@dataclass(frozen=True)
class Checked:
    """What the header of a picture says.

    Attributes:
        size: width and height in pixels, upright.
        is_large: whether decoding it takes more than some tens of megabytes.
    """

    size: tuple[int, int]
    is_large: bool


def check_picture(source: str | bytes) -> Checked:
    """Looks at a picture's header alone.

    Args:
        source: a path, or the bytes of a picture file.

    Raises:
        LimitError: it is larger than the limits.
        PictureError: it is no picture in a format that the page reads.
    """
    try:
        size = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
    except FileNotFoundError:  # it waited for longer than uploads are kept
        raise LimitError("error_gone") from None
    if size > MOST_MEGABYTES * 1_000_000:
        raise LimitError("error_large", mb=MOST_MEGABYTES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with _file_of(source) as file, open_picture(file) as image:
                width, height = image.size
                is_jpeg = image.format in ("JPEG", "MPO")  # a camera's JPEG with a second picture
                is_progressive = bool(image.info.get("progressive"))
                has_alpha = image.format == "WEBP" or image.has_transparency_data
                on_its_side = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    except PictureError:
        raise
    except Image.DecompressionBombError:
        raise LimitError("error_pixels", mp=MOST_MEGAPIXELS, jpeg=MOST_MEGAPIXELS) from None
    except Exception:  # decoders report damage with any kind of exception
        raise PictureError("is no picture in a known format") from None
    if is_jpeg:
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
        if content.count(_START_OF_SCAN) > _MOST_SCANS:
            raise LimitError("error_scans")
    megapixels = width * height / 1e6
    is_small_in_memory = is_jpeg and not is_progressive
    if is_jpeg:
        most = MOST_MEGAPIXELS_PROGRESSIVE if is_progressive else MOST_MEGAPIXELS
    else:
        most = MOST_MEGAPIXELS_ALPHA if has_alpha else MOST_MEGAPIXELS_IN_FULL
    if megapixels > most:
        raise LimitError("error_pixels", mp=most, jpeg=MOST_MEGAPIXELS)
    return Checked(
        (height, width) if on_its_side else (width, height),
        not is_small_in_memory and megapixels > LARGE_MEGAPIXELS,
    )


def _file_of(source: str | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")


def unpack(path: str) -> Iterator[tuple[str, str | bytes]]:
    """Yields name and source of an uploaded file, or of each picture in it if it is a ZIP.

    Members are read one at a time and never beyond the limit of one picture, whatever their
    headers claim, and nothing is written to disk. One that is larger comes one byte longer than
    the limit, so that `check_picture` says so. A ZIP inside a ZIP is not looked into.

    Raises:
        LimitError: the ZIP is none, damaged, protected by a password, packed in a way that is
            not read, or holds too many names or no picture.
    """
    if not zipfile.is_zipfile(path):
        if Path(path).suffix.lower() == ".zip" and Path(path).stat().st_size:
            raise LimitError("error_not_zip")
        yield Path(path).name, path
        return
    is_without_pictures = True
    try:
        with _PatientFile(path) as file, zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                name = PurePosixPath(member.filename)
                hidden = any(
                    part.startswith((".", "__MACOSX")) and part != ".." for part in name.parts
                )
                if member.is_dir() or hidden or name.suffix.lower() not in EXTENSIONS:
                    continue
                if member.compress_type not in _COMPRESSIONS:
                    raise LimitError("error_zip")
                is_without_pictures = False
                yield str(name)[-_MOST_NAME:], _read(archive, member)
    except LimitError:
        raise
    except Exception as error:  # of zipfile, of the decompressors, of the system
        raise LimitError("error_zip") from error
    if is_without_pictures:
        raise LimitError("batch_no_pictures")


class _PatientFile(io.FileIO):
    """A file that refuses to be read in large pieces, whatever its own headers ask for."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > _MOST_READ:
            raise LimitError("error_zip_names")
        return super().read(size)


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The content of a member, cut one byte beyond the limit of a picture."""
    content = bytearray()
    most = MOST_MEGABYTES * 1_000_000 + 1
    with archive.open(member) as file:
        while piece := file.read(min(1_000_000, most - len(content))):
            content += piece
    return bytes(content)
