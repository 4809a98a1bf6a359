"""``web``: the page."""

from __future__ import annotations

import re
from pathlib import Path

import click

from edge_app.cli.ending import NotWrittenError
from edge_app.cli.options import load_classifier, model_options
from edge_app.invocation import install_hint, invocation


@click.command(epilog=f"Example: {invocation()} web --port 7860")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Listen here; 0.0.0.0 for all networks."
)
@click.option("--port", type=click.IntRange(1, 65535), default=7860, show_default=True)
@click.option(
    "--auth",
    metavar="USER:PASSWORD",
    envvar="SMOKING_WEB_AUTH",
    help="Require this login. Other users of this machine can see a command's options: set the "
    "variable SMOKING_WEB_AUTH instead.",
)
@click.option("--root-path", metavar="/PATH", default="", help="Path that a proxy shows it under.")
@click.option(
    "--allow-host",
    metavar="NAME",
    multiple=True,
    help="Answer under this host name, such as that of a proxy. May be repeated.",
)
@click.option(
    "--trust-proxy",
    metavar="ADDRESS",
    multiple=True,
    help="Believe the X-Forwarded headers of this proxy. May be repeated.  [default: 127.0.0.1]",
)
@model_options
def web(
    host: str,
    port: int,
    auth: str | None,
    root_path: str,
    allow_host: tuple[str, ...],
    trust_proxy: tuple[str, ...],
    model: Path,
    threshold: float | None,
) -> None:
    """Open a web page: pictures, camera, batches, and a history of the visit."""
    user, colon, password = (auth or "").partition(":")
    if auth is not None and not (user and colon and password):
        raise click.UsageError("--auth needs USER:PASSWORD, both of at least one character.")
    if not re.fullmatch(r"(/[\w.~-]+)*", root_path.rstrip("/")):
        raise click.UsageError(f"--root-path needs a path such as /smoking, got {root_path}")
    classifier = load_classifier(model, threshold)
    try:
        from edge_app.web import serve
        from edge_app.web.server import Reach
    except ImportError as error:
        raise click.UsageError(
            f"The web page needs Gradio ({error}). Install it with: {install_hint('web')}"
        ) from None
    except OSError as error:
        raise NotWrittenError(
            f"No folder for uploads can be made ({error.strerror or error}). "
            "Set TMPDIR to a folder that can be written."
        ) from None
    reach = Reach(host, port, root_path.rstrip("/"), allow_host, trust_proxy or ("127.0.0.1",))
    try:
        serve(classifier, reach, (user, password) if auth else None, ready=click.echo)
    except OSError as error:
        raise click.UsageError(
            f"Cannot listen on {host}:{port}. Is the port taken? Choose another one with --port."
        ) from error
