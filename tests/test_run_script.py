"""``run.py`` as a newcomer meets it: in a folder of its own, with real environments."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile

import pytest
from conftest import ROOT

import environments

APP = """import os, sys
print(sys.argv[1:], os.getcwd(), os.environ["SMOKING_DETECTOR_COMMAND"])
if "wait" in sys.argv: open("waiting", "w").close(); __import__("time").sleep(600)
sys.exit(7 if "bad" in sys.argv else 0)
"""
DOCUMENTED = "## scan\n\n```text\nUsage: scan a folder\n```\n"


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


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path / "project")


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Environments that see this one's pip instead of a copy, which takes most of a set-up.

    All else is real: processes, locks, the installation by pip, and what a kill leaves behind.
    """
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick" / "venv.py").write_text(QUICK_VENV)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "quick"))


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


def test_help_and_version_install_nothing(project):
    assert "Usage: scan a folder" in run(project, "scan", "--help").stdout
    assert "python3 run.py scan samples/" in run(project, "--help").stdout
    assert "python3 run.py scan samples/" in run(project, "no-such-command", "-h").stdout
    assert run(project, "--version").stdout.strip()[0].isdigit()
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


def test_a_failed_set_up_names_the_reason_and_the_log_and_is_mended_later(project, quick):
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
def test_more_is_added_beside_what_is_there_and_a_change_makes_a_new_environment(project, quick):
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
def test_an_environment_that_somebody_made_is_left_alone(project, quick):
    """As docs/raspberry-pi.md makes one, with the system's packages."""
    own = project / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", own], check=True)
    config = (own / "pyvenv.cfg").read_text()
    assert run(project, "info").returncode == 0
    assert (own / "pyvenv.cfg").read_text() == config and not own.is_symlink()


@pytest.mark.slow
def test_two_first_starts_at_once_both_work_ten_times(project, quick):
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
def test_a_start_that_is_killed_at_any_moment_leaves_nothing_broken(project, quick):
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
