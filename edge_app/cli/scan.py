"""``scan``: folder trees into a SQLite file."""

from __future__ import annotations

import datetime
import signal
import sys
from pathlib import Path

import click
from tqdm import tqdm

from edge_app.classifier import Prediction
from edge_app.cli.options import SOME_UNREADABLE, load_classifier, model_options
from edge_app.files import printable
from edge_app.scan import Selection, StoreBusyError, StoreError, run_scan
from edge_app.scan.watch import WatchError, run_watch
from edge_app.scan.workers import Done

NOT_WRITTEN = 3
"""Exit code where results could not be written."""


@click.command(epilog="Example: python -m edge_app scan ~/Pictures --db smoking.db")
@click.argument(
    "folders",
    metavar="DIR...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("smoking.db"),
    show_default=True,
    help="The SQLite file that holds the results.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Threads, each with an interpreter of its own.  [default: one a core]",
)
@click.option("--watch", is_flag=True, help="Then go on with new pictures as they arrive.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    metavar="DATE",
    help="Only files modified on this day or later, as 2026-05-31 or 2026-05-31T18:00.",
)
@click.option(
    "--include",
    metavar="GLOB",
    multiple=True,
    help="Only files with such a name, or with a slash such a path below DIR. Repeatable.",
)
@click.option(
    "--exclude",
    metavar="GLOB",
    multiple=True,
    help="No files or folders with such a name or path. Repeatable.",
)
@click.option("--follow-symlinks", is_flag=True, help="Enter folders through links, each once.")
@click.option("--rescan", is_flag=True, help="Classify also what the database holds already.")
@click.option("--prune", is_flag=True, help="Remove results from the database whose file is gone.")
@model_options
def scan(
    folders: tuple[Path, ...],
    db: Path,
    workers: int | None,
    watch: bool,
    since: datetime.datetime | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    follow_symlinks: bool,
    rescan: bool,
    prune: bool,
    model: Path,
    threshold: float | None,
) -> None:
    """Classifies folder trees into a SQLite file; again, only what is new or changed.

    A picture is told by its content, not by its name: JPEG, PNG, WebP, AVIF, HEIC, TIFF, BMP, GIF.

    Exit codes: 0 fine, also a --watch that was ended; 1 some pictures could not be read, all
    others were classified; 2 wrong usage, or a database that cannot be used; 3 the results could
    not be written, as on a full disk; 130 stopped by Ctrl-C. After 3 and 130 the same command
    goes on where it was.
    """
    classifier = load_classifier(model, threshold)
    selection = Selection(include, exclude, since and int(since.timestamp() * 1e9), follow_symlinks)
    options = {"workers": workers, "selection": selection, "rescan": rescan, "prune": prune}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service is stopped like this
    try:
        if watch:
            summary = run_watch(folders, db, classifier.info, on_result=_print_result, **options)
        else:
            summary = run_scan(folders, db, classifier.info, **options)
    except StoreBusyError as error:
        click.echo(f"{error}. Run the same command again to go on.", err=True)
        sys.exit(NOT_WRITTEN)
    except (StoreError, WatchError) as error:
        raise click.UsageError(str(error)) from None
    click.echo(summary.text())
    if summary.interrupted and not watch:
        click.echo("Stopped. Run the same command again to go on.")
        sys.exit(130)
    sys.exit(SOME_UNREADABLE if summary.unreadable and not watch else 0)


def _print_result(done: Done) -> None:
    if isinstance(done.result, Prediction):
        label, confidence = done.result.label, done.result.confidence
        tqdm.write(f"{label:<10}  {confidence:6.1%}  {printable(done.job.path)}")
