"""Walks folder trees of any size, an entry at a time, whatever is in them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from edge_app.files import is_gone
from edge_app.formats import RAW_EXTENSIONS
from edge_app.imaging import looks_like_picture
from edge_app.scan.rows import FileState
from edge_app.scan.selection import Selection

_OPEN_FOLDERS = 100
"""Folders this deep are listed at once and closed, since a process may hold few files open."""


class Entry(NamedTuple):
    """What the walk found.

    Attributes:
        path: absolute, as the file system knows it.
        state: its size and time of modification; None for what is no picture, which is not
            looked at further.
        error: why a folder could not be listed, else None.
        skipped: what to call a folder or link that is passed over, else None.
    """

    path: str
    state: FileState | None
    error: str | None = None
    skipped: str | None = None


RAW = "camera raw file"
"""What `Entry.skipped` says of those, which hold a thumbnail that stands for nothing else."""
LINK = "link to a picture that is scanned anyway"
"""`Entry.skipped` of a symbolic link to a file of the tree, or to one seen before."""


def resolve_roots(roots: Iterable[str | os.PathLike[str]], selection: Selection) -> list[str]:
    """Makes the roots of a walk absolute, and leaves out those that another one reaches.

    A hidden folder that is named beside the folder it is in is a root of its own.
    """
    resolved = sorted({Path(root).resolve() for root in roots}, key=lambda path: len(path.parts))
    outer: list[Path] = []
    for path in resolved:
        reaches = selection.enters if path.is_dir() else selection.takes
        above = (other for other in outer if path.is_relative_to(other))
        if not any(reaches(str(path.relative_to(other)), str(other)) for other in above):
            outer.append(path)
    return [str(path) for path in outer]


def walk(roots: Iterable[str], selection: Selection) -> Iterator[Entry]:
    """Yields what is below folders, in the order in which the file system has it.

    It holds one open folder a level, and no list of what is in them. What vanishes meanwhile is
    passed over.

    Args:
        roots: absolute paths of folders; a file among them is yielded itself.
        selection: which files are yielded.
    """
    roots = list(roots)
    once = _Once(roots, selection)
    for root in roots:
        if os.path.isdir(root):
            for found in _walk_names(root, "", selection, once):
                yield from _look(found, selection)
        else:
            yield Entry(root, FileState.of(root))


def walk_again(root: str, path: str, selection: Selection) -> Iterator[Entry]:
    """As `walk`, for one file or folder inside a root, which may be there no longer."""
    below = os.path.relpath(path, root)
    once = _Once([root], selection)
    if not os.path.isdir(path):
        linked = os.path.islink(path)
        if selection.takes(below, root) and not (linked and once.knows_file(path)):
            yield from _look(path, selection)
    elif selection.enters(below, root) and (selection.follow_symlinks or not os.path.islink(path)):
        for found in _walk_names(path, below, selection, once):
            yield from _look(found, selection)


def count_names(roots: Iterable[str], selection: Selection) -> Iterator[int]:
    """Counts what `walk` looks at; yields the number so far. It opens no file but through links."""
    count = 0
    roots = list(roots)
    once = _Once(roots, selection)
    for root in roots:
        if not os.path.isdir(root):
            count += 1
        for found in _walk_names(root, "", selection, once):
            count += not (isinstance(found, Entry) and found.skipped)
            yield count
    yield count


def linked_folders(root: str, path: str, selection: Selection) -> list[str]:
    """The links to folders that `walk_again` follows at a path of a root and below it."""
    below = "" if path == root else os.path.relpath(path, root)
    if not os.path.isdir(path) or not selection.enters(below, root):
        return []
    links = [path] if below and os.path.islink(path) else []
    for _ in _walk_names(path, below, selection, _Once([root], selection), links.append):
        pass
    return links


class _Once:
    """Tells folders and files that are reached in more than one way."""

    def __init__(self, roots: list[str], selection: Selection):
        self._roots = [os.path.realpath(root) for root in roots]
        self._selection = selection
        self._folders: set[tuple[int, int]] = set()
        self._linked: set[tuple[int, int]] = set()

    def knows_folder(self, path: str) -> bool:
        """Whether a folder was entered before."""
        return _is_in(path, self._folders)

    def knows_file(self, link: str) -> bool:
        """Whether the file that a link leads to is found without the link, or was by another."""
        real = Path(os.path.realpath(link))
        for root in self._roots:
            if not real.is_relative_to(root):
                continue
            below = str(real.relative_to(root))
            if below == os.curdir or self._selection.takes(below, root):
                return real.is_file()
        return _is_in(link, self._linked)


def _look(found: str | Entry, selection: Selection) -> Iterator[Entry]:
    """Looks at one file: whether it is a picture, and whether it is recent enough."""
    if isinstance(found, Entry):
        yield found
        return
    try:
        status = os.stat(found)
    except OSError:
        # A link that leads nowhere, or a file that one may not look at, is reported by whoever
        # reads it; what vanished is not there.
        if not is_gone(found) and looks_like_picture(found):
            yield Entry(found, FileState(0, 0))
        return
    if stat.S_ISDIR(status.st_mode):  # it was a file when it was listed
        return
    if selection.since_ns is not None and status.st_mtime_ns < selection.since_ns:
        return
    is_picture = looks_like_picture(found)
    if not is_picture and os.path.splitext(found)[1].lower() in RAW_EXTENSIONS:
        yield Entry(found, None, skipped=RAW)
        return
    yield Entry(found, FileState(status.st_size, status.st_mtime_ns) if is_picture else None)


def _walk_names(
    top: str,
    below: str,
    selection: Selection,
    once: _Once,
    on_link: Callable[[str], object] = lambda path: None,
) -> Iterator[str | Entry]:
    """Yields paths of files that are taken, and an `Entry` for what fails or is skipped.

    ``on_link`` is called with each link to a folder that is entered.
    """
    stack: list[tuple[str, str, Iterator[os.DirEntry[str]]]] = []

    def enter(path: str, below: str) -> Iterator[Entry]:
        if selection.follow_symlinks and once.knows_folder(path):
            return
        try:
            opened = os.scandir(path)
            listing: Iterator[os.DirEntry[str]] = opened
            if len(stack) >= _OPEN_FOLDERS:
                with opened:
                    listing = iter(list(opened))
            stack.append((path, below, listing))
        except OSError as error:
            yield from _folder_error(path, error)

    yield from enter(top, below)
    while stack:
        folder, below, listing = stack[-1]
        try:
            entry = next(listing, None)
        except OSError as error:  # its disk failed while it was listed
            yield from _folder_error(folder, error)
            entry = None
        if entry is None:
            stack.pop()
            continue
        entry_below = os.path.join(below, entry.name)
        if _is_folder(entry):
            follow = selection.follow_symlinks or not entry.is_symlink()
            if not follow or selection.leaves_out(entry_below):
                continue
            if reason := selection.skips(entry_below, top):
                yield Entry(entry.path, None, skipped=reason)
            else:
                depth = len(stack)
                yield from enter(entry.path, entry_below)
                if len(stack) > depth and entry.is_symlink():
                    on_link(entry.path)
        elif selection.takes_name(entry_below):
            known = entry.is_symlink() and once.knows_file(entry.path)
            if known and looks_like_picture(entry.path):
                yield Entry(entry.path, None, skipped=LINK)
            else:
                yield entry.path


def _folder_error(path: str, error: OSError) -> Iterator[Entry]:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return  # it vanished
    reason = "no permission" if isinstance(error, PermissionError) else error.strerror
    yield Entry(path, FileState.of(path), f"this folder cannot be listed ({reason})")


def _is_in(path: str, seen: set[tuple[int, int]]) -> bool:
    """Whether a folder or file was seen before; notes it."""
    try:
        status = os.stat(path)
    except OSError:
        return False  # whoever reads it gets the error
    place = (status.st_dev, status.st_ino)
    if place in seen:
        return True
    seen.add(place)
    return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
