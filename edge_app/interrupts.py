"""Ctrl-C ends a command with exit code 130 and no traceback, also while its imports run.

Standard streams that the caller closed are opened here, too. Imports nothing but the standard
library, since it has to be there before anything slow is loaded.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

STOPPED = 130
"""Exit code of a command that Ctrl-C stopped, as shells report it: 128 + SIGINT."""


def run_command(command: Callable[[], object]) -> NoReturn:
    """Runs a command and ends the process.

    An import that Ctrl-C interrupts may raise any error (extension modules turn KeyboardInterrupt
    into ImportError), so what counts is that the signal came, not which exception did.

    Args:
        command: may raise SystemExit with an exit code of its own.
    """
    open_missing_streams()
    interrupted = False

    def note(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    code: object = 0
    try:
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as under nohup
            signal.signal(signal.SIGINT, note)
        if hasattr(signal, "pthread_sigmask"):  # run.py blocks it while Python starts
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        command()
    except SystemExit as end:
        code = end.code
    except BaseException:
        if not interrupted:
            raise
    if interrupted:
        signal.signal(signal.SIGINT, lambda *_: os._exit(STOPPED))  # no traceback at the exit
        code = STOPPED
    sys.exit(code)  # type: ignore[arg-type]


def open_missing_streams() -> None:
    """Opens what the caller closed, as ``>&-`` does.

    Else the next file that is opened, perhaps a database, would get the number of the stream, and
    messages would be written into it. What is written to standard output then fails. It comes
    before all imports, since libraries keep files open, too.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            flags = os.O_WRONLY if number == 2 else os.O_RDONLY
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


def run_module(arguments: list[str]) -> NoReturn:
    """Runs a module as ``python -m`` does.

    Args:
        arguments: the module's name, then what it finds in ``sys.argv[1:]``.
    """
    sys.argv = list(arguments)
    run_command(lambda: runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True))
