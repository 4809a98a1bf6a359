"""Files that ship with the package: beside it in a checkout or a Space, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """Where a file or folder such as ``samples`` lies; it may be missing.

    >>> shipped("samples").name
    'samples'
    """
    inside, beside = _PACKAGE / name, _PACKAGE.parent / name
    return inside if inside.exists() else beside
