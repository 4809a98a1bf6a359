#!/usr/bin/env python3
"""Sets up what is needed on first use, then runs it.

    python3 run.py scan samples/      the edge app: classify, scan, live, web, info
    python3 run.py test               the tests
    python3 run.py train --help       training; likewise: evaluate, convert

The app gets the environment .venv, the rest gets .venv-dev. Needs Python 3.10 or newer with venv.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
EDGE, WEB, DEV = "requirements-edge.txt", "requirements-web.txt", "requirements-dev.txt"
DEV_COMMANDS = {
    "test": ["-m", "pytest", "--rootdir", str(ROOT), str(ROOT / "tests")],
    "train": ["-m", "train"],
    "evaluate": ["-m", "train.evaluate"],
    "convert": ["-m", "convert"],
}


def main():
    if sys.version_info < (3, 10):  # noqa: UP036
        sys.exit(f"Python 3.10 or newer is needed; this is {platform.python_version()}.")
    arguments = sys.argv[1:]
    command = arguments[0] if arguments else "--help"
    if command in DEV_COMMANDS:
        python = prepare(ROOT / ".venv-dev", [EDGE, WEB, DEV], install=[DEV])
        arguments = [*DEV_COMMANDS[command], *arguments[1:]]
    else:
        files = [EDGE, WEB] if command == "web" else [EDGE]
        python = prepare(ROOT / ".venv", files, install=files)
        arguments = ["-m", "edge_app", *(arguments or ["--help"])]
    start(python, arguments)


def prepare(environment, files, install):
    """Makes the environment what the requirements files say; does nothing where it is already.

    A stamp inside the environment says what was installed. It is written last, so that an
    environment whose installation was broken off is not trusted later.
    """
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = environment / f"installed-{Path(files[-1]).stem}"
    wanted = fingerprint(environment, files)
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    stamps = list(environment.glob("installed-*"))
    same_python = any(s.read_text().split(" ", 1)[-1] == wanted.split(" ", 1)[1] for s in stamps)
    stamp.unlink(missing_ok=True)
    names = ", ".join(install)
    print(f"Setting up {environment.name} from {names}; this takes a while once.", flush=True)
    try:
        if not same_python:
            shutil.rmtree(environment, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
        for name in install:
            pip += ["-r", str(ROOT / name)]
        subprocess.run(pip, check=True)
    except (OSError, subprocess.CalledProcessError, KeyboardInterrupt) as error:
        if not any(environment.glob("installed-*")):
            shutil.rmtree(environment, ignore_errors=True)
        sys.exit(
            f"\nSetting up {environment.name} failed: {error}\n"
            "The lines above say why. If venv is missing: sudo apt install python3-venv. "
            "Then run the same command again."
        )
    stamp.write_text(wanted)
    return python


def fingerprint(environment, files):
    """What the environment depends on: the files, the Python that made it, where it lies."""
    digest = hashlib.sha256()
    for name in files:
        digest.update((ROOT / name).read_bytes())
    return f"{digest.hexdigest()} {platform.python_version()} {environment}\n"


def start(python, arguments):
    """Runs Python in the user's folder; its exit code becomes ours."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    command = [str(python), *arguments]
    if os.name == "nt":
        sys.exit(subprocess.run(command).returncode)
    sys.stdout.flush()
    os.execv(python, command)


if __name__ == "__main__":
    main()
