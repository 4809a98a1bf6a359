"""Members of the ZIP archive inside a model file, however large they claim to be."""

from __future__ import annotations

import zipfile

_LARGEST = 1_000_000
"""Bytes. Labels and decisions are a few hundred."""


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Reads a member of an archive.

    Raises:
        KeyError: there is none of that name.
        ValueError: it is larger than a label file or a decision ever is.
    """
    with archive.open(name) as file:  # its header may claim any size
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"its {name} is larger than {_LARGEST // 1_000_000} MB")
    return content
