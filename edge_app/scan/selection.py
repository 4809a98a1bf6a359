"""Which files of a tree are scanned."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path

from edge_app.files import is_remote
from edge_app.folders import skip_reason


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
            Links to files always are, unless the file is found without the link.
        all_folders: whether folders of systems and programs are scanned, see `edge_app.folders`.

    >>> Selection(exclude=("thumbs", "2019/*.png")).takes("thumbs/a.jpg")
    False
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    since_ns: int | None = None
    follow_symlinks: bool = False
    all_folders: bool = False
    _include: _Patterns = field(init=False, repr=False, compare=False)
    _exclude: _Patterns = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_include", _Patterns(self.include))
        object.__setattr__(self, "_exclude", _Patterns(self.exclude))

    def takes(self, below: str, root: str = "") -> bool:
        """Whether a file is taken, by its path below the scanned folder ``root``."""
        if self._include and not self._include.match(below):
            return False
        return self.enters(os.path.dirname(below), root) and not self.leaves_out(below)

    def enters(self, below: str, root: str = "") -> bool:
        """Whether a folder and all folders above it are entered, by its path below the root."""
        while below:
            if self.leaves_out(below) or self.skips(below, root):
                return False
            below = os.path.dirname(below)
        return True

    def leaves_out(self, below: str) -> bool:
        """Whether a file or folder itself is hidden or excluded."""
        return os.path.basename(below).startswith(".") or self._exclude.match(below)

    def skips(self, below: str, root: str = "") -> str | None:
        """What to call a folder of a system or program that is skipped, else None."""
        if self.all_folders:
            return None
        above = os.path.basename(os.path.dirname(below) or root)
        return skip_reason(os.path.basename(below), above)

    def takes_name(self, below: str) -> bool:
        """Whether a file in a folder that is entered is taken."""
        return not self.leaves_out(below) and (not self._include or self._include.match(below))


def from_here(globs: Iterable[str], roots: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    """Patterns, and for each that is the path of something inside a root its place below it.

    So ``--exclude pictures/private`` leaves that folder out of a scan of ``pictures``.
    """
    globs = tuple(globs)
    paths = [Path(glob) for glob in globs if "/" in glob.replace(os.sep, "/")]
    here = [Path(root).resolve() for root in roots if not is_remote(os.fspath(root))]
    found = []
    for path in (path.resolve() for path in paths if path.exists()):
        above = (root for root in here if path != root and path.is_relative_to(root))
        found += [f"/{escape(path.relative_to(root).as_posix())}" for root in above]
    return (*globs, *found)


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


def _compile(glob: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(glob), re.IGNORECASE)
