"""Results as CSV and JSON Lines, streamed."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterable
from typing import TextIO

from edge_app.export.results import name_of
from edge_app.scan.rows import Row

_FOR_RESUMING = {"network", "looks_rule"}
COLUMNS = tuple(field.name for field in dataclasses.fields(Row) if field.name not in _FOR_RESUMING)

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets read as the beginning of a formula, see OWASP, "CSV injection"."""


def write_csv(rows: Iterable[Row], file: TextIO) -> int:
    """Writes a table with a header; returns the number of rows.

    Text that a spreadsheet would run as a formula gets a leading apostrophe. A region is
    ``[left, top, right, bottom]``.

    Args:
        rows: the results.
        file: opened for text with ``newline=""``.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for row in rows:
        writer.writerow([_to_cell(value) for value in _record(row).values()])
        count += 1
    return count


def write_jsonl(rows: Iterable[Row], file: TextIO) -> int:
    """Writes one JSON object per line; returns their number."""
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


def _to_cell(value: object) -> object:
    if isinstance(value, tuple):
        return json.dumps(value)
    if not isinstance(value, str):
        return value
    text = value.replace("\0", "\\0")  # which Python 3.10 cannot write, nor spreadsheets read
    return f"'{text}" if text.startswith(_FORMULA) else text
