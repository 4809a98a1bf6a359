"""Writes docs/commands.md: the help of every command, for readers and for `run.py --help`.

    .venv-dev/bin/python docs/commands.py

``run.py`` prints a command's help from that page while no environment is set up yet.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "commands.md"
_HEAD = """# Commands

The help of every command, as `--help` prints it. The installed command is `smoking-detector`.
`train`, `evaluate`, `decide`, `convert` and `bench` need a checkout. This page is written by
`docs/commands.py`.
"""


def modules() -> dict[str, list[str]]:
    """How ``python -m`` starts each command: all of them, those of the app, of a checkout."""
    sys.path.insert(0, str(ROOT))
    from edge_app.cli import main
    from run import TENSORFLOW_COMMANDS

    app = {"run.py": ["edge_app"]}
    app |= {name: ["edge_app", name] for name in main.commands}
    return {**app, **{n: [m] for n, m in TENSORFLOW_COMMANDS.items()}, "bench": ["benchmarks"]}


def help_of(module: list[str]) -> str:
    """The help of a command, as `run.py` prints it."""
    result = subprocess.run(
        [sys.executable, "-m", *module, "--help"],
        cwd=ROOT,
        env={**os.environ, "SMOKING_DETECTOR_COMMAND": "python3 run.py", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


if __name__ == "__main__":
    parts = [f"## {name}\n\n```text\n{help_of(of)}\n```\n" for name, of in modules().items()]
    PAGE.write_text("\n".join([_HEAD, *parts]), encoding="utf-8")
