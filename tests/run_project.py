"""A small project with the real `run.py`, whose packages are made here."""

import os
import shutil
import subprocess
import sys
import sysconfig

from conftest import ROOT

APP = """import os, sys
print(sys.argv[1:], os.getcwd(), os.environ["SMOKING_DETECTOR_COMMAND"])
if "wait" in sys.argv: open("waiting", "w").close(); __import__("time").sleep(600)
sys.exit(7 if "bad" in sys.argv else 0)
"""


DOCUMENTED = "## scan\n\n```text\nUsage: scan a folder\n```\n"


QUICK_VENV = f"""import importlib.util, sys, sysconfig
from pathlib import Path
path = Path(sysconfig.get_path("stdlib"), "venv", "__init__.py")
spec = importlib.util.spec_from_file_location("real_venv", path)
venv = importlib.util.module_from_spec(spec)
spec.loader.exec_module(venv)
venv.create(sys.argv[-1], symlinks=True)
(packages,) = Path(sys.argv[-1]).glob("**/site-packages")
(packages / "theirs.pth").write_text({sysconfig.get_path("purelib") + chr(10)!r})
"""


def make_project(folder):
    (folder / "edge_app").mkdir(parents=True)
    (folder / "docs").mkdir()
    for name in ("run.py", "environments.py", "edge_app/__init__.py", "edge_app/interrupts.py"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "edge_app" / "__main__.py").write_text(APP)
    (folder / "docs" / "commands.md").write_text(DOCUMENTED)
    for name in ("edge", "web", "live", "opencv", "watch", "ray", "dev"):
        (folder / f"requirements-{name}.txt").write_text("")
    (folder / "constraints.txt").write_text("")
    return folder


def command(project, *arguments):
    return [sys.executable, str(project / "run.py"), *map(str, arguments)]


def environ(**more):
    """This process's variables, without a PYTHONPATH that is not a test's own."""
    keep = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" or v.endswith("quick")}
    return keep | more


def run(project, *arguments, cwd=None, **more):
    return subprocess.run(
        command(project, *arguments),
        cwd=cwd or project,
        env=environ(**more),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=600,
    )


def complete(project, kind="app"):
    return [stamp.parent for stamp in (project / ".venvs").glob(f"{kind}-*/complete")]
