"""``space``: the folder of a Hugging Face Space."""

from __future__ import annotations

import re
from pathlib import Path

import click

from edge_app.classifier import DEFAULT_MODEL, ModelError
from edge_app.cli.ending import NotWrittenError
from edge_app.files import printable
from edge_app.invocation import invocation


@click.command(epilog=f"Example: {invocation()} space build/space --push user/name")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    default=DEFAULT_MODEL,
    help="The .tflite file to serve.  [default: the shipped one]",
)
@click.option("--hub-model", metavar="USER/NAME", help="Link to this model on the Hub.")
@click.option("--push", metavar="USER/NAME", help="Upload it to this Space, with your token.")
def space(out: Path, model: Path, hub_model: str | None, push: str | None) -> None:
    """Write a folder that runs as a Hugging Face Space."""
    from edge_app.space import SpaceError, push_space, write_space

    for option, value in (("--push", push), ("--hub-model", hub_model)):
        if value is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", value):
            raise click.UsageError(f"{option} needs USER/NAME, got {value}")
    try:
        files = write_space(out, model, push, hub_model)
        click.echo(f"Wrote {len(files)} files to {printable(out)}")
        if push:
            click.echo(f"Pushed to {push_space(out, push)}")
    except OSError as error:
        raise NotWrittenError.of(out, error) from None
    except (SpaceError, ModelError) as error:
        raise click.UsageError(str(error)) from None
