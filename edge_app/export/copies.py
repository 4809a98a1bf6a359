"""Copies pictures into a folder. Never moves, deletes or overwrites a file."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_app.export.originals import OriginalError, check_original, has_changed, read_original
from edge_app.export.results import name_of
from edge_app.export.tracking import Track, untracked
from edge_app.files import is_remote, numbered, printable, remove_leftovers, safe_name
from edge_app.scan.rows import Row

_log = logging.getLogger(__name__)

_NO_LINKS = {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS}
"""What a file system says that has no hard links, or none to another disk."""


_NO_SUCH_NAME = {errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG}
"""Errors of a file system for a name that it cannot store."""


class CopyError(Exception):
    """The folder cannot be written to; the message names it and the reason."""


@dataclass
class CopySummary:
    """How many pictures were copied, hard-linked, already there, missing, or left out.

    ``elsewhere`` counts those outside the folders that copies are confined to; ``changed`` those
    whose file is another one than when it was scanned.
    """

    copied: int = 0
    linked: int = 0
    present: int = 0
    missing: int = 0
    elsewhere: int = 0
    changed: int = 0

    def text(self) -> str:
        """The summary for people."""
        parts = [f"{self.copied} copied"]
        parts += [f"{self.linked} hard-linked"] if self.linked else []
        parts += [f"{self.present} there already"] if self.present else []
        parts += [f"{self.missing} missing"] if self.missing else []
        parts += [f"{self.elsewhere} outside the given folders"] if self.elsewhere else []
        parts += [f"{self.changed} changed since the scan"] if self.changed else []
        return ", ".join(parts)


def copy_pictures(
    rows: Iterable[Row],
    folder: Path,
    hard_link: bool = False,
    below: Sequence[Path] = (),
    *,
    track: Track = untracked,
) -> CopySummary:
    """Copies the pictures of these rows into one folder.

    If a name is taken by another picture, the copy gets a number: ``a.jpg``, ``a-2.jpg``. If the
    same picture is already there, it is skipped, so the call can be repeated. Each file appears
    complete or not at all. Missing pictures are logged. Only files that are pictures by their
    content are copied.

    Args:
        rows: whose pictures to copy.
        folder: created if missing.
        hard_link: link instead of copying where the file system can; a link takes no space, but
            a program that writes into it changes the original too.
        below: copy only what is really in one of these folders, wherever links lead; empty for all.
        track: shows the progress.

    Raises:
        CopyError: the folder cannot be created or written to.
    """
    summary = CopySummary()
    roots = [os.path.realpath(root) for root in below]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder, ".copy-", ".partial")
        for row in track(rows, "Copying"):
            try:
                if roots and not _is_below(row.path, roots):
                    summary.elsewhere += 1
                    continue
                _copy(row, folder, hard_link, summary)
                if has_changed(row):
                    summary.changed += 1
                    _log.warning("%s: has changed since the scan", printable(name_of(row)))
            except OriginalError as error:
                summary.missing += 1
                _log.warning("%s: %s", printable(name_of(row)), error)
    except OSError as error:
        raise CopyError(f"{folder}: cannot be written to ({error.strerror or error})") from None
    return summary


def _is_below(path: str | os.PathLike[str], roots: Sequence[str]) -> bool:
    if is_remote(path):
        return False
    try:
        real = Path(os.path.realpath(path))
    except ValueError:
        raise OriginalError("is no valid path") from None
    return any(real.is_relative_to(root) for root in roots)


def _copy(row: Row, folder: Path, hard_link: bool, summary: CopySummary) -> None:
    base = posixpath.basename(row.path) if is_remote(row.path) else os.path.basename(row.path)
    check_original(row.path)
    try:
        _copy_as(safe_name(base), row, folder, hard_link, summary)
    except OSError as error:
        portable = safe_name(base, windows=True)
        if error.errno not in _NO_SUCH_NAME or portable == base:
            raise
        _copy_as(portable, row, folder, hard_link, summary)  # a disk of Windows, as FAT


def _copy_as(base: str, row: Row, folder: Path, hard_link: bool, summary: CopySummary) -> None:
    for target in numbered(folder / base):
        if os.path.lexists(target):
            if _same_content(row, target):
                summary.present += 1
                return
            continue
        try:
            if hard_link and not is_remote(row.path) and _link(os.path.realpath(row.path), target):
                summary.linked += 1
            else:
                _copy_whole(row, target)
                summary.copied += 1
            return
        except FileExistsError:  # another program took the name just now
            continue


def _copy_whole(row: Row, target: Path) -> None:
    partial = target.with_name(f".copy-{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            for block in read_original(row.path):
                file.write(block)
        with contextlib.suppress(OSError, OverflowError):  # a time that the file system cannot hold
            local = not is_remote(row.path)
            modified = os.stat(row.path).st_mtime_ns if local else row.modified_ns
            os.utime(partial, ns=(modified, modified))
        if not _link(partial, target):  # a link, unlike a rename, never overwrites
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "is there already", str(target))
            os.rename(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _same_content(row: Row, target: Path) -> bool:
    if not target.is_file():
        return False
    if not is_remote(row.path) and os.path.samefile(row.path, target):
        return True
    with open(target, "rb") as file:
        same = all(file.read(len(block)) == block for block in read_original(row.path))
        return same and not file.read(1)


def _link(source: str | Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    return True
