#!/usr/bin/env python3
"""Set up what is needed on first use, then run it.

    python3 run.py scan samples/    the edge app: also classify, export, live, events, web, info
    python3 run.py train            train a model on your own pictures
    python3 run.py evaluate         measure a model on labelled pictures
    python3 run.py decide           fit the threshold and decision of a model
    python3 run.py convert          convert an image classifier to a .tflite file
    python3 run.py bench            measure scanning or live classification
    python3 run.py test             run the tests; with --all also the slow ones
    python3 run.py docs             build the documentation; docs serve shows it
    python3 run.py COMMAND --help   the options of a command

Needs Python 3.10 or newer with venv. Environments lie in .venvs beside this file, or where
SMOKING_DETECTOR_ENVIRONMENTS says; .venv and .venv-dev are links to those in use.
"""

import contextlib
import os
import platform
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import environments

ROOT = Path(__file__).resolve().parent
TENSORFLOW_COMMANDS = {
    "train": "train",
    "evaluate": "train.evaluate",
    "decide": "train.decision",
    "convert": "convert",
}
# A file's tests share servers and models, so they run in one of the two processes.
TWO_AT_ONCE = ["-n", "2", "--dist", "loadfile"]
DEV_COMMANDS = {"test", "docs", "bench", *TENSORFLOW_COMMANDS}
# As `python -m`, but with this folder on the path instead of the user's, where a picture archive
# may hold a file of any name.
BOOTSTRAP = (
    "import sys; root = sys.argv[1]; sys.path[:] = [root, *(p for p in sys.path if p)]; "
    "from edge_app.interrupts import run_module; run_module(sys.argv[2:])"
)


def main():
    if sys.version_info < (3, 10):  # noqa: UP036
        sys.exit(f"Python 3.10 or newer is needed; this is {platform.python_version()}.")
    for stream in (sys.stdout, sys.stderr):  # folders that the console cannot show
        stream.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:] or ["--help"]
    kind = "dev" if arguments[0] in DEV_COMMANDS else "app"
    try:
        installs_nothing = {"-h", "--help", "--version"} & set(arguments)
        if installs_nothing and not environments.ready(kind, set()):
            print_help(arguments)
            sys.stdout.flush()
            return
        sets = set() if installs_nothing else wanted(arguments)
        environment, _held_open = environments.get(kind, sets)
        start(environments.python_of(environment), module(arguments))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # as of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def module(arguments):
    """The module that a command is, and its arguments."""
    command, *options = arguments
    if command == "test":
        named = [o for n, o in enumerate(options) if not n or options[n - 1] not in ("-k", "-m")]
        given = any(Path(option.split("::")[0]).exists() for option in named)
        pytest = ["pytest", "--rootdir", str(ROOT)]
        if given:
            return [*pytest, *options]
        at_once = [] if "--all" in options else TWO_AT_ONCE  # with it, some measure time and memory
        return [*pytest, *at_once, *options, str(ROOT / "tests")]
    if command == "docs":
        return ["mkdocs", *(options or ["build"]), "-f", str(ROOT / "mkdocs.yml")]
    if command == "bench":
        return ["benchmarks", *options]
    if command not in TENSORFLOW_COMMANDS:
        return ["edge_app", *arguments]
    if sys.version_info >= (3, 14):
        sys.exit(
            f"{command} needs TensorFlow, which has no release for Python 3.14 yet. Use Python "
            f"3.10 to 3.13, for example: python3.13 run.py {command}"
        )
    return [TENSORFLOW_COMMANDS[command], *options]


def wanted(arguments):
    """The sets of requirements that a command needs."""
    command, options = arguments[0], {a.split("=")[0] for a in arguments}
    if command in DEV_COMMANDS:
        return {"dev"}
    sets = {"edge"}
    if command in ("web", "space"):
        sets.add("web")
    if command == "live":
        sets.add("live")
    if "--watch" in options:
        sets.add("watch")
    with_ray = "--engine=ray" in arguments or "--engine ray" in " ".join(arguments)
    if command == "export":
        with_ray = any("://" in a or any(Path(a).glob("*.parquet")) for a in arguments)
    if with_ray:
        sets.add("ray")
    return sets


def print_help(arguments):
    """Prints the help of a command from docs/commands.md: the app is not set up yet."""
    if "--version" in arguments:
        text = (ROOT / "edge_app" / "__init__.py").read_text(encoding="utf-8")
        print(re.search(r'__version__ = "(.+)"', text).group(1))
        return
    try:
        text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
        name = "run.py" if arguments[0].startswith("-") else arguments[0]
        print(re.search(rf"^## {re.escape(name)}\n+```text\n(.*?)```", text, re.M | re.S)[1])
    except (OSError, TypeError):
        print(__doc__)


def start(python, arguments):
    """Runs a module in the user's folder; its exit code becomes ours."""
    script = shlex.quote(sys.argv[0]) if os.name != "nt" else sys.argv[0]
    os.environ["SMOKING_DETECTOR_COMMAND"] = (
        f"{'python' if os.name == 'nt' else 'python3'} {script}"
    )
    command = [str(python), "-c", BOOTSTRAP, str(ROOT), *arguments]
    sys.stdout.flush()
    if os.name != "nt":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until Python has started
        os.execv(command[0], command)
    process = subprocess.Popen(command)
    while True:
        with contextlib.suppress(KeyboardInterrupt):  # Windows sends it to both
            sys.exit(process.wait())


if __name__ == "__main__":
    main()
