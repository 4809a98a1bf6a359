"""Model files are code: one that is not ours is run once where a crash does no harm.

The runtime trusts a model file. One that is damaged, or made for it, can crash the runtime, take
all memory or never end. So it is first run on an empty picture in a process of its own: on Linux a
forked one, elsewhere a new Python.
"""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from edge_app.runtime import make_interpreter
from edge_app.temporary import temporary_folder

_LARGEST = 2_147_483_647
"""Bytes: a FlatBuffers file cannot be larger."""
_SECONDS = 60.0
"""For loading a model and one inference on the slowest machine."""
_MEMORY = 2_000_000_000
"""Bytes that the process may take beside what it has."""

_LACKS = re.compile(r"unresolved custom op|Select TensorFlow op|Didn't find op for builtin opcode")
"""What LiteRT says about a sound model with operators of another program, or of a newer version."""

_passed: set[str] = set()
"""Checksums of what ran in this process or one that it was forked from."""


class TrialError(ValueError):
    """A model file that cannot be run; the message is one line, without its name."""


def read_model(path: Path) -> bytes:
    """Reads a model file.

    Raises:
        TrialError: it is no ordinary file, is larger than a model can be, or is ours and damaged.
        OSError: it cannot be read.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise TrialError("is a folder" if stat.S_ISDIR(status.st_mode) else "is no ordinary file")
    if status.st_size > _LARGEST:
        raise TrialError(f"is no model: it has {status.st_size / 1e9:.1f} GB")
    content = path.read_bytes()
    known = _known_checksum(path)
    checksum = hashlib.sha256(content).hexdigest()
    if known == checksum:
        _passed.add(checksum)
    elif known is not None:
        raise TrialError(
            "is not the file of that name in SHA256SUMS beside it: it is damaged or was replaced; "
            "install it again"
        )
    return content


def try_out(content: bytes) -> None:
    """Runs a model once on an empty picture in a process of its own, unless it is known to run.

    Raises:
        TrialError: it crashes, fails, or takes too long or too much memory.
    """
    checksum = hashlib.sha256(content).hexdigest()
    if checksum in _passed:
        return
    if sys.platform == "linux":
        _try_in_fork(content)
    else:
        _try_in_new_python(content)
    _passed.add(checksum)


def run_once(content: bytes) -> str | None:
    """Runs a model on an empty picture; says what is wrong, or None."""
    try:
        interpreter, _ = make_interpreter(content, 1)
        for tensor in interpreter.get_input_details():
            interpreter.set_tensor(tensor["index"], np.zeros(tensor["shape"], tensor["dtype"]))
        interpreter.invoke()
        outputs = [interpreter.get_tensor(t["index"]) for t in interpreter.get_output_details()]
    except MemoryError:
        return "needs more memory than a model may"
    except Exception as error:
        return refusal("run", error)
    if not all(np.isfinite(output).all() for output in outputs):
        return "gives no numbers for an empty picture"
    return None


def refusal(what: str, error: BaseException) -> str:
    """Why the runtime refuses a model, on one line that is not long.

    Args:
        what: was tried, such as ``loaded``.
        error: that came of it.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    text = text if len(text) <= 200 else f"{text[:200]}…"
    if _LACKS.search(text):
        return f"cannot be {what}: it has operators that this runtime lacks ({text})"
    return f"cannot be {what}, it may be damaged ({text})"


def _known_checksum(path: Path) -> str | None:
    """The checksum of a shipped file, from SHA256SUMS beside it."""
    if path.parent.name != "models":
        return None
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in (path.parent / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
            checksum, _, name = line.partition("  ")
            if name == path.name:
                return checksum
    return None


def _try_in_fork(content: bytes) -> None:
    import resource

    ours, theirs = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.close(ours)
            faulthandler.disable()  # of a crash, its name is enough
            signal.alarm(int(_SECONDS) + 1)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            most = _address_space() + _MEMORY
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            nowhere = open(os.devnull, "w")  # noqa: SIM115
            # Another thread may have held a lock of the streams when this process was made.
            sys.stdout = sys.stderr = nowhere
            for stream in (1, 2):
                os.dup2(nowhere.fileno(), stream)
            problem = run_once(content)
            os.write(theirs, (problem or "").encode()[:4000])
        finally:
            os._exit(0)
    os.close(theirs)
    try:
        with os.fdopen(ours, "rb") as answer:
            problem = answer.read().decode()
    finally:
        status = _end(process)
    if os.WIFSIGNALED(status):
        raise TrialError(_died(os.WTERMSIG(status)))
    if problem:
        raise TrialError(problem)


def _end(process: int) -> int:
    """Waits a moment for a process that has closed its pipe, then ends it."""
    for _ in range(100):
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return status
        time.sleep(0.02)
    os.kill(process, signal.SIGKILL)
    return os.waitpid(process, 0)[1]


def _died(number: int) -> str:
    name = signal.Signals(number).name
    if number == signal.SIGALRM:
        return f"takes longer than {_SECONDS:.0f} s for one picture"
    return f"crashes the runtime ({name}): it is damaged, or no model"


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _try_in_new_python(content: bytes) -> None:
    with temporary_folder("smoking-trial-") as folder:
        file = folder / "model.tflite"
        file.write_bytes(content)
        path = os.pathsep.join([str(Path(__file__).parent.parent), *filter(None, sys.path)])
        try:
            done = subprocess.run(
                [sys.executable, "-m", "edge_app.trial", str(file)],
                env={**os.environ, "PYTHONPATH": path},
                capture_output=True,
                text=True,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise TrialError(f"takes longer than {_SECONDS:.0f} s for one picture") from None
    if done.returncode not in (0, 3):
        raise TrialError(f"crashes the runtime (exit code {done.returncode})")
    if done.returncode == 3:
        raise TrialError(done.stdout.strip())


if __name__ == "__main__":
    problem = run_once(Path(sys.argv[1]).read_bytes())
    if problem:
        print(problem)
        sys.exit(3)
