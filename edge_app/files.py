"""Files that appear whole or not at all, and names that fit on a line."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a name to write to beside ``path``; what is there takes its name if the block succeeds.

    Folders above it are made where they are missing. The name keeps the ending of ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def numbered(path: Path) -> Iterator[Path]:
    """The path, then the same with numbers: ``a.jpg``, ``a-2.jpg``, ``a-3.jpg`` and so on."""
    yield path
    stem, ending = os.path.splitext(path.name)
    for number in itertools.count(2):
        yield path.with_name(f"{stem}-{number}{ending}")


def is_gone(path: str | os.PathLike[str]) -> bool:
    """Whether nothing is at a path, not even a link that leads nowhere.

    Not so where one cannot look: in a folder without permission, or on a drive that fails.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether it is an address like ``s3://bucket/picture.jpg`` and no path on this machine."""
    return isinstance(path, str) and "://" in path


def printable(path: str | os.PathLike[str]) -> str:
    """The name for people: on one line, whatever bytes and control characters are in it."""
    name = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
