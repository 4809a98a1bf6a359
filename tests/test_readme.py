"""The commands in the README do what it shows."""

import re
import shlex
import shutil

import pytest
from conftest import ROOT, run_module

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```console\n\$ python3 run\.py (.+)\n((?:(?!```).*\n)*)```", README)


def without_numbers(text: str) -> list[str]:
    """The words of a text: numbers, which differ from machine to machine, are left out."""
    return re.sub(r"[\d.]+", "#", re.sub(r"\b[\da-f]{64}\b", "CHECKSUM", text)).split()


@pytest.mark.parametrize(("command", "shown"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_a_command_prints_what_the_readme_shows(command, shown, tmp_path):
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    result = run_module("edge_app", *shlex.split(command), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    if shown:
        machine = re.compile(r"^(model|machine|app|libraries|runtime) .*\n", re.MULTILINE)
        output = machine.sub("", result.stdout)
        assert without_numbers(output) == without_numbers(machine.sub("", shown))


def test_there_are_commands_to_test():
    assert {command.split()[0] for command, _ in BLOCKS} == {"classify", "scan", "info"}


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    example = re.search(r"```python\n(from edge_app import .*?)```", README, re.DOTALL).group(1)
    exec(example, {})
    assert "NotSmoking" in capsys.readouterr().out


def test_every_file_that_is_linked_exists():
    for name in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / name).exists(), name
