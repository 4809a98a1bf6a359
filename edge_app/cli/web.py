"""``web``: the page."""

from __future__ import annotations

from pathlib import Path

import click

from edge_app.cli.options import load_classifier, model_options


@click.command(epilog="Example: python -m edge_app web --port 7860")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 for all networks.")
@click.option("--port", type=click.IntRange(1, 65535), default=7860, show_default=True)
@model_options
def web(host: str, port: int, model: Path, threshold: float | None) -> None:
    """Opens a web page: upload a picture, see the class and its confidence, keep a history."""
    classifier = load_classifier(model, threshold)
    try:
        from edge_app.web import serve
    except ImportError as error:
        raise click.UsageError(
            f"The web page needs Gradio ({error}). "
            "Install it with: pip install -r requirements-web.txt"
        ) from None
    try:
        serve(classifier, host, port)
    except OSError as error:
        raise click.UsageError(
            f"Cannot listen on {host}:{port}. Is the port taken? Choose another one with --port."
        ) from error
