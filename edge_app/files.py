"""Files that appear whole or not at all, names that fit on a line, files that fit in memory."""

from __future__ import annotations

import contextlib
import errno
import glob
import itertools
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from edge_app.formats import HEAD_BYTES, is_video, sniff

_LONGEST_STEM = 50
"""Characters of a file's name that its partial file has too: names have 255 bytes at most."""

_LONGEST_NAME = 255  # bytes, on nearly all file systems

_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{name}{n}" for name in ("COM", "LPT") for n in range(1, 10))}
)
"""Names of Windows that no file can have, whatever their ending."""

_LARGEST_BY_HAND = 1_000_000  # bytes

_STARTED = time.time()

_STREAMS = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a name to write to beside ``path``; that file takes its place if the block succeeds.

    Missing folders above it are made. The name keeps the ending of ``path``. A symbolic link stays
    and the file that it leads to is replaced; a file that is replaced keeps its mode. A device, a
    pipe or a stream, as ``/dev/null`` or ``/dev/stdout``, is written directly. It is synced to the
    disk before it gets its name, so that a power failure leaves no empty file.

    Raises:
        IsADirectoryError: ``path`` is a folder.
    """
    if _is_written_directly(path):
        yield path
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    stem, ending = path.stem[:_LONGEST_STEM], path.suffix[:_LONGEST_STEM]
    remove_leftovers(path.parent, f".{stem}.", f".partial{ending}")
    partial = path.with_name(f".{stem}.{os.getpid()}.partial{ending}")
    try:
        yield partial
        _sync(partial)
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(path, partial)
        _replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def remove_leftovers(folder: Path, start: str, end: str) -> None:
    """Removes the files that processes which are no longer running left half written.

    Args:
        folder: where they are.
        start: what their names begin with.
        end: what their names end with, behind the number of the process.
    """
    for left in folder.glob(f"{glob.escape(start)}*{glob.escape(end)}"):
        process = left.name[len(start) : len(left.name) - len(end)].rpartition(".")[2]
        with contextlib.suppress(OSError):  # its owner is another user, or holds it open
            if process.isdecimal() and not _is_written_by(int(process), left):
                left.unlink()


def _is_written_directly(path: Path) -> bool:
    name = os.path.abspath(path)
    return name.startswith(_STREAMS) or (path.exists() and not path.is_file() and not path.is_dir())


def _replace(partial: Path, path: Path) -> None:
    try:
        os.replace(partial, path)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        shutil.copyfile(partial, path)  # a single file mounted into a container


def _sync(path: Path) -> None:
    with open(path, "rb+") as file:
        try:
            os.fsync(file)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system without it
                raise


def _is_written_by(process: int, path: Path) -> bool:
    """Whether a process still writes a file. In a container every run may have the same number."""
    if process == os.getpid():
        return path.stat().st_mtime >= _STARTED
    return _is_running(process)


def _is_running(process: int) -> bool:
    if os.name == "nt":
        return False  # a file that is open there cannot be removed
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def numbered(path: Path) -> Iterator[Path]:
    """The path, then the same with numbers: ``a.jpg``, ``a-2.jpg``, ``a-3.jpg`` and so on.

    A name of almost `_LONGEST_NAME` bytes loses characters before its ending for them.
    """
    yield path
    stem, ending = os.path.splitext(path.name)
    for number in itertools.count(2):
        after = f"-{number}{ending}"
        room = _LONGEST_NAME - len(os.fsencode(after))
        yield path.with_name(_shortened(stem, room) + after)


def _shortened(text: str, most: int) -> str:
    """The beginning of a name; it has at most this many bytes."""
    while len(os.fsencode(text)) > most:
        text = text[:-1]
    return text


def safe_name(name: str, *, windows: bool = os.name == "nt") -> str:
    r"""A name of a file that leads nowhere else, and that the system can hold.

    Args:
        name: as another system has it.
        windows: by the rules of Windows and its file systems, see
            https://learn.microsoft.com/windows/win32/fileio/naming-a-file.

    >>> safe_name(r"..\a:b.jpg", windows=True), safe_name("nul.jpg", windows=True)
    ('.._a_b.jpg', '_nul.jpg')
    """
    if not windows:
        return name
    name = re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", name).rstrip(". ") or "_"
    stem = name.split(".")[0].rstrip().upper()
    return f"_{name}" if stem in _DEVICES else name


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
    try:
        content = os.fsencode(path)
    except UnicodeEncodeError:  # text that is no name of this system, as in a message
        content = os.fsdecode(path).encode("utf-8", "backslashreplace")
    name = content.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def refuse_to_replace(path: Path) -> None:
    """Makes sure that an output takes the place of no picture, video or database.

    Raises:
        ValueError: there is one; the message is one line and names it.
    """
    try:
        if not path.is_file():
            return
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return  # whoever writes it says so
    kinds = {
        "database": head.startswith(b"SQLite format 3"),
        "picture": sniff(head) is not None,
        "video": is_video(head),
    }
    kind = next((kind for kind, found in kinds.items() if found), None)
    if kind:
        raise ValueError(f"{path} is a {kind}, which would be lost; choose another name")


def read_small(path: Path) -> bytes:
    """The content of a file that people write by hand; a pipe will do.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds more than a megabyte, as ``/dev/zero`` does.
    """
    with path.open("rb") as file:
        content = file.read(_LARGEST_BY_HAND + 1)
    if len(content) > _LARGEST_BY_HAND:
        raise ValueError("is larger than the megabyte that such a file may have")
    return content
