"""Results as CSV and JSON lines, a row at a time, however many there are."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterable
from typing import TextIO

from edge_app.export.results import name_of
from edge_app.scan.rows import Row

COLUMNS = tuple(field.name for field in dataclasses.fields(Row))

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula, see OWASP, "CSV injection"."""


def write_csv(rows: Iterable[Row], file: TextIO) -> int:
    """Writes a table with a head; gives the number of rows.

    A text that a spreadsheet would run as a formula gets an apostrophe before it.

    Args:
        rows: the results.
        file: opened for text with ``newline=""``.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for row in rows:
        writer.writerow([_no_formula(value) for value in _record(row).values()])
        count += 1
    return count


def write_jsonl(rows: Iterable[Row], file: TextIO) -> int:
    """Writes a JSON object a line; gives their number."""
    count = 0
    for row in rows:
        file.write(json.dumps(_record(row)) + "\n")
        count += 1
    return count


def _record(row: Row) -> dict[str, object]:
    record = {name: getattr(row, name) for name in COLUMNS}
    record["path"] = name_of(row)
    if row.smoking is not None:
        record["smoking"] = round(row.smoking, 6)
    return record


def _no_formula(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
