"""Walks folder trees of any size, an entry at a time, whatever is in them."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from edge_app.files import is_gone
from edge_app.imaging import looks_like_picture
from edge_app.scan.store import FileState

_OPEN_FOLDERS = 100
"""Folders this deep are listed at once and closed, since a process may hold few files open."""


class Entry(NamedTuple):
    """What the walk found.

    Attributes:
        path: absolute, as the file system knows it.
        state: its size and time of modification; None for what is no picture, which is not
            looked at further.
        error: why a folder could not be listed, else None.
    """

    path: str
    state: FileState | None
    error: str | None = None


@dataclass(frozen=True)
class Selection:
    """Which files of a tree are scanned. Hidden files and folders never are.

    Patterns are shell globs, in which upper and lower case are the same. One without a slash is
    held against the name; one with a slash against the path below the folder that is scanned.

    Attributes:
        include: only files that match one of these; empty for all.
        exclude: no files that match one of these, and nothing in folders that do.
        since_ns: only files modified then or later, in nanoseconds since 1970.
        follow_symlinks: whether links to folders are followed; each folder is entered once.
            Links to files always are.

    >>> Selection(exclude=("thumbs", "2019/*.png")).takes("thumbs/a.jpg")
    False
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    since_ns: int | None = None
    follow_symlinks: bool = False
    _include: _Patterns = field(init=False, repr=False, compare=False)
    _exclude: _Patterns = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_include", _Patterns(self.include))
        object.__setattr__(self, "_exclude", _Patterns(self.exclude))

    def takes(self, below: str) -> bool:
        """Whether a file is taken, by its path below the scanned folder."""
        if self._include and not self._include.match(below):
            return False
        return self.enters(os.path.dirname(below)) and not self.leaves_out(below)

    def enters(self, below: str) -> bool:
        """Whether a folder and all folders above it are entered, by its path below the root."""
        while below:
            if self.leaves_out(below):
                return False
            below = os.path.dirname(below)
        return True

    def leaves_out(self, below: str) -> bool:
        """Whether a file or folder itself is hidden or excluded."""
        return os.path.basename(below).startswith(".") or self._exclude.match(below)

    def takes_name(self, below: str) -> bool:
        """Whether a file in a folder that is entered is taken."""
        return not self.leaves_out(below) and (not self._include or self._include.match(below))


class _Patterns:
    def __init__(self, globs: tuple[str, ...]):
        self._names = [_compile(glob) for glob in globs if "/" not in glob]
        self._paths = [_compile(glob.strip("/")) for glob in globs if "/" in glob]

    def __bool__(self) -> bool:
        return bool(self._names or self._paths)

    def match(self, below: str) -> bool:
        if not self:
            return False
        name = os.path.basename(below)
        path = below.replace(os.sep, "/")
        return any(p.match(name) for p in self._names) or any(p.match(path) for p in self._paths)


def _compile(glob: str) -> re.Pattern:
    return re.compile(fnmatch.translate(glob), re.IGNORECASE)


def resolve_roots(roots: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Makes the roots of a walk absolute, and leaves out those that lie inside another."""
    resolved = sorted({Path(root).resolve() for root in roots}, key=lambda path: len(path.parts))
    outer: list[Path] = []
    for path in resolved:
        if not any(path.is_relative_to(other) for other in outer):
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
    entered: set[tuple[int, int]] = set()
    for root in roots:
        if os.path.isdir(root):
            for found in _walk_names(root, "", selection, entered):
                yield from _look(found, selection)
        else:
            yield Entry(root, FileState.of(root))


def walk_again(root: str, path: str, selection: Selection) -> Iterator[Entry]:
    """As `walk`, for one file or folder inside a root, which may be there no longer."""
    below = os.path.relpath(path, root)
    if not os.path.isdir(path):
        if selection.takes(below):
            yield from _look(path, selection)
    elif selection.enters(below) and (selection.follow_symlinks or not os.path.islink(path)):
        for found in _walk_names(path, below, selection, set()):
            yield from _look(found, selection)


def count_names(roots: Iterable[str], selection: Selection) -> Iterator[int]:
    """Counts what `walk` looks at, without touching a file; yields the number so far."""
    count = 0
    entered: set[tuple[int, int]] = set()
    for root in roots:
        if not os.path.isdir(root):
            count += 1
        for _ in _walk_names(root, "", selection, entered):
            count += 1
            yield count
    yield count


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
    state = FileState(status.st_size, status.st_mtime_ns)
    yield Entry(found, state if looks_like_picture(found) else None)


def _walk_names(
    top: str, below: str, selection: Selection, entered: set[tuple[int, int]]
) -> Iterator[str | Entry]:
    """Yields paths of files that the selection takes, and an `Entry` for a folder's error."""
    stack: list[tuple[str, str, Iterator[os.DirEntry]]] = []

    def enter(path: str, below: str) -> Iterator[Entry]:
        if selection.follow_symlinks and not _is_new(path, entered):
            return
        try:
            listing = os.scandir(path)
            if len(stack) >= _OPEN_FOLDERS:
                with listing:
                    listing = iter(list(listing))
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
            if follow and not selection.leaves_out(entry_below):
                yield from enter(entry.path, entry_below)
        elif selection.takes_name(entry_below):
            yield entry.path


def _folder_error(path: str, error: OSError) -> Iterator[Entry]:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return  # it vanished
    reason = "no permission" if isinstance(error, PermissionError) else error.strerror
    yield Entry(path, FileState.of(path), f"this folder cannot be listed ({reason})")


def _is_new(folder: str, entered: set[tuple[int, int]]) -> bool:
    try:
        status = os.stat(folder)
    except OSError:
        return True  # whoever lists it gets the error
    place = (status.st_dev, status.st_ino)
    if place in entered:
        return False
    entered.add(place)
    return True


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
