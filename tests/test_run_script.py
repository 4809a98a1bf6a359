"""``run.py`` as a newcomer meets it: in a folder of its own, with real environments."""

import os
import shutil
import subprocess
import sys
import time

import pytest
from conftest import ROOT


@pytest.fixture
def project(tmp_path):
    """A small project with the real run.py: an app that prints its arguments."""
    shutil.copy(ROOT / "run.py", tmp_path)
    (tmp_path / "edge_app").mkdir()
    (tmp_path / "edge_app" / "__main__.py").write_text(
        "import os, sys; print(sys.argv[1:], os.getcwd()); sys.exit(7 if 'bad' in sys.argv else 0)"
    )
    (tmp_path / "requirements-edge.txt").write_text("")
    (tmp_path / "requirements-web.txt").write_text("")
    return tmp_path


def run(project, *arguments, cwd=None):
    return subprocess.run(
        [sys.executable, project / "run.py", *arguments],
        cwd=cwd or project,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )


def test_it_makes_the_environment_once_and_hands_on_arguments_and_exit_code(project):
    first = run(project, "scan", "samples/")
    assert first.returncode == 0, first.stderr
    assert "Setting up .venv" in first.stdout
    assert "['scan', 'samples/']" in first.stdout

    start = time.monotonic()
    second = run(project, "bad")
    assert time.monotonic() - start < 5
    assert second.returncode == 7
    assert "Setting up" not in second.stdout


def test_it_runs_in_the_folder_of_its_user(project):
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    assert str(elsewhere) in run(project, "info", cwd=elsewhere).stdout


def test_it_installs_again_only_when_the_requirements_change(project):
    run(project, "info")
    marker = project / ".venv" / "marker"
    marker.touch()
    (project / "requirements-edge.txt").write_text("# changed\n")
    changed = run(project, "info")
    assert "Setting up" in changed.stdout
    assert marker.exists()  # brought up to date, not made anew
    assert "Setting up" not in run(project, "info").stdout


@pytest.mark.parametrize("command", ["web", "space"])  # a Space's folder pins what the page needs
def test_web_installs_its_own_requirements_when_first_asked_for(project, command):
    assert "requirements-web.txt" not in run(project, "info").stdout
    assert "requirements-web.txt" in run(project, command).stdout
    assert "Setting up" not in run(project, command).stdout
    assert "Setting up" not in run(project, "info").stdout


def test_results_of_ray_and_mqtt_bring_their_own_requirements(project, tmp_path, monkeypatch):
    for name in ("live", "ray"):
        (project / f"requirements-{name}.txt").write_text("")
    results = tmp_path / "results"
    results.mkdir()
    assert "requirements-ray.txt" not in run(project, "export", results).stdout
    (results / "0.parquet").touch()
    assert "requirements-ray.txt" in run(project, "export", results).stdout
    assert "Setting up" not in run(project, "export", "s3://bucket/results").stdout
    assert "requirements-live.txt" not in run(project, "live").stdout
    monkeypatch.setenv("SMOKING_LIVE_MQTT", "mqtt://localhost/hall")
    assert "requirements-live.txt" in run(project, "live").stdout


def test_a_transformer_that_teaches_brings_its_own_requirements(project):
    (project / "train").mkdir()
    shutil.copy(project / "edge_app" / "__main__.py", project / "train")
    for name in ("live", "watch", "ray", "dev", "vit"):
        (project / f"requirements-{name}.txt").write_text("")
    assert "requirements-vit.txt" not in run(project, "train", "--out", "a.keras").stdout
    taught = run(project, "train", "--vit", "a.onnx")
    assert "requirements-vit.txt" in taught.stdout
    assert "['--vit', 'a.onnx']" in taught.stdout
    assert "Setting up" not in run(project, "train", "--vit=a.onnx").stdout
    assert "Setting up" not in run(project, "train", "--out", "a.keras").stdout


def test_a_failed_install_says_what_failed_and_is_not_trusted_later(project):
    (project / "requirements-edge.txt").write_text("./no-such-package\n")
    failed = run(project, "info")
    assert failed.returncode == 1
    assert "no-such-package" in failed.stdout + failed.stderr
    assert "Setting up .venv failed" in failed.stderr
    assert not list((project / ".venv").glob("installed-*"))

    (project / "requirements-edge.txt").write_text("")
    mended = run(project, "info")
    assert mended.returncode == 0
    assert "['info']" in mended.stdout


def test_a_failed_change_is_not_trusted_and_is_mended_later(project):
    assert run(project, "info").returncode == 0
    (project / "requirements-web.txt").write_text("./no-such-package\n")
    assert run(project, "web").returncode == 1
    mended = run(project, "info")  # pip may have changed what the app needs, so it is set up again
    assert "Setting up" in mended.stdout
    assert mended.returncode == 0


def test_help_installs_nothing_more(project):
    run(project, "info")
    assert "Setting up" not in run(project, "web", "--help").stdout


def test_files_in_the_users_folder_are_not_taken_for_modules(project):
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "random.py").write_text("print('taken')")
    (elsewhere / "edge_app.py").write_text("print('taken')")
    assert "taken" not in run(project, "info", cwd=elsewhere).stdout


def test_a_broken_off_install_is_made_anew(project):
    (project / "requirements-edge.txt").write_text("./no-such-package\n")
    assert run(project, "info").returncode == 1
    (project / ".venv" / "half").touch()
    (project / "requirements-edge.txt").write_text("")
    assert run(project, "info").returncode == 0
    assert not (project / ".venv" / "half").exists()


def test_an_environment_that_somebody_made_is_left_alone(project):
    """As docs/raspberry-pi.md makes one, with the system's packages."""
    own = project / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", own], check=True)
    config = (own / "pyvenv.cfg").read_text()
    refused = run(project, "info")
    assert refused.returncode == 1
    assert f"{own} was not made by run.py" in refused.stderr
    assert (own / "pyvenv.cfg").read_text() == config
    assert not list(own.glob("installed-*"))
