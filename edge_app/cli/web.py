"""``web``: the page."""

from __future__ import annotations

from pathlib import Path

import click

from edge_app.cli.options import load_classifier, model_options


@click.command(epilog="Example: python3 run.py web --port 7860")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 for all networks.")
@click.option("--port", type=click.IntRange(1, 65535), default=7860, show_default=True)
@click.option(
    "--auth",
    metavar="USER:PASSWORD",
    envvar="SMOKING_WEB_AUTH",
    help="Ask visitors for these. Other users of this machine can see a command's options: there "
    "set the variable SMOKING_WEB_AUTH in place of it.",
)
@model_options
def web(host: str, port: int, auth: str | None, model: Path, threshold: float | None) -> None:
    """Opens a web page: pictures, camera, batches, and a history of the visit."""
    user, colon, password = (auth or "").partition(":")
    if auth is not None and not (user and colon and password):
        raise click.UsageError("--auth needs USER:PASSWORD, both of at least one character.")
    classifier = load_classifier(model, threshold)
    try:
        from edge_app.web import serve
    except ImportError as error:
        raise click.UsageError(
            f"The web page needs Gradio ({error}). "
            "Install it with: pip install -r requirements-web.txt"
        ) from None
    try:
        serve(classifier, host, port, (user, password) if auth else None)
    except OSError as error:
        raise click.UsageError(
            f"Cannot listen on {host}:{port}. Is the port taken? Choose another one with --port."
        ) from error
