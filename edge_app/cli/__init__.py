"""The commands: a thin coat over the library, one module each."""

from __future__ import annotations

import io
import sys
import warnings

import click

from edge_app import __version__
from edge_app.cli.bench import bench
from edge_app.cli.classify import classify
from edge_app.cli.ending import Commands
from edge_app.cli.export import export
from edge_app.cli.info import info
from edge_app.cli.live import live
from edge_app.cli.scan import scan
from edge_app.cli.space import space
from edge_app.cli.web import web


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="For models of your own, python3 run.py also has: train, evaluate, shortcuts, convert.",
)
@click.version_option(__version__)
def main() -> None:
    """Is the person in this picture smoking?

    Runs on this machine alone: no network, no cloud.
    Exit codes: 0 fine, 1 some inputs could not be read, 2 wrong usage, 3 results of a scan could
    not be written, 130 stopped by Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the console cannot show
            stream.reconfigure(errors="backslashreplace")
    warnings.filterwarnings("ignore", module="PIL")  # what matters comes as an error


for command in (classify, scan, export, live, web, space, info, bench):
    main.add_command(command)
