"""Results as a CSV file that no spreadsheet runs anything of (OWASP, CSV injection)."""

from __future__ import annotations

import csv
import html
import io
import re
import unicodedata
from collections.abc import Sequence

from edge_app.web.history import Entry
from edge_app.web.markup import data_url, sentences

_FORMULA = ("=", "+", "-", "@", "%")


def csv_link(language: str, entries: Sequence[Entry], name: str) -> str:
    """A link that holds the results as a CSV file itself, so that no file is written."""
    if not entries:
        return ""
    content = data_url("text/csv;charset=utf-8", to_csv(entries).encode("utf-8-sig"))
    label = sentences(language)("csv")
    return f'<a class="download" download="{html.escape(name)}" href="{content}">{label}</a>'


def to_csv(entries: Sequence[Entry]) -> str:
    """The results as CSV: everything quoted, and nothing that a spreadsheet would run.

    See OWASP, CSV injection.
    """
    table = io.StringIO()
    writer = csv.writer(table, quoting=csv.QUOTE_ALL)
    writer.writerow(("file", "answer", "confidence", "smoking", "incomplete", "error"))
    for entry in entries:
        name = _no_formula(entry.name)
        if entry.error:
            writer.writerow((name, "", "", "", "", entry.error))
        else:
            numbers = f"{entry.confidence:.4f}", f"{entry.smoking:.4f}", int(entry.incomplete)
            writer.writerow((name, _no_formula(entry.shown), *numbers, ""))
    return table.getvalue()


def _no_formula(value: str) -> str:
    """The text with a quote before it where any cell that begins in it would be a formula.

    Spreadsheets that separate by semicolons, or join lines, see more cells than there are.
    """
    line = "".join(char if char.isprintable() else " " for char in value)
    cells = re.split(r"[;,\t\r\n|]", unicodedata.normalize("NFKC", value))
    is_formula = any(cell.strip().lstrip("\"'").startswith(_FORMULA) for cell in cells)
    return f"'{line}" if is_formula else line
