"""``run.py`` as a newcomer meets it: in a folder of its own, with real environments."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from conftest import ROOT
from run_project import command, environ, make_project, run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small project with the real run.py, in a folder with a space and an accent."""
    return make_project(tmp_path_factory.mktemp("a") / "un été")


@pytest.fixture(scope="module")
def ready_project(made):
    """The same, whose environment for the app is set up."""
    first = run(made, "info")
    assert first.returncode == 0, first.stderr
    return made, first


def test_help_and_version_install_nothing(project):
    assert "Usage: scan a folder" in run(project, "scan", "--help").stdout
    assert "python3 run.py scan samples/" in run(project, "--help").stdout
    assert "python3 run.py scan samples/" in run(project, "no-such-command", "-h").stdout
    assert run(project, "--version").stdout.strip()[0].isdigit()
    assert not (project / ".venvs").exists()


def test_help_lists_every_command_and_installs_nothing(project):
    import run as script
    from edge_app.cli import checkout, main

    assert set(checkout.COMMANDS) == script.DEV_COMMANDS
    short = run(project, "--help").stdout  # of run.py itself, as without the page of commands
    shutil.copy(ROOT / "docs" / "commands.md", project / "docs")
    for shown in (run(project).stdout, run(project, "-h").stdout):
        for name in (*main.commands, *checkout.COMMANDS):
            assert re.search(rf"^  {name} +[A-Z]", shown, re.M), name
    assert all(f"python3 run.py {name} " in short for name in checkout.COMMANDS)
    assert not (project / ".venvs").exists()


def test_the_first_start_is_one_line_on_stderr_and_later_ones_are_silent(ready_project):
    project, first = ready_project
    (line,) = first.stderr.splitlines()
    assert line.startswith("Setting up edge (once) ... ") and line.endswith(" s")
    assert first.stdout.startswith("['info']")
    start = time.monotonic()
    assert run(project, "info").stderr == ""
    assert time.monotonic() - start < 30


def test_it_hands_on_arguments_folder_exit_code_and_how_it_was_started(ready_project, tmp_path):
    project, _ = ready_project
    result = run(project, "scan", "été/", "bad", cwd=tmp_path)
    assert result.returncode == 7
    assert "['scan', 'été/', 'bad']" in result.stdout
    assert str(tmp_path) in result.stdout
    assert f"python3 '{project}/run.py'" in result.stdout


def test_a_locale_without_utf8_works(ready_project):
    project, _ = ready_project
    result = run(project, "scan", "été", LC_ALL="C", PYTHONUTF8="0")
    assert result.returncode == 0, result.stderr


def test_files_in_the_users_folder_are_not_taken_for_modules(ready_project, tmp_path):
    project, _ = ready_project
    for name in ("random.py", "edge_app.py", "environments.py"):
        (tmp_path / name).write_text("print('taken')")
    assert "taken" not in run(project, "info", cwd=tmp_path).stdout


@pytest.mark.skipif(os.name == "nt", reason="signals as on Unix")
def test_ctrl_c_while_the_app_runs_is_130(ready_project, tmp_path):
    project, _ = ready_project
    process = subprocess.Popen(
        command(project, "wait"), cwd=tmp_path, env=environ(), stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "waiting").exists():
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_what_a_command_needs_follows_from_its_arguments(tmp_path, monkeypatch):
    import run as script

    (tmp_path / "0.parquet").touch()
    for arguments, sets in (
        ("scan samples", {"edge"}),
        ("scan samples --watch", {"edge", "watch"}),
        ("scan ray", {"edge"}),  # a folder of this name
        ("scan samples --engine ray", {"edge", "ray"}),
        ("scan s3://b --engine=ray", {"edge", "ray"}),
        (f"export {tmp_path}", {"edge", "ray"}),
        ("export s3://bucket/results", {"edge", "ray"}),
        ("export smoking.db", {"edge"}),
        ("web --port 80", {"edge", "web"}),
        ("space out", {"edge", "web"}),
        ("live --mqtt mqtt://host", {"edge", "live"}),
        ("test --all", {"dev"}),
    ):
        assert script.wanted(arguments.split()) == sets, arguments


def test_the_tests_are_all_run_or_those_that_are_named(tmp_path, monkeypatch):
    import run as script

    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()  # which is no file of tests

    tests = [str(ROOT / "tests")]
    assert script.module(["test", "-k", "x"])[3:] == [*script.TWO_AT_ONCE, "-k", "x", *tests]
    assert script.module(["test", "--all"])[3:] == ["--all", *tests]
    assert script.module(["test", __file__ + "::test_x"])[-1] == __file__ + "::test_x"
