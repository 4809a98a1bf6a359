"""``space``: the folder of a Hugging Face Space."""

from __future__ import annotations

import re
from pathlib import Path

import click

from edge_app.classifier import DEFAULT_MODEL, ModelError


@click.command(epilog="Example: python3 run.py space build/space --push user/name")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    default=DEFAULT_MODEL,
    help="The .tflite file to serve.  [default: the shipped one]",
)
@click.option("--push", metavar="USER/NAME", help="Upload it to this Space, with your token.")
def space(out: Path, model: Path, push: str | None) -> None:
    """Writes a folder that runs as a Hugging Face Space as it is."""
    from edge_app.space import SpaceError, push_space, write_space

    if push is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", push):
        raise click.UsageError(f"--push needs USER/NAME, got {push}")
    try:
        files = write_space(out, model)
        click.echo(f"Wrote {len(files)} files to {out}")
        if push:
            click.echo(f"Pushed to {push_space(out, push)}")
    except (SpaceError, ModelError) as error:
        raise click.UsageError(str(error)) from None
