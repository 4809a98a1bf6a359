"""``export``: the result of a scan as a table, a report, or copies of the pictures."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import click

from edge_app.cli.options import SOME_UNREADABLE
from edge_app.files import is_remote, whole_file

_REPORT_LIMIT = 10_000


@click.command(epilog="Example: python3 run.py export smoking.db --format html --out report.html")
@click.argument("result")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl", "html"]),
    help="csv and jsonl: a row a picture. html: a report with thumbnails.  [default: csv, unless "
    "--copy-to is given]",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write.  [default: standard output; for html report.html]",
)
@click.option("--label", help="Only pictures with this label, as Smoking.")
@click.option(
    "--min-score", type=click.FloatRange(0, 1), help="Only pictures with at least this P(Smoking)."
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    help="Only so many, those with the highest P(Smoking), highest first. Without it, every "
    f"picture in the order of the result; in a report the highest {_REPORT_LIMIT:,}.",
)
@click.option(
    "--copy-to",
    type=click.Path(file_okay=False, path_type=Path),
    help="Copy the pictures into this folder: the found ones, or those that --label and "
    "--min-score choose. Nothing is moved, deleted or overwritten.",
)
@click.option(
    "--only-below",
    metavar="DIR",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="With --copy-to: copy only what is in this folder, for a RESULT that others made. "
    "Repeatable.",
)
@click.option(
    "--hard-link", is_flag=True, help="With --copy-to: link in place of copying where possible."
)
def export(
    result: str,
    form: str | None,
    out: Path | None,
    label: str | None,
    min_score: float | None,
    limit: int | None,
    copy_to: Path | None,
    only_below: tuple[Path, ...],
    hard_link: bool,
) -> None:
    """Writes the RESULT of a scan as a table or a report, or copies the found pictures.

    RESULT is the SQLite file of a scan, or the folder that scan --engine ray wrote.
    """
    from edge_app.export import highest, read_results, selected
    from edge_app.scan import StoreError

    if hard_link and not copy_to:
        raise click.UsageError("--hard-link goes with --copy-to.")
    if only_below and not copy_to:
        raise click.UsageError("--only-below goes with --copy-to.")
    if out and copy_to and not form:
        raise click.UsageError("--out needs a --format beside --copy-to.")
    form = form or (None if copy_to else "csv")
    written = out or (Path("report.html") if form == "html" else None)
    both = written and not is_remote(result) and written.exists() and Path(result).exists()
    if both and written.samefile(result):
        raise click.UsageError(f"--out {written} is the result itself; choose another name.")

    def rows() -> Iterable:
        chosen = selected(read_results(result), label, min_score)
        return highest(chosen, limit) if limit and form != "html" else chosen

    try:
        missing = 0
        if form == "html":
            missing += _report(rows(), out or Path("report.html"), limit or _REPORT_LIMIT)
        elif form:
            _table(rows(), form, out)
        if copy_to:
            found_only = label is None and min_score is None
            missing += _copies(rows(), copy_to, hard_link, only_below, found_only)
    except StoreError as error:
        raise click.UsageError(str(error)) from None
    except ImportError as error:  # pyarrow, which the edge app does without
        raise click.UsageError(
            f"{result}: a result of Ray needs: pip install -r requirements-ray.txt ({error})"
        ) from None
    sys.exit(SOME_UNREADABLE if missing else 0)


def _table(rows: Iterable, form: str, out: Path | None) -> None:
    from edge_app.export import write_csv, write_jsonl

    write = {"csv": write_csv, "jsonl": write_jsonl}[form]
    rows = iter(rows)
    first = list(itertools.islice(rows, 1))  # a result that cannot be read gets no head of a table
    # Spreadsheets take a CSV file for UTF-8 only where it begins with a byte order mark.
    with _output(out, "utf-8-sig" if form == "csv" else "utf-8") as file:
        count = write(itertools.chain(first, rows), file)
    if out:
        click.echo(f"{count} rows: {out}")


def _report(rows: Iterable, out: Path, limit: int) -> int:
    from edge_app.export import write_report

    with _write_errors(out), whole_file(out) as partial:
        summary = write_report(rows, partial, limit)
    click.echo(f"{summary.text()}\nReport: {out} ({out.stat().st_size / 1e6:.1f} MB)")
    return summary.missing


def _copies(
    rows: Iterable, folder: Path, hard_link: bool, below: tuple[Path, ...], found_only: bool
) -> int:
    from edge_app.export import CopyError, copy_pictures
    from edge_app.export.results import is_found

    try:
        chosen = (row for row in rows if row.error is None and (is_found(row) or not found_only))
        summary = copy_pictures(chosen, folder, hard_link, below)
    except CopyError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{summary.text()}: {folder}", err=True)
    return summary.missing


@contextlib.contextmanager
def _output(out: Path | None, encoding: str) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    with (
        _write_errors(out),
        whole_file(out) as partial,
        open(partial, "w", encoding=encoding, newline="") as file,
    ):
        yield file


@contextlib.contextmanager
def _write_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{out}: cannot be written ({error.strerror})") from None
