"""The pictures of a result, on this machine or in an object store."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import IO

from edge_app.files import is_remote, printable
from edge_app.formats import HEAD_BYTES, sniff
from edge_app.invocation import install_hint
from edge_app.opening import LARGEST_FILE
from edge_app.scan.errors import StoreError
from edge_app.scan.rows import FileState, Row

_BLOCK = 1 << 20


class OriginalError(Exception):
    """A picture cannot be read. The message is one line: what is wrong, without the name."""


def check_original(path: str | os.PathLike[str]) -> None:
    """Makes sure that a picture can be opened, and that it is one by its content.

    The path may be of a database that somebody else made: ``/etc/shadow`` is no picture.

    Raises:
        OriginalError: it is gone, may not be read, is no picture, or its file system cannot be
            reached.
    """
    with _original_errors(), _open(path) as file:
        if sniff(file.read(HEAD_BYTES)) is None:
            raise OriginalError("is no picture any more")


def has_changed(row: Row) -> bool:
    """Whether a file of this machine is another one than was scanned, by its size and time."""
    try:
        state = FileState(0, 0) if is_remote(row.path) else FileState.of(row.path)
    except ValueError:  # a NUL in the path
        return False
    return state not in (FileState(0, 0), FileState(row.size, row.modified_ns))


def read_original(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Reads a picture's bytes, in blocks of 1 MiB.

    Raises:
        OriginalError: as `check_original`, or it fails on the way.
    """
    with _original_errors():
        file = _open(path)
    with file:
        while True:
            with _original_errors():
                block = file.read(_BLOCK)
            if not block:
                return
            yield block


@contextlib.contextmanager
def _original_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise OriginalError("no longer exists") from None
    except ValueError:  # a NUL in it
        raise OriginalError("is no valid path") from None
    except (OSError, StoreError) as error:
        reason = getattr(error, "strerror", None) or printable(str(error))
        raise OriginalError(f"cannot be read ({reason})") from None


def _open(path: str | os.PathLike[str]) -> IO[bytes]:
    if is_remote(path):
        return _open_remote(str(path))
    if not os.path.isabs(path):
        raise OriginalError("is no path of this machine")
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
        raise OriginalError("is no longer an ordinary file")
    _check_size(status.st_size)
    return open(path, "rb")


def _check_size(size: int) -> None:
    """A file that begins like a picture may be anything, such as the image of a disk."""
    if size > LARGEST_FILE:
        raise OriginalError(f"is larger than any picture that is read ({size / 1e9:.1f} GB)")


def _open_remote(address: str) -> IO[bytes]:
    try:
        from edge_app.scan.parquet import open_filesystem
    except ImportError:
        raise OriginalError(f"is not on this machine; to reach it: {install_hint('ray')}") from None
    filesystem, name = open_filesystem(address)
    file = filesystem.open_input_file(name)
    _check_size(file.size())
    opened: IO[bytes] = file
    return opened
