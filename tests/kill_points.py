"""Ends commands at any chosen change that they make to files, however fast or slow the machine is.

Python tells an audit hook of each file that is opened for writing, renamed or removed, just before
it happens (PEP 578). A command runs in a process forked off one that has imported everything, and a
hook sends it a signal at the change with a given number.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT

_SERVER = """
import ctypes, importlib, itertools, json, os, runpy, signal, sys

folder, *modules = sys.argv[1:]
for module in modules:
    importlib.import_module(module)
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: what its commands leave running is ours
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}

def watch(told, at, number):
    counter = itertools.count(1)
    def hook(event, arguments):
        if event not in CHANGES and not (event == "open" and (arguments[2] or 0) & WRITING):
            return
        if isinstance(arguments[0], int):
            return
        if not os.path.abspath(os.fsdecode(arguments[0])).startswith(folder):
            return
        if next(counter) == at:
            os.kill(os.getpid(), number)
        os.write(told, b".")
    sys.addaudithook(hook)

def run(request, told):
    os.setpgid(0, 0)
    for descriptor in (1, 2):
        os.dup2(os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    os.chdir(folder)
    watch(told, request["at"], request["signal"])
    sys.argv = request["command"]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)

for line in sys.stdin:
    signal.alarm(300)  # a command that hangs
    read, told = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(0)
        run(json.loads(line), told)
        sys.exit(0)
    os.close(told)
    with open(read, "rb") as changes:  # ends with the last process that it started
        count = len(changes.read())
    _, status = os.waitpid(child, 0)
    try:
        while True:
            os.waitpid(-child, 0)
    except ChildProcessError:
        pass
    signal.alarm(0)
    print(json.dumps([os.waitstatus_to_exitcode(status), count]), flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: exit code; of a signal the negative number.
        changes: how many files it opened for writing, renamed or removed.
        output: what it printed.
    """

    code: int
    changes: int
    output: str


class Killer:
    """Runs commands in a folder and kills them; a context manager."""

    def __init__(self, folder: Path, *modules: str):
        """Starts the process that the commands are forked off.

        Args:
            folder: the commands run in it, and changes below it count.
            modules: what is imported before.
        """
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(folder), *modules],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TMPDIR": str(self.temporary),
                "XDG_CACHE_HOME": str(folder / "cache"),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: object, at: int = 0, number: int = signal.SIGKILL) -> Ended:
        """Runs a command until it and all that it started have ended.

        Args:
            command: a module and its arguments.
            at: the change just before which it gets the signal; 0 for never.
            number: of the signal.
        """
        output = self.temporary / ".output"
        request = {"command": [*map(str, command)], "at": at, "signal": number}
        self._process.stdin.write(json.dumps({**request, "output": str(output)}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "it hangs, or the process that forks has died"
        text = output.read_text()
        output.unlink()
        return Ended(*json.loads(answer), text)

    def __enter__(self) -> Killer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


def spread(count: int, most: int) -> list[int]:
    """The numbers from 1 to ``count``, or so many of them from the first to the last."""
    if count <= most:
        return list(range(1, count + 1))
    return sorted({1 + round(step * (count - 1) / (most - 1)) for step in range(most)})
