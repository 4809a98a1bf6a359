"""README and docs: commands do what is shown, options exist, links lead somewhere."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
from functools import cache
from pathlib import Path

import click
import pytest
from conftest import ROOT, run_module

DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name / "README.md" for name in ("models", "benchmarks", "samples")),
    ]
)
README = ROOT / "README.md"
COMMANDS = ROOT / "docs" / "commands.md"
PYPROJECT = ROOT / "pyproject.toml"
START = r"(?:smoking-detector|python3 run\.py|python -m edge_app)"
EXECUTED = {"classify", "scan", "info", "export"}
"""Commands that a ```console block may show with their output."""
CHECKOUT_COMMANDS = {
    "train": "train.__main__",
    "evaluate": "train.evaluate",
    "decide": "train.decision",
    "convert": "convert.cli",
    "bench live": "benchmarks.live",
    "bench scan": "benchmarks.scan",
}
"""Commands of `run.py` that the app does not have, and where they are."""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def shown_commands() -> list[tuple[str, str]]:
    block = re.compile(rf"```console\n\$ {START} (.+)\n((?:(?!```).*\n)*)```")
    return sorted({found for page in DOCUMENTS for found in block.findall(page.read_text())})


def written_commands() -> list[tuple[str, str]]:
    """All command lines in the documents, without the comment behind them."""
    line = re.compile(rf"^(?:    |\$ )?(?:\w+=\S+ )*(?:\S*/)?{START} (\w[^\n]*)$", re.MULTILINE)
    found = {
        (name(page), re.sub(r"\s+#.*", "", command).strip())
        for page in DOCUMENTS
        for fence in re.findall(r"```\w*\n.*?```|(?:^    .*\n)+", page.read_text(), re.S | re.M)
        for command in line.findall(fence.replace("\\\n", " "))
    }
    return sorted(found)


def without_numbers(text: str) -> list[str]:
    """The words of a text: numbers, which differ from machine to machine, are left out."""
    return re.sub(r"[\d.]+", "#", re.sub(r"\b[\da-f]{64}\b", "CHECKSUM", text)).split()


@pytest.mark.parametrize(
    ("command", "shown"), shown_commands(), ids=[command for command, _ in shown_commands()]
)
def test_a_command_prints_what_is_shown(command, shown, tmp_path):
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    result = run_module("edge_app", *shlex.split(command), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    if shown:
        machine = re.compile(r"^(model|machine|app|libraries|runtime) .*\n", re.MULTILINE)
        output = machine.sub("", result.stdout)
        assert without_numbers(output) == without_numbers(machine.sub("", shown))


def test_commands_of_every_kind_are_executed():
    shown = {command.split()[0] for command, _ in shown_commands()}
    assert {"classify", "scan", "info"} <= shown <= EXECUTED


@cache
def click_command(words: str) -> click.Command | None:
    from edge_app.cli import main

    for length in (2, 1):
        start = " ".join(words.split()[:length])
        if start in CHECKOUT_COMMANDS:
            return importlib.import_module(CHECKOUT_COMMANDS[start]).main
    return main.commands.get(words.split()[0])


@pytest.mark.parametrize(("page", "line"), written_commands())
def test_commands_and_options_exist(page, line):
    first = line.split()[0]
    if first in ("test", "docs"):
        return
    command = click_command(" ".join(line.split()[:2]))
    assert command is not None, f"{page} has a command that does not exist: {first}"
    known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
    known |= {"-h", "--help"}
    unknown = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", line)) - known
    assert not unknown, f"{page}: {first} has no option {', '.join(unknown)}"


def test_there_are_many_commands_to_check():
    assert len(written_commands()) > 30


def python_examples() -> list[tuple[str, str]]:
    block = re.compile(r"```python\n(from edge_app.*?)```", re.DOTALL)
    return [(name(page), code) for page in DOCUMENTS for code in block.findall(page.read_text())]


@pytest.mark.parametrize(("page", "code"), python_examples())
def test_a_python_example_runs(page, code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    shutil.copy(ROOT / "samples" / "astronaut.jpg", tmp_path / "picture.jpg")
    if "smoking.db" in code:
        assert run_module("edge_app", "scan", "samples", cwd=tmp_path).returncode == 0
    exec(code, {})
    assert "NotSmoking" in capsys.readouterr().out


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them of simple ones."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_links_lead_to_files_and_headings(page):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for path, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)]*))?\)", text):
        target = page.parent / path if path else page
        assert target.exists(), f"{name(page)} links to {path}"
        if anchor:
            assert anchor in anchors(target), f"{name(page)} links to {path}#{anchor}"


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 150


def test_the_badges_are_true():
    project = dict(
        re.findall(r'^(license|requires-python) = "(.*)"$', PYPROJECT.read_text(), re.MULTILINE)
    )
    text = README.read_text()
    lowest, highest = re.search(r"!\[Python (3\.\d+) to (3\.\d+)\]", text).groups()
    assert f"badge/python-{lowest}%E2%80%93{highest}-" in text
    assert project["requires-python"].startswith(f">={lowest}")
    assert f"[![Licence: {project['license']}]" in text
    assert f"badge/licence-{project['license'].replace('-', '--')}-" in text


OTHERS_MESSAGES = {
    "ensurepip is not available",
    "No matching distribution found for ai-edge-litert",
    "error: externally-managed-environment",
    "smoking-detector: command not found",
    "numpy.dtype size changed",
    "libGL.so.1: cannot open shared object file",
}
"""Messages of Python, pip, the shell and libraries."""


def test_messages_in_troubleshooting_are_those_of_the_program():
    code = [ROOT / "run.py", ROOT / "environments.py"]
    code += [p for room in ("edge_app", "convert", "train") for p in (ROOT / room).rglob("*.py")]
    # As at run time: strings that follow each other are one, numbers and names stand in braces.
    source = re.sub(r'"\s*f?"', "", "\n".join(path.read_text() for path in sorted(code)))
    titles = re.findall(
        r"^### (`.*)", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE
    )
    messages = {message for title in titles for message in re.findall(r"`([^`]+)`", title)}
    assert len(messages) > 20
    unknown = {
        message
        for message in messages - OTHERS_MESSAGES
        if any(part not in source for part in re.split(r"\d+%?", message))
    }
    assert not unknown, f"no message of the program: {', '.join(sorted(unknown))}"


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_paths_that_are_named_exist(page):
    if page.name == "CHANGELOG.md":
        return  # tells of what was, too
    rooms = "benchmarks|convert|deploy|docs|edge_app|models|samples|tests|train|\\.ci|\\.github"
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for path in re.findall(rf"`((?:{rooms})/[\w./-]*)`", text):
        assert (ROOT / path).exists(), f"{name(page)} names {path}"


def test_the_page_of_commands_has_the_options_that_there_are():
    """After a change of options: .venv-dev/bin/python docs/commands.py"""
    from edge_app.cli import main

    sections = dict(
        re.findall(r"^## (\w+)\n+```text\n(.*?)```", COMMANDS.read_text(), re.MULTILINE | re.DOTALL)
    )
    assert main.commands.keys() <= sections.keys()
    for name, command in main.commands.items():
        options = {o for p in command.params for o in p.opts if o.startswith("--")} | {"--help"}
        shown = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", sections[name], re.MULTILINE))
        assert shown == options, f"{name}: .venv-dev/bin/python docs/commands.py"
