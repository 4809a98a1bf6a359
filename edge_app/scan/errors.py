"""What can be wrong with results, and what SQLite's own errors mean for the user."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from edge_app.files import printable
from edge_app.invocation import invocation
from edge_app.scan.foreign import ForeignError


class StoreError(Exception):
    """The database cannot be used; the message names it and the reason."""


def no_results(folder: str | os.PathLike[str]) -> StoreError:
    """The error for a folder without results of Ray."""
    return StoreError(
        f"{folder}: holds no results; make them with: {invocation()} scan --engine ray"
    )


class StoreBusyError(StoreError):
    """It cannot be written now, perhaps later: the disk is full, or another program writes."""


class PruneError(StoreError):
    """So many files are gone that a disk may not be mounted."""


@contextlib.contextmanager
def store_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns what SQLite and `edge_app.scan.foreign` raise into `StoreError`.

    Args:
        path: of the database, for the messages.
    """
    try:
        yield
    except ForeignError as error:
        raise StoreError(f"{printable(path)}: {error}") from None
    except (sqlite3.Error, OverflowError) as error:
        reason = printable(str(error).replace("\n", " "))
        if "locked" in reason:
            raise StoreBusyError(f"{path}: another program holds it locked") from None
        if "full" in reason:
            raise StoreBusyError(f"{path}: the disk is full") from None
        if not Path(path).absolute().parent.is_dir():
            raise StoreError(f"{path}: there is no folder {Path(path).parent}") from None
        if "readonly" in reason or "unable to open" in reason:
            raise StoreError(f"{path}: it or its folder may not be written") from None
        raise StoreError(f"{path}: cannot be used as a database ({reason})") from None
