"""How commands end when they are stopped, or when what they print cannot be written."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Any

import click

from edge_app.classifier import ModelError
from edge_app.files import printable
from edge_app.interrupts import STOPPED

PIPE_CLOSED = 141
"""Exit code where the program that read the output ended, as ``head`` does."""
NOT_WRITTEN = 3
"""Exit code where results could not be written."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


class NotWrittenError(click.ClickException):
    """A file or folder that cannot be written; the message names it."""

    exit_code = NOT_WRITTEN

    @classmethod
    def of(cls, name: object, error: OSError) -> NotWrittenError:
        """From what the system said."""
        return cls(f"{name}: cannot be written ({error.strerror or error})")


class Ending(click.Command):
    """A command that ends with one line and the right exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            try:
                return super().main(*args, **kwargs)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()
        except OSError as error:
            code = _say(error)
            _drop_output()
            sys.exit(code)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModelError as error:  # the file was replaced, or fails at a picture
            raise click.UsageError(printable(str(error))) from None
        except click.ClickException as error:  # it may name a file, and a name holds anything
            error.message = printable(error.message)  # type: ignore[misc]
            raise
        except KeyboardInterrupt:
            click.echo("\nStopped.", err=True)
            ctx.exit(STOPPED)
        except BrokenPipeError:  # Click would make it exit code 1, that of unreadable pictures
            _drop_output()
            ctx.exit(PIPE_CLOSED)


def _say(error: OSError) -> int:
    if error.errno == errno.EPIPE:
        return PIPE_CLOSED
    if error.filename is not None or error.errno not in _FULL:
        raise error
    with contextlib.suppress(OSError):  # standard error may be full as well
        click.echo(f"Error: the output cannot be written ({error.strerror})", err=True)
    return NOT_WRITTEN


def _drop_output() -> None:
    """Makes Python's own last flush of what is left succeed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)
