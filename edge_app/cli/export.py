"""``export``: the results of a scan as a table, a report, or copies of the pictures."""

from __future__ import annotations

import contextlib
import itertools
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from edge_app.cli.ending import NotWrittenError
from edge_app.cli.options import SOME_UNREADABLE
from edge_app.files import is_remote, printable, refuse_to_replace, whole_file
from edge_app.invocation import install_hint, invocation
from edge_app.wording import counted

if TYPE_CHECKING:
    from edge_app.scan import Row

_REPORT_LIMIT = 10_000
_ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".html": "html", ".htm": "html"}


@click.command(epilog=f"Example: {invocation()} export smoking.db --format html --out report.html")
@click.argument("result")
@click.option(
    "--format",
    type=click.Choice(["csv", "jsonl", "html"]),
    help="Write a table with one row per picture, or a report.  [default: by the ending of --out, "
    "else csv without --copy-to]",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file.  [default: standard output; for html report.html]",
)
@click.option("--label", help="Take only pictures with this label, such as Smoking.")
@click.option(
    "--min-score", type=click.FloatRange(0, 1), help="Take only pictures with at least this score."
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    help=f"Take only the N highest scores, highest first.  [default: all; in a report "
    f"{_REPORT_LIMIT:,}]",
    metavar="N",
)
@click.option(
    "--copy-to",
    type=click.Path(file_okay=False, path_type=Path),
    help="Copy the found pictures, or those of --label and --min-score, into this folder.",
)
@click.option(
    "--only-below",
    metavar="DIR",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="With --copy-to: copy only pictures in this folder. Repeatable.",
)
@click.option(
    "--hard-link", is_flag=True, help="With --copy-to: link instead of copying where possible."
)
def export(
    result: str,
    format: str | None,
    out: Path | None,
    label: str | None,
    min_score: float | None,
    limit: int | None,
    copy_to: Path | None,
    only_below: tuple[Path, ...],
    hard_link: bool,
) -> None:
    """Write the results of a scan as a table or a report, or copy the found pictures.

    RESULT is the SQLite file of a scan, or the folder that scan --engine ray wrote to.
    """
    from edge_app.export import Places, UnknownLabelError, highest, read_results, selected
    from edge_app.scan import StoreError

    if hard_link and not copy_to:
        raise click.UsageError("--hard-link goes with --copy-to.")
    if only_below and not copy_to:
        raise click.UsageError("--only-below goes with --copy-to.")
    if out == Path("-"):  # the usual name of standard output, where a table goes anyway
        out = None
    if out:
        format = _format_of(out, format)
    if out and copy_to and not format:
        raise click.UsageError("--out needs a --format beside --copy-to.")
    format = format or (None if copy_to else "csv")
    written = out or (Path("report.html") if format == "html" else None)
    local = not is_remote(result) and Path(result).exists()
    if written and local and written.exists() and written.samefile(result):
        raise click.UsageError(f"--out {written} is the result itself; choose another name.")
    if written and (local or is_remote(result)):
        try:
            refuse_to_replace(written)
        except ValueError as error:
            raise click.UsageError(f"--out {error}.") from None

    places = Places(copy_to) if copy_to else None

    def rows() -> Iterable[Row]:
        every = read_results(result)
        chosen = selected(places.note(every) if places else every, label, min_score)
        return highest(chosen, limit) if limit and format != "html" else chosen

    try:
        missing = 0
        if format == "html":
            missing += _report(rows(), out or Path("report.html"), limit or _REPORT_LIMIT)
        elif format:
            _table(rows(), format, out)
        if copy_to:
            found_only = label is None and min_score is None
            missing += _copies(rows(), copy_to, hard_link, only_below, found_only)
            if places and (scanned := places.scanned()):
                click.echo(
                    f"{printable(copy_to)} is in {printable(scanned)}: the next scan will find "
                    f"the copies, unless you add --exclude {shlex.quote(copy_to.name)}",
                    err=True,
                )
    except (StoreError, UnknownLabelError) as error:
        raise click.UsageError(str(error)) from None
    except ImportError as error:  # pyarrow, which the edge app does without
        raise click.UsageError(
            f"{result}: results of Ray need: {install_hint('ray')} ({error})"
        ) from None
    sys.exit(SOME_UNREADABLE if missing else 0)


def _format_of(out: Path, format: str | None) -> str | None:
    """The format for a file, by its ending where none was given; None where it has no ending."""
    ending = out.suffix.lower()
    named = _ENDINGS.get(ending)
    if format and named and named != format:
        raise click.UsageError(f"--format {format} and --out {out} contradict each other.")
    if not format and ending and not named:
        raise click.UsageError(
            f"--out {out}: no format has the ending {ending}. Name it .csv, .jsonl or .html, or "
            "give a --format."
        )
    return format or named


def _table(rows: Iterable[Row], format: str, out: Path | None) -> None:
    from edge_app.export import write_csv, write_jsonl

    write = {"csv": write_csv, "jsonl": write_jsonl}[format]
    rows = iter(rows)
    first = list(itertools.islice(rows, 1))  # a result that cannot be read gets no head of a table
    # Spreadsheets take a CSV file for UTF-8 only where it begins with a byte order mark.
    with _output(out, "utf-8-sig" if format == "csv" else "utf-8") as file:
        count = write(itertools.chain(first, rows), file)
    if out:
        click.echo(f"{counted(count, 'row')}: {printable(out)}")


def _report(rows: Iterable[Row], out: Path, limit: int) -> int:
    from edge_app.cli.progress import bar
    from edge_app.export import write_report

    with _write_errors(out), whole_file(out) as partial:
        summary = write_report(rows, partial, limit, track=bar)
    size = max(out.stat().st_size / 1e6, 0.1)
    click.echo(f"{summary.text()}\nReport: {printable(out)} ({size:.1f} MB)")
    return summary.missing


def _copies(
    rows: Iterable[Row], folder: Path, hard_link: bool, below: tuple[Path, ...], found_only: bool
) -> int:
    from edge_app.cli.progress import bar
    from edge_app.export import CopyError, copy_pictures
    from edge_app.export.results import is_found

    try:
        chosen = (row for row in rows if row.error is None and (is_found(row) or not found_only))
        summary = copy_pictures(chosen, folder, hard_link, below, track=bar)
    except CopyError as error:
        raise NotWrittenError(str(error)) from None
    click.echo(f"{summary.text()}: {printable(folder)}", err=True)
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
        raise NotWrittenError.of(out, error) from None
