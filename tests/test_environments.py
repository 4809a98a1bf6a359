"""The environments that `run.py` makes: complete, shared, mended, and never broken."""

import os
import shutil
import subprocess
import sys
import time
import zipfile

import pytest
from run_project import command, complete, environ, run

import environments


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of environments that look complete, without the seconds that real ones take."""
    monkeypatch.setenv(environments.PLACE, str(tmp_path))
    return tmp_path


def fake(place, sets, kind="app", name="x"):
    environment = place / f"{kind}-{name}"
    python = environments.python_of(environment)
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    environments.complete(environment, sets)
    return environment


def test_the_fullest_environment_that_fits_is_used(place):
    edge = fake(place, {"edge"}, name="1")
    assert environments.ready("app", {"edge"}) == edge
    assert environments.ready("app", {"edge", "web"}) is None
    both = fake(place, {"edge", "web"}, name="2")
    assert environments.ready("app", {"edge", "web"}) == both
    assert environments.ready("dev", {"edge"}) is None


def test_an_environment_of_other_requirements_or_another_place_is_not_used(place, monkeypatch):
    environment = fake(place, {"edge"})
    moved = environment.rename(place / "app-moved")
    assert environments.ready("app", {"edge"}) is None
    moved.rename(environment)
    assert environments.ready("app", {"edge"}) == environment
    environments.python_of(environment).unlink()
    assert environments.ready("app", {"edge"}) is None


def test_what_is_outdated_is_removed_but_not_while_it_is_used(place):
    used, outdated, kept = (fake(place, {"edge"}, name=name) for name in "123")
    (place / "app-broken-off").mkdir()
    with open(used / environments.STAMP, "rb") as file:
        assert environments.try_lock(file, shared=True)
        environments.prune(place, "app", kept)
    assert used.exists() and kept.exists()
    assert not outdated.exists() and not (place / "app-broken-off").exists()
    environments.prune(place, "app", kept)
    assert [path.name for path in place.iterdir()] == [kept.name]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_where_no_folder_can_be_written_it_says_how_to_choose_one(place):
    place.chmod(0o500)
    with pytest.raises(SystemExit, match=environments.PLACE):
        environments.writable_place()


def test_a_read_only_checkout_has_its_environment_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(environments, "ROOT", tmp_path / "checkout" / "file")
    (tmp_path / "checkout").write_text("a file: nothing can be made below it, also not by root")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(environments.PLACE, raising=False)
    place = environments.writable_place()
    assert place.is_relative_to(tmp_path / "cache") or sys.platform != "linux"


def test_a_failed_set_up_names_the_reason_and_the_log_and_is_mended_later(project, quick_venv):
    (project / "requirements-edge.txt").write_text("./no-such-package\n")
    failed = run(project, "info")
    assert failed.returncode == 1
    assert "... failed" in failed.stderr
    assert "no-such-package" in failed.stderr
    assert str(project / ".venvs" / "app.log") in failed.stderr
    assert len(failed.stderr.splitlines()) <= 3
    assert not list((project / ".venvs").glob("app-*"))
    (project / "requirements-edge.txt").write_text("")
    assert run(project, "info").returncode == 0


@pytest.mark.slow
def test_more_is_added_beside_what_is_there_and_a_change_makes_a_new_environment(
    project, quick_venv
):
    run(project, "info")
    (first,) = complete(project)
    assert "Setting up edge, web" in run(project, "web").stderr
    (second,) = complete(project)
    assert second != first and not first.exists()
    assert (project / ".venv").resolve() == second
    assert run(project, "info").stderr == ""
    (project / "constraints.txt").write_text("# changed\n")
    assert "Setting up edge (once)" in run(project, "info").stderr
    (project / "requirements-web.txt").write_text("./no-such-package\n")
    assert run(project, "web").returncode == 1
    assert run(project, "info").returncode == 0


def write_wheel(folder, name, module):
    """A wheel of one module, ``cv2``; returns the requirement that it is."""
    info = f"{name.replace('-', '_')}-5.1.dist-info"
    file = folder / f"{name.replace('-', '_')}-5.1-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr("cv2.py", module)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 5.1\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"cv2.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")
    return f"{file.as_posix()}\n"


@pytest.mark.slow
def test_an_opencv_that_cannot_be_loaded_gives_way_to_the_headless_build(project, tmp_path):
    """Of the build with MediaPipe's name there is no headless one of the same version."""
    broken = 'raise ImportError("libGL.so.1: cannot open shared object file")'
    desktop = write_wheel(tmp_path, "opencv-contrib-python", broken)
    (project / "requirements-opencv.txt").write_text(desktop)
    headless = write_wheel(tmp_path, "opencv-python-headless", "")
    (project / "requirements-opencv-headless.txt").write_text(headless)
    result = run(project, "live")
    assert result.returncode == 0, result.stderr
    assert "OpenCV's headless build is used" in result.stderr
    assert "libGL.so.1" in result.stderr
    (environment,) = complete(project)
    found = {path.name for path in environment.glob("**/opencv*.dist-info")}
    assert found == {"opencv_python_headless-5.1.dist-info"}
    assert run(project, "live").stderr == ""


@pytest.mark.slow
def test_an_environment_that_somebody_made_is_left_alone(project, quick_venv):
    """As docs/raspberry-pi.md makes one, with the system's packages."""
    own = project / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", own], check=True)
    config = (own / "pyvenv.cfg").read_text()
    assert run(project, "info").returncode == 0
    assert (own / "pyvenv.cfg").read_text() == config and not own.is_symlink()


@pytest.mark.slow
def test_two_first_starts_at_once_both_work_ten_times(project, quick_venv):
    for trial in range(10):
        shutil.rmtree(project / ".venvs", ignore_errors=True)
        starts = [
            subprocess.Popen(
                command(project, "info"),
                cwd=project,
                env=environ(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        ended = [(*start.communicate(timeout=600), start.returncode) for start in starts]
        for output, errors, code in ended:
            assert code == 0 and output.startswith("['info']"), (trial, errors)
        assert sum("Setting up" in errors for _, errors, _ in ended) == 1, ended
        assert len(complete(project)) == 1


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals as on Unix")
def test_a_start_that_is_killed_at_any_moment_leaves_nothing_broken(project, quick_venv):
    start = time.monotonic()
    assert run(project, "info").returncode == 0
    whole = time.monotonic() - start
    for part in range(10):
        shutil.rmtree(project / ".venvs")
        killed = subprocess.Popen(
            command(project, "info"),
            cwd=project,
            env=environ(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(whole * part / 9)
        killed.kill()
        killed.wait()
        after = run(project, "info")
        assert after.returncode == 0 and after.stdout.startswith("['info']"), after.stderr
        assert len(complete(project)) == len(list((project / ".venvs").glob("app-*"))) == 1
