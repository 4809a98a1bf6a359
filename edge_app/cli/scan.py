"""``scan``: a folder tree into a SQLite file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edge_app.cli.options import SOME_UNREADABLE, load_classifier, model_options


@click.command(epilog="Example: python -m edge_app scan ~/Pictures --db smoking.db")
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("smoking.db"),
    show_default=True,
    help="The SQLite file that holds the results.",
)
@click.option("--workers", type=click.IntRange(1), help="Threads.  [default: one a core]")
@model_options
def scan(folder: Path, db: Path, workers: int | None, model: Path, threshold: float | None) -> None:
    """Classifies a folder tree into a SQLite file; again, only what is new or changed."""
    from edge_app.scan import StoreError, run_scan

    classifier = load_classifier(model, threshold)
    try:
        summary = run_scan(folder, db, classifier.info, workers=workers)
    except StoreError as error:
        raise click.UsageError(str(error)) from None
    click.echo(summary.text())
    if summary.interrupted:
        click.echo("Stopped. Run the same command again to go on.")
        sys.exit(130)
    sys.exit(SOME_UNREADABLE if summary.unreadable else 0)
