"""Members of the ZIP archive inside a model file, however large they claim to be."""

from __future__ import annotations

import contextlib
import zipfile
import zlib

DAMAGED: tuple[type[Exception], ...] = (
    *(zipfile.BadZipFile, zlib.error, EOFError),
    OSError,  # of bzip2
    RuntimeError,  # asks for a password, or an unknown method
)
"""What reading a damaged member raises: the methods of compression have an error each."""
with contextlib.suppress(ImportError):  # a Python that was built without it
    import lzma

    DAMAGED += (lzma.LZMAError,)

_LARGEST = 1_000_000
"""Bytes. Labels and decisions are a few hundred."""


def read_member(archive: zipfile.ZipFile, name: str, largest: int = _LARGEST) -> bytes:
    """Reads a member of an archive.

    Args:
        archive: the model file.
        name: of the member.
        largest: bytes that it may have; by default more than a label file or a decision ever has.

    Raises:
        KeyError: there is none of that name.
        ValueError: it is larger, or damaged.
    """
    try:
        with archive.open(name) as file:  # its header may claim any size
            content = file.read(largest + 1)
    except DAMAGED as error:
        raise ValueError(f"its {name} is damaged ({error})") from None
    if len(content) > largest:
        raise ValueError(f"its {name} is larger than {largest // 1_000_000} MB")
    return content
