"""How the user started the program, so that every hint prints a line that can be pasted."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "SMOKING_DETECTOR_COMMAND"
"""Environment variable in which ``run.py`` says how it was started, as ``python3 run.py``."""


def invocation() -> str:
    """The start of a command line, as the user typed it.

    Returns:
        ``python3 run.py`` in a checkout, ``smoking-detector`` for the installed command,
        ``python -m edge_app`` for the module.
    """
    if said := os.environ.get(VARIABLE):
        return said
    name = Path(sys.argv[0]).stem if sys.argv else ""
    return "python -m edge_app" if name == "__main__" else "smoking-detector"


def is_checkout() -> bool:
    """Whether ``run.py`` of a checkout started the program."""
    return bool(os.environ.get(VARIABLE))


def install_hint(extra: str) -> str:
    """The command that installs an extra, such as ``live`` or ``web``."""
    return f'pip install "smoking-gesture-detector[{extra}]"'
