"""What visitors may send, and how much of it: checked before anything is decoded."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import gradio as gr
from PIL import Image

from edge_app.imaging import EXTENSIONS, PictureError

MOST_MEGABYTES = 25
"""Of one picture."""
MOST_MEGAPIXELS = 64
MOST_PICTURES = 200
"""In one batch."""
MOST_ZIP_MEGABYTES = 100
"""Of one uploaded file of any kind; Gradio refuses larger ones while they arrive."""

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "MPO", "PPM", "AVIF")
"""What browsers and cameras make. Pillow also knows formats that start other programs."""
_NOT_A_PICTURE = "is no picture in a known format"


class LimitError(ValueError):
    """A file beyond a limit; ``key`` is the message in `edge_app.web.texts`."""

    def __init__(self, key: str):
        super().__init__(key)
        self.key = key


def only_uploads(component: gr.components.Component) -> gr.components.Component:
    """Makes a component hand on the paths of uploaded files, and refuse everything else.

    A visitor's program may send any path or address in place of what it uploaded. A path outside
    the folder of uploads is refused; an address is never asked for.
    """
    uploads = Path(gr.utils.get_upload_folder()).resolve()

    def path_of(payload: Any) -> Any:
        if payload is None:
            return None
        if isinstance(payload, gr.data_classes.ListFiles):
            return [path_of(file) for file in payload.root]
        path = Path(payload.path or "").resolve()
        if not path.is_relative_to(uploads):
            raise gr.Error("Only uploaded pictures are read.", print_exception=False)
        return str(path)

    to_cache = component.async_move_resource_to_block_cache

    async def without_network(path: str | None) -> str | None:
        if path and "://" in path:
            raise gr.Error("Only uploaded pictures are read.", print_exception=False)
        return await to_cache(path)

    component.preprocess = path_of
    component.async_move_resource_to_block_cache = without_network
    return component


def check_picture(source: str | bytes) -> None:
    """Looks at a picture's header alone.

    Args:
        source: a path, or the bytes of a picture file.

    Raises:
        LimitError: it is larger than the limits.
        PictureError: it is no picture in a format that the page reads.
    """
    size = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
    if size > MOST_MEGABYTES * 1_000_000:
        raise LimitError("error_large")
    if not size:
        raise PictureError("is empty")
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=_FORMATS) as image:
                pixels = image.width * image.height
    except Image.DecompressionBombError:
        raise LimitError("error_pixels") from None
    except Exception:  # decoders report damage with any kind of exception
        raise PictureError(_NOT_A_PICTURE) from None
    if pixels > MOST_MEGAPIXELS * 1_000_000:
        raise LimitError("error_pixels")


def unpack(path: str) -> Iterator[tuple[str, str | bytes]]:
    """Yields name and source of an uploaded file, or of each picture in it if it is a ZIP.

    Members are read one at a time and never beyond the limit of one picture, whatever their
    headers claim, and nothing is written to disk. One that is larger comes one byte longer than
    the limit, so that `check_picture` says so.

    Raises:
        LimitError: the ZIP is damaged or protected by a password.
    """
    if not zipfile.is_zipfile(path):
        yield Path(path).name, path
        return
    most = MOST_MEGABYTES * 1_000_000 + 1
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = PurePosixPath(member.filename)
                hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
                if member.is_dir() or hidden or name.suffix.lower() not in EXTENSIONS:
                    continue
                with archive.open(member) as file:
                    content = file.read(most)
                yield str(name), content
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError, ValueError):
        raise LimitError("error_zip") from None
    except Exception as error:  # zlib, lzma and bz2 each have their own
        raise LimitError("error_zip") from error
