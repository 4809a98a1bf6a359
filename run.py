#!/usr/bin/env python3
"""Sets up what is needed on first use, then runs it.

    python3 run.py scan samples/      the edge app: classify, scan, export, live, web, info, space
    python3 run.py test               the tests
    python3 run.py train --help       training; likewise: evaluate, shortcuts, convert, bench
    python3 run.py docs               the documentation as a website, in build/site

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
NAMES = ("edge", "web", "live", "watch", "ray", "dev", "vit")
EDGE, WEB, LIVE, WATCH, RAY, DEV, VIT = (f"requirements-{name}.txt" for name in NAMES)
DEV_COMMANDS = {
    "test": ["pytest", "--rootdir", str(ROOT), str(ROOT / "tests")],
    "train": ["train"],
    "evaluate": ["train.evaluate"],
    "shortcuts": ["train.shortcuts"],
    "convert": ["convert"],
    "bench": ["edge_app", "bench"],
    "docs": ["mkdocs", "build", "--config-file", str(ROOT / "mkdocs.yml")],
}
OURS = "made-by-run.py"  # a file in environments that may be deleted and made anew
# As `python -m`, but with this folder on the path in place of the user's, where a picture archive
# may hold a file of any name.
AS_MODULE = (
    "import runpy, sys; sys.path[0] = sys.argv.pop(1); sys.argv.pop(0); "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def main():
    if sys.version_info < (3, 10):  # noqa: UP036
        sys.exit(f"Python 3.10 or newer is needed; this is {platform.python_version()}.")
    arguments = sys.argv[1:] or ["--help"]
    if arguments[0] in DEV_COMMANDS:
        more = [VIT] if any(a.split("=")[0] == "--vit" for a in arguments) else []
        files = [EDGE, WEB, LIVE, WATCH, RAY, DEV, *more]
        python = prepare(ROOT / ".venv-dev", files, install=[DEV, *more])
        arguments = [*DEV_COMMANDS[arguments[0]], *arguments[1:]]
    else:
        files = [EDGE, *extras(arguments)]
        python = prepare(ROOT / ".venv", files, install=files)
        arguments = ["edge_app", *arguments]
    start([str(python), "-c", AS_MODULE, str(ROOT), *arguments])


def extras(arguments):
    """The requirements files of what a command of the app is asked for beyond the edge set."""
    if {"-h", "--help"} & set(arguments):
        return []
    command, options = arguments[0], {a.split("=")[0] for a in arguments}
    with_mqtt = "--mqtt" in options or (command == "live" and os.environ.get("SMOKING_LIVE_MQTT"))
    of_ray = {"ray", "--engine=ray"} & set(arguments) or (
        command == "export" and any("://" in a or any(Path(a).glob("*.parquet")) for a in arguments)
    )
    with_web, watching = command in ("web", "space"), "--watch" in options
    asked = {WEB: with_web, LIVE: with_mqtt, WATCH: watching, RAY: of_ray}
    return [file for file in asked if asked[file]]


def prepare(environment, files, install):
    """Makes the environment what the requirements files say; does nothing where it is already.

    A stamp inside the environment says what was installed. All stamps go before an installation
    begins and its own is written last, so that what was broken off is not trusted later.
    """
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = environment / f"installed-{Path(files[-1]).stem}"
    wanted = fingerprint(environment, files)
    try:
        stamps = {path: path.read_text() for path in environment.glob("installed-*")}
        if stamps.get(stamp) == wanted:
            return python
        same_python = any(text.split(" ")[1:] == wanted.split(" ")[1:] for text in stamps.values())
        if environment.exists() and not stamps and not (environment / OURS).exists():
            sys.exit(
                f"{environment} was not made by run.py, which leaves it alone. Move it away, or "
                f"use it as it is, as in: {python} -m edge_app scan samples"
            )
        names = ", ".join(install)
        print(f"Setting up {environment.name} from {names}; this takes a while once.", flush=True)
        for path in stamps:
            path.unlink()
        if not same_python:
            shutil.rmtree(environment, ignore_errors=True)
            environment.mkdir()
            (environment / OURS).touch()
            subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
        for name in install:
            pip += ["-r", str(ROOT / name)]
        subprocess.run(pip, check=True)
        for path, text in stamps.items():  # what was installed before is there still
            path.write_text(text)
        stamp.write_text(wanted)
    except (OSError, subprocess.CalledProcessError, KeyboardInterrupt) as error:
        sys.exit(
            f"\nSetting up {environment.name} failed: {str(error) or 'stopped'}\n"
            "The lines above say why. If venv is missing: sudo apt install python3-venv. "
            "Then run the same command again."
        )
    return python


def fingerprint(environment, files):
    """What the environment depends on: the files, the Python that made it, where it lies."""
    digest = hashlib.sha256()
    for name in files:
        digest.update((ROOT / name).read_bytes())
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"{digest.hexdigest()} {version} {environment}\n"


def start(command):
    """Runs the command in the user's folder; its exit code becomes ours."""
    if os.name != "nt":
        sys.stdout.flush()
        os.execv(command[0], command)
    process = subprocess.Popen(command)
    while True:
        try:
            sys.exit(process.wait())
        except KeyboardInterrupt:
            continue  # Windows sends it to both; the app ends in its own time


if __name__ == "__main__":
    main()
