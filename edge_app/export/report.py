"""The results of a scan as one HTML file with all thumbnails inside.

The page's style and behaviour are in ``report.css`` and ``report.js`` beside this file. The
thumbnails follow the page in blocks, highest scores first, so that a browser shows the page at
once and parses a block only when it is scrolled into view.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import itertools
import json
import os
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge_app.classifier import DEFAULT_MODEL
from edge_app.decision import Decision, read_decision
from edge_app.export.originals import has_changed
from edge_app.export.results import highest, is_found, name_of
from edge_app.export.thumbnails import make_thumbnails
from edge_app.export.tracking import Track, untracked
from edge_app.files import is_remote
from edge_app.metadata import read_metadata
from edge_app.scan.rows import Row

BINS = 100
"""Of the histogram; also the steps of the page's threshold slider."""

_BLOCK = 200  # thumbnails; about 1 MB
_UNREADABLE_LISTED = 10_000
_HERE = Path(__file__).parent


@dataclass
class ReportSummary:
    """What went into a report.

    Attributes:
        pictures: how many were scored.
        found: how many of them have the positive label, by the threshold of the scan.
        uncertain: how many of them have a score at which the model is often wrong.
        shown: how many have a place in the report, the highest scores first.
        unreadable: how many could not be read when they were scanned.
        missing: how many of those shown have no thumbnail, since their file is gone.
    """

    pictures: int = 0
    found: int = 0
    uncertain: int = 0
    shown: int = 0
    unreadable: int = 0
    missing: int = 0

    def text(self) -> str:
        """The summary for people."""
        text = f"{self.pictures} pictures, {self.found} found, {self.unreadable} unreadable"
        if self.shown < self.pictures:
            text += f"; the report shows the {self.shown} with the highest scores (see --limit)"
        if self.missing:
            text += f"; {self.missing} cannot be shown, their files are gone or damaged"
        return text


@dataclass
class _Totals:
    """What the report says about all rows, also those that are not shown."""

    summary: ReportSummary = field(default_factory=ReportSummary)
    histogram: list[int] = field(default_factory=lambda: [0] * BINS)
    rules: Counter[tuple[str, float]] = field(default_factory=Counter)  # of (model, threshold)
    labels: Counter[tuple[bool, str | None]] = field(default_factory=Counter)  # of (found, label)
    unreadable: list[Row] = field(default_factory=list)
    first: str = ""
    last: str = ""

    def scored(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Passes on the rows with a score, and counts all."""
        for row in rows:
            self.first = min(self.first or row.scanned_at, row.scanned_at)
            self.last = max(self.last, row.scanned_at)
            self.rules[row.model, row.threshold] += 1
            if row.smoking is None:
                self.summary.unreadable += 1
                if len(self.unreadable) < _UNREADABLE_LISTED:
                    self.unreadable.append(row)
                continue
            self.summary.pictures += 1
            self.summary.found += is_found(row)
            self.summary.uncertain += bool(row.uncertain)
            self.labels[is_found(row), row.label] += 1
            self.histogram[min(int(row.smoking * BINS), BINS - 1)] += 1
            yield row


def write_report(
    rows: Iterable[Row], out: Path, limit: int, *, track: Track = untracked
) -> ReportSummary:
    """Writes the report; makes the thumbnails in parallel.

    Args:
        rows: the results; only ``limit`` of them are kept in memory.
        out: the file; about 5 KB per picture shown.
        limit: how many pictures to show, those with the highest scores.
        track: shows the progress.

    Raises:
        OSError: the file cannot be written.
    """
    totals = _Totals()
    shown = highest(totals.scored(rows), limit)
    summary = totals.summary
    summary.shown = len(shown)
    with open(out, "w", encoding="utf-8") as file:
        file.write(_page(totals, shown))
        thumbnails = make_thumbnails(shown, track)
        for number, block in enumerate(
            iter(lambda: list(itertools.islice(thumbnails, _BLOCK)), [])
        ):
            summary.missing += sum(not thumbnail for thumbnail in block)
            file.write(f'<script type="text/plain" id="thumbnails-{number}">')
            file.write("\n".join(base64.b64encode(thumbnail).decode() for thumbnail in block))
            file.write("</script>\n")
        file.write("</body>\n</html>\n")
    return summary


def _page(totals: _Totals, shown: list[Row]) -> str:
    style = (_HERE / "report.css").read_text(encoding="utf-8")
    script = (_HERE / "report.js").read_text(encoding="utf-8")
    # Even if a name found a way around the escaping, the browser would run nothing but our script.
    policy = (
        f"default-src 'none'; img-src data:; script-src {_source_hash(script)}; "
        f"style-src {_source_hash(style)}; base-uri 'none'; form-action 'none'"
    )
    template = (_HERE / "report.html").read_text(encoding="utf-8")
    for name, value in (
        ("POLICY", html.escape(policy)),
        ("STYLE", style),
        ("SCRIPT", script),
        ("DATA", _as_script(_data(totals, shown))),
    ):
        template = template.replace(f"{{{{{name}}}}}", value, 1)
    return template


def _data(totals: _Totals, shown: list[Row]) -> dict[str, object]:
    summary = totals.summary
    (model, threshold), _ = totals.rules.most_common(1)[0] if totals.rules else (("", 0.5), 0)
    name, found, other = _shipped(model) or ("", "Found", "Not found")
    root = _common_folder([*shown, *totals.unreadable])
    return {
        "model": name,
        "checksum": model,
        "threshold": threshold,
        "otherRules": len(totals.rules) - 1 if totals.rules else 0,
        "labels": [_label(totals, True, found), _label(totals, False, other)],
        "scanned": [totals.first, totals.last],
        "total": summary.pictures,
        "found": summary.found,
        "uncertain": summary.uncertain,
        "unreadableTotal": summary.unreadable,
        "histogram": totals.histogram,
        "blockSize": _BLOCK,
        "root": root,
        "backslash": os.sep == "\\",
        "pictures": [_picture(row, root) for row in shown],
        "unreadable": [[name_of(row)[len(root) :], row.error] for row in totals.unreadable],
    }


def _picture(row: Row, root: str) -> list[object]:
    """Name below the root, score, bytes, seconds since 1970, marks, and where needed the address.

    The marks are 1 for uncertain plus 2 for looked at again plus 4 for incomplete plus 8 for a file
    that has changed since the scan.
    """
    picture: list[object] = [
        name_of(row)[len(root) :],
        round(row.smoking or 0.0, 4),
        row.size,
        row.modified_ns // 1_000_000_000,
        bool(row.uncertain)
        + 2 * (row.region is not None)
        + 4 * bool(row.incomplete)
        + 8 * has_changed(row),
    ]
    if not is_remote(row.path) and name_of(row) != os.fspath(row.path):
        picture.append("file://" + urllib.parse.quote_from_bytes(os.fsencode(row.path)))
    return picture


def _common_folder(rows: list[Row]) -> str:
    """The folder that all names begin with, with its slash; empty if there is no common one."""
    names = [name_of(row) for row in rows]
    if not names:
        return ""
    first, last = min(names), max(names)  # what these two share, all share
    shared = len(
        list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    )
    return first[: max(first.rfind("/", 0, shared), first.rfind(os.sep, 0, shared)) + 1]


def _label(totals: _Totals, found: bool, default: str) -> str:
    labels = [
        (count, label)
        for (is_it, label), count in totals.labels.items()
        if is_it == found and label
    ]
    return max(labels)[1] if labels else default


def _shipped(checksum: str) -> tuple[str, str, str] | None:
    """Name and labels of the shipped model if it has this checksum; results know no name."""
    try:
        content = DEFAULT_MODEL.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest() != checksum:
        return None
    metadata = read_metadata(content)
    decision = read_decision(io.BytesIO(content)) or Decision()
    other = next(label for label in metadata.labels if label != decision.label)
    return f"{metadata.name} {metadata.version}", decision.label, other


def _as_script(data: object) -> str:
    """JSON that may stand in a script element: no ``<`` that could end it."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")


def _source_hash(source: str) -> str:
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
