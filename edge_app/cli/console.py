"""Where messages of the library go when a command runs, and how many of them are shown."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import click

LOGGER = logging.getLogger("edge_app")


def verbosity_options(command: click.Command) -> None:
    """Adds ``--verbose`` and ``--quiet`` to a command."""

    def chosen(level: int) -> Callable[..., None]:
        def show(_context: click.Context, _parameter: click.Parameter, given: bool) -> None:
            if given:
                show_messages(level)

        return show

    for names, level, text in (
        (["-v", "--verbose"], logging.DEBUG, "Show more messages."),
        (
            ["-q", "--quiet"],
            logging.WARNING,
            "Show only results, warnings and errors, no progress.",
        ),
    ):
        option = click.Option(
            names, is_flag=True, expose_value=False, callback=chosen(level), help=text
        )
        command.params.append(option)


def show_messages(level: int = logging.INFO) -> None:
    """Writes log messages of the library to stderr, from a level on."""
    if not any(isinstance(handler, _Console) for handler in LOGGER.handlers):
        LOGGER.addHandler(_Console())
    LOGGER.setLevel(level)
    debug = level <= logging.DEBUG
    form = "%(asctime)s %(name)s: %(message)s" if debug else "%(message)s"
    for handler in LOGGER.handlers:
        handler.setFormatter(logging.Formatter(form))


def is_quiet() -> bool:
    """Whether ``--quiet`` was given: then no progress is shown."""
    return LOGGER.level > logging.INFO


class _Console(logging.Handler):
    """Writes each message as a line of its own, also while a progress bar is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm: Any = sys.modules.get("tqdm")
        if tqdm is None:
            click.echo(self.format(record), err=True)
        else:
            tqdm.tqdm.write(self.format(record), file=sys.stderr)
