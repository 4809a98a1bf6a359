"""Databases that somebody else made: what is read from them is checked first.

A SQLite file can hold more than data: views, virtual tables and generated columns compute when they
are read, for as long as they like. And a column may hold any type, whatever it was declared as.
See "Defense Against The Dark Arts" in SQLite's documentation, https://www.sqlite.org/security.html.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from edge_app.looks import Box

_LONGEST_TEXT = 1_000_000
"""Bytes. The longest path of Linux has 4,096."""

_TEXTS = ("path", "model", "scanned_at")
_TEXTS_OR_NULL = ("label", "error", "network", "looks_rule")
_WHOLE_NUMBERS, _WHOLE_NUMBERS_OR_NULL = (
    ("size", "modified_ns"),
    (
        "uncertain",
        "looks",
        "incomplete",
    ),
)
_SHARES, _SHARES_OR_NULL = ("threshold",), ("smoking",)


class ForeignError(ValueError):
    """What a database holds is not what a scan writes; the message is one line without its name."""


def distrust(connection: sqlite3.Connection) -> None:
    """Makes a connection that reads only, and runs no function of the database's own choice."""
    for pragma in ("query_only = ON", "trusted_schema = OFF", "cell_size_check = ON"):
        connection.execute(f"PRAGMA {pragma}")
    if hasattr(connection, "setlimit"):  # since Python 3.11
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_TEXT)


def check_table(connection: sqlite3.Connection, columns: Sequence[str]) -> None:
    """Makes sure that ``pictures`` is an ordinary table with at least these columns.

    Raises:
        ForeignError: it is something else.
    """
    found = connection.execute(
        "SELECT type, rootpage FROM sqlite_master WHERE name = 'pictures' COLLATE NOCASE"
    ).fetchall()
    if [kind for kind, _ in found] != ["table"] or not found[0][1]:  # virtual tables have no page
        raise ForeignError("has no table of pictures as a scan makes it")
    kinds = {name: hidden for _, name, *_, hidden in connection.execute(_COLUMNS)}
    for name in columns:
        if name not in kinds:
            raise ForeignError(f"has a table of pictures without the column {name}")
        if kinds[name]:
            raise ForeignError(f"computes the column {name}, which no scan does")


_COLUMNS = "SELECT cid, name, type, hidden FROM pragma_table_xinfo('pictures')"


def check_values(values: dict[str, object]) -> None:
    """Makes sure that a row holds what a scan writes.

    Args:
        values: by the names of the columns; an earlier version's has fewer.

    Raises:
        ForeignError: a value has another type, or is out of its range.
    """
    for names, kinds in (
        (_TEXTS, (str,)),
        (_TEXTS_OR_NULL, (str, type(None))),
        (_WHOLE_NUMBERS, (int,)),
        (_WHOLE_NUMBERS_OR_NULL, (int, type(None))),
        (_SHARES, (int, float)),
        (_SHARES_OR_NULL, (int, float, type(None))),
    ):
        for name in names:
            if name in values and not isinstance(values[name], kinds):
                raise ForeignError(f"has a row whose {name} is {type(values[name]).__name__}")
    for name in (*_SHARES, *_SHARES_OR_NULL):
        value = values[name]
        if isinstance(value, (int, float)) and not 0 <= value <= 1:
            raise ForeignError(f"has a row whose {name} is {value}, not between 0 and 1")


def to_region(value: Any) -> Box | None:
    """The region of a row: of a list of four numbers, or of the same as JSON.

    Raises:
        ForeignError: it is something else.
    """
    if value is None:
        return None
    with contextlib.suppress(TypeError, ValueError, RecursionError):
        left, top, right, bottom = json.loads(value) if isinstance(value, str) else value
        if all(isinstance(side, int) for side in (left, top, right, bottom)):
            return left, top, right, bottom
    raise ForeignError("has a row whose region is not four numbers")
