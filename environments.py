"""Builds the environments that run.py uses; standard library only.

Each is built in a folder of its own, and only what is complete is ever used: a start that is killed
at any moment leaves a folder that the next one removes, and never a broken environment.
"""

import contextlib
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PLACE = "SMOKING_DETECTOR_ENVIRONMENTS"
SETS = {
    "edge": ["requirements-edge.txt"],
    "web": ["requirements-web.txt"],
    "live": ["requirements-live.txt", "requirements-opencv.txt"],
    "watch": ["requirements-watch.txt"],
    "ray": ["requirements-ray.txt"],
    "dev": ["requirements-dev.txt"],
}
CONSTRAINTS = "constraints.txt"
HEADLESS = "requirements-opencv-headless.txt"
LINKS = {"app": ".venv", "dev": ".venv-dev"}
STAMP = "complete"  # written last: without it the installation was interrupted


def get(kind, sets):
    """An environment with these sets of requirements, built if there is none.

    Returns:
        The environment, and a file that has to stay open, also in a program that takes this one's
        place, since nobody removes an environment while it is.
    """
    while True:
        environment = ready(kind, sets) or set_up(kind, sets)
        with contextlib.suppress(OSError):  # another start removes it as outdated
            stamp = open(environment / STAMP, "rb")  # noqa: SIM115
            try_lock(stamp, shared=True)
            if (environment / STAMP).exists():
                os.set_inheritable(stamp.fileno(), True)
                return environment, stamp


def places():
    """The folders that may hold environments, the preferred one first."""
    if chosen := os.environ.get(PLACE):
        return [Path(chosen).absolute()]
    caches = {"win32": os.environ.get("LOCALAPPDATA"), "darwin": "~/Library/Caches"}
    cache = caches.get(sys.platform) or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    checkout = hashlib.sha256(os.fsencode(ROOT)).hexdigest()[:8]
    return [
        ROOT / ".venvs",
        Path(cache).expanduser() / "smoking-gesture-detector" / checkout,
    ]


def ready(kind, sets):
    """The complete environment that holds these sets and what is already installed, or None."""
    complete = [environment for place in places() for environment in environments(place, kind)]
    fitting = [environment for environment, held in complete if sets <= held]
    return fitting[0] if fitting else None


def environments(place, kind):
    """The usable environments in a folder, each with the sets that it holds, the fullest first."""
    found = []
    for stamp in place.glob(f"{kind}-*/{STAMP}"):
        with contextlib.suppress(OSError):  # another start removes it meanwhile
            made_from, *held = stamp.read_text(encoding="utf-8").split()
            if made_from == fingerprint(stamp.parent) and python_of(stamp.parent).exists():
                found.append((stamp.parent, set(held)))
    return sorted(found, key=lambda pair: -len(pair[1]))


def fingerprint(environment):
    """What an environment depends on: the requirements, this Python, and where it lies."""
    digest = hashlib.sha256(os.fsencode(environment))
    digest.update(f"{sys.implementation.cache_tag} {platform.machine()}".encode())
    for file in [*sorted(ROOT.glob("requirements-*.txt")), ROOT / CONSTRAINTS]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def python_of(environment):
    """The interpreter of an environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def set_up(kind, sets):
    """Builds an environment beside those that are there; returns it once it is complete."""
    place = writable_place()
    with locked(place / "lock"):
        if environment := ready(kind, sets):  # another start has made it meanwhile
            return environment
        for _, held in environments(place, kind):
            sets = sets | held
        environment = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=place))
        environment.chmod(0o755)
        try:
            install(environment, sorted(sets, key=list(SETS).index), place / f"{kind}.log")
            complete(environment, sets)
        except BaseException:
            shutil.rmtree(environment, ignore_errors=True)
            raise
        link(environment, ROOT / LINKS[kind])
        prune(place, kind, environment)
    return environment


def writable_place():
    """The first folder for environments that can be written."""
    for place in places():
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            if os.access(place, os.W_OK):
                return place
    sys.exit(
        f"{' and '.join(map(str, places()))} cannot be written: choose a folder for the "
        f"environment with {PLACE}=FOLDER."
    )


def install(environment, sets, log_path):
    """Makes a virtual environment and installs sets of requirements; pip's output goes to a log."""
    where = "" if environment.parent == ROOT / ".venvs" else f" in {environment.parent}"
    title = f"Setting up {', '.join(sets)}{where} (once)"
    began = time.monotonic()
    pip = [str(python_of(environment)), "-m", "pip"]
    command = [*pip, "install", "--disable-pip-version-check", "--no-input"]
    command += constraints()
    for name in (file for one in sets for file in SETS[one]):
        command += ["-r", str(ROOT / name)]
    with open(log_path, "wb") as log:
        progress = Progress(title, log)
        try:
            progress.run([sys.executable, "-m", "venv", str(environment)])
            progress.run(command)
            note = use_headless_opencv(environment, pip, progress)
        except (OSError, subprocess.CalledProcessError) as error:
            log.flush()
            progress.end("failed")
            sys.exit(failure(error, log_path))
        except KeyboardInterrupt:
            progress.end("stopped")
            raise
    progress.end(f"{time.monotonic() - began:.0f} s")
    if note:
        print(note, file=sys.stderr)


def constraints():
    """Pip's options for the versions that are used everywhere."""
    if platform.machine() in ("armv7l", "armv6l"):  # has older versions of its own
        return []
    return ["-c", str(ROOT / CONSTRAINTS)]


def failure(error, log_path):
    """What went wrong, in a few lines."""
    log = log_path.read_text(encoding="utf-8", errors="replace")
    reasons = [line for line in log.splitlines() if re.match(r"ERROR|error:|OSError", line)]
    if "ensurepip" in log:
        advice = (
            "venv is missing; on Debian, Ubuntu and Raspberry Pi OS: sudo apt install python3-venv"
        )
    elif "NewConnectionError" in log or "NameResolutionError" in log:
        advice = "Python's package index cannot be reached: is there a network?"
    else:
        advice = reasons[-1] if reasons else str(error)
    return f"{advice}\nThe whole output: {log_path}. Then run the same command again."


class Progress:
    """One line on stderr that says what is being installed; all output goes to a log."""

    def __init__(self, title, log):
        self.title, self.log, self.shown = title, log, 0
        self.terminal = sys.stderr.isatty()
        self.began = time.monotonic()
        print(f"{title} ...", end="", file=sys.stderr, flush=True)

    def run(self, command):
        """Runs a command to its end; raises CalledProcessError when it fails."""
        environ = {**os.environ, "PYTHONUTF8": "1"}
        pipes = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
        }
        with subprocess.Popen(command, env=environ, **pipes) as process:
            for line in process.stdout:
                self.log.write(line)
                self.show(line.decode("utf-8", "replace"))
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command[1:4])

    def show(self, line):
        """Shows which package is at hand, where the line can be written over."""
        words = line.split()
        if self.terminal and words and words[0] in ("Collecting", "Downloading", "Installing"):
            what = re.split(r"[^\w.]", words[1])[0] if words[0] != "Installing" else "installing"
            text = f"{self.title} ... {time.monotonic() - self.began:.0f} s, {what}"
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{text[:width]:<{self.shown}}", end="", file=sys.stderr, flush=True)
            self.shown = len(text[:width])

    def end(self, text):
        """Ends the line."""
        start_of_line = "\r" if self.terminal else ""
        before = f"{start_of_line}{self.title} ..." if self.terminal else ""
        print(f"{before} {text}".ljust(self.shown), file=sys.stderr, flush=True)


def use_headless_opencv(environment, pip, progress):
    """Where OpenCV's desktop build cannot be loaded, puts its headless build in its place.

    Returns what to tell the user, or None where nothing was done.
    """
    probe = [str(python_of(environment)), "-c", "import cv2"]
    result = subprocess.run(probe, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    reason = result.stderr.decode("utf-8", "replace").strip().rpartition("ImportError: ")[2]
    if result.returncode == 0 or "No module named 'cv2'" in reason:
        return None
    listed = subprocess.run([*pip, "list", "--format=freeze"], stdout=subprocess.PIPE, check=True)
    builds = re.findall(r"^(opencv[\w-]*)==", listed.stdout.decode(), re.MULTILINE)
    progress.run([*pip, "uninstall", "--yes", *builds])
    # Not the same build with -headless behind its name: not every release has it.
    progress.run([*pip, "install", "--no-deps", *constraints(), "-r", str(ROOT / HEADLESS)])
    progress.run(probe)
    return (
        f"OpenCV's headless build is used, so live shows no window ({reason.splitlines()[0]}); to "
        f"change that: sudo apt install libgl1 libglib2.0-0, and delete {environment.parent}"
    )


def complete(environment, sets):
    """Marks an environment as complete; everything else is on the disk by then."""
    if hasattr(os, "sync"):
        os.sync()
    partial = environment / f"{STAMP}.partial"
    partial.write_text(f"{fingerprint(environment)} {' '.join(sorted(sets))}\n", encoding="utf-8")
    partial.replace(environment / STAMP)


def link(environment, name):
    """Lets .venv mean the environment that is used, unless somebody else's folder is there."""
    if environment.parent.parent != ROOT:
        return
    with contextlib.suppress(OSError):  # Windows wants a privilege for it, and nothing needs it
        if (name / "made-by-run.py").exists() and not name.is_symlink():  # an earlier version's
            shutil.rmtree(name)
        partial = name.with_name(f"{name.name}.partial")
        partial.unlink(missing_ok=True)
        partial.symlink_to(environment.relative_to(ROOT))
        partial.replace(name)


def prune(place, kind, kept):
    """Removes what is incomplete or outdated, except for what another process uses."""
    for environment in [*place.glob(f"{kind}-*"), *place.glob(f"old-{kind}-*")]:
        stamp = environment / STAMP
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if environment == kept:
                continue
            if stamp.exists() and not try_lock(stack.enter_context(open(stamp, "rb"))):
                continue
            old = environment.with_name(f"old-{kind}-{os.getpid()}-{environment.name[-8:]}")
            environment.rename(old)  # which Windows refuses while it is used
            shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def locked(path):
    """Holds a lock that the system takes away when the process ends, however it ends."""
    with open(path, "a+b") as file:
        if not try_lock(file):
            print("Waiting for another start that is setting up ...", file=sys.stderr, flush=True)
            while not try_lock(file):
                time.sleep(0.2)
        yield


def try_lock(file, shared=False):
    """Locks a file until it is closed, and says whether that worked."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
