"""The commands: a thin coat over the library, one module each."""

from __future__ import annotations

import io
import sys
import warnings

import click

from edge_app import __version__
from edge_app.cli.checkout import Commands
from edge_app.cli.classify import classify
from edge_app.cli.console import show_messages, verbosity_options
from edge_app.cli.events import events
from edge_app.cli.export import export
from edge_app.cli.info import info
from edge_app.cli.live import live
from edge_app.cli.scan import scan
from edge_app.cli.space import space
from edge_app.cli.web import web
from edge_app.invocation import invocation


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Is the person in this picture smoking?

    Runs on this machine alone: no network, no cloud.

    Exit codes: 0 fine, 1 some inputs could not be read, 2 wrong usage, 3 the results of a scan
    could not be written, 130 stopped with Ctrl-C.
    """
    show_messages()


for command in (classify, scan, export, live, events, web, space, info):
    verbosity_options(command)
    main.add_command(command)


def run() -> None:
    """Runs the command that ``sys.argv`` names and ends with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the console cannot show
            stream.reconfigure(errors="backslashreplace")
    warnings.filterwarnings("ignore", module="PIL")  # what matters comes as an error
    main(prog_name=invocation())
