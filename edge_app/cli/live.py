"""``live``: a camera, a video file or a stream."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edge_app.cli.options import SOME_UNREADABLE, load_classifier, model_options


@click.command(epilog="Example: python -m edge_app live --source 0")
@click.option(
    "--source",
    default="0",
    show_default=True,
    help="A camera's number, a video file, or the URL of a stream.",
)
@click.option(
    "--display",
    type=click.Choice(["window", "none"]),
    help="A window, or lines of text.  [default: a window where there is a screen]",
)
@click.option("--duration", type=click.FloatRange(0), help="Stop after so many seconds.")
@model_options
def live(
    source: str,
    display: str | None,
    duration: float | None,
    model: Path,
    threshold: float | None,
) -> None:
    """Classifies a camera, a video file or a stream as it runs.

    In the window: q quits.
    """
    from edge_app.live import SourceError, run_live

    classifier = load_classifier(model, threshold)
    try:
        summary = run_live(source, classifier, display=display, duration=duration)
    except SourceError as error:
        raise click.UsageError(str(error)) from None
    click.echo(summary.text())
    sys.exit(SOME_UNREADABLE if summary.lost else 0)
