"""What ``pip install`` gives: the wheel, the sdist, the command, and one set of versions."""

import ast
import doctest
import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, SHIPPED_INT8
from packaging.requirements import Requirement

import edge_app

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
EXTRAS = {"web", "live", "live-headless", "watch", "ray", "all", "all-headless"}


def build(folder: Path, into: Path, *targets: str) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-d", into]
    for target in targets:
        command += ["-t", target]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    into = tmp_path_factory.mktemp("dist")
    build(ROOT, into, "wheel", "sdist")
    return into


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    (file,) = built.glob("*.whl")
    return file


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_the_wheel_holds_the_package_and_the_model_and_nothing_else(wheel):
    files = contents(wheel)
    tops = {name.split("/")[0] for name in files}
    assert tops == {"edge_app", f"smoking_gesture_detector-{edge_app.__version__}.dist-info"}
    assert files["edge_app/models/smoking_mobilenetv2_int8.tflite"] == SHIPPED_INT8.read_bytes()
    assert "edge_app/py.typed" in files
    data = [name for name in files if name.endswith((".css", ".js", ".html", ".svg"))]
    here = [path for path in (ROOT / "edge_app").rglob("*") if path.suffix in (".css", ".js")]
    assert len(data) >= len(here) > 0


def test_the_metadata_come_from_the_requirements_files(wheel):
    metadata = next(
        text.decode() for name, text in contents(wheel).items() if name.endswith("/METADATA")
    )
    assert set(re.findall(r"^Provides-Extra: (.+)$", metadata, re.MULTILINE)) == EXTRAS
    for name in EXTRAS - {"all", "all-headless"}:
        assert re.search(rf"^Requires-Dist: .*extra == '{name}'", metadata, re.MULTILINE)
    base = [x for x in re.findall(r"^Requires-Dist: (.+)$", metadata, re.M) if "extra" not in x]
    wanted = requirements(ROOT / "requirements-edge.txt")
    assert {Requirement(x).name for x in base} == {x.name for x in wanted}
    assert not any("opencv" in x for x in base)


def test_the_sdist_builds_the_same_wheel_and_holds_the_tests(built, wheel, tmp_path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as file:
        file.extractall(tmp_path, **({"filter": "data"} if sys.version_info >= (3, 12) else {}))
    (folder,) = tmp_path.iterdir()
    assert (folder / "tests" / "test_packaging.py").exists()
    build(folder, tmp_path / "again", "wheel")
    (again,) = (tmp_path / "again").glob("*.whl")
    assert contents(again) == contents(wheel)


@pytest.fixture(scope="module")
def empty_environment(tmp_path_factory):
    """Makes environments that see the packages of this one, and install without a network."""

    def make(*arguments: str | Path) -> Path:
        folder = tmp_path_factory.mktemp("environment")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        scripts = folder / ("Scripts" if os.name == "nt" else "bin")
        where = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages = subprocess.check_output([scripts / "python", "-c", where], text=True).strip()
        Path(packages, "theirs.pth").write_text(sysconfig.get_path("purelib") + "\n")
        pip = [sys.executable, "-m", "pip", "--python", scripts / "python", "install", "--no-index"]
        command = [*pip, "--no-deps", "--no-build-isolation", *arguments]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return scripts

    return make


def run(command: list[str | Path], cwd: Path) -> subprocess.CompletedProcess:
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True)


def test_an_installed_wheel_works_in_another_folder(wheel, empty_environment, tmp_path):
    scripts = empty_environment(wheel)
    result = run([scripts / "smoking-detector", "classify", ROOT / "samples"], tmp_path)
    assert result.returncode == 0, result.stderr
    assert re.findall(r"^(\w+) .*?(\w+)\.jpg$", result.stdout, re.M) == [
        ("NotSmoking", "astronaut"),
        ("NotSmoking", "cameraman"),
        ("NotSmoking", "coffee"),
        ("Smoking", "hand"),  # wrongly: samples/README.md
        ("Smoking", "smoking"),
    ]
    info = run([scripts / "smoking-detector", "info"], tmp_path).stdout
    assert str(scripts.parent) in info  # the wheel's own model
    usage = run([scripts / "smoking-detector", "scan"], tmp_path)
    assert usage.stderr.startswith("Usage: smoking-detector scan")
    module = run([scripts / "python", "-m", "edge_app", "scan"], tmp_path)
    assert module.stderr.startswith("Usage: python -m edge_app scan")


def test_a_wheel_writes_the_same_space_as_a_checkout(wheel, tmp_path):
    pytest.importorskip("gradio")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "site")
    code = "import sys; from edge_app.space import *; write_space(Path(sys.argv[1]))"
    for place in (tmp_path / "site", ROOT):
        result = run([sys.executable, "-c", code, tmp_path / f"space of {place.name}"], place)
        assert result.returncode == 0, result.stderr
    ours, theirs = (
        {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        for folder in (tmp_path / f"space of {ROOT.name}", tmp_path / "space of site")
    )
    assert Path("samples", "smoking.jpg") in theirs
    assert ours.keys() ^ theirs.keys() <= {
        path for path in ours if path.parts[:2] == ("models", "evaluation")
    }
    assert all(ours[path] == theirs[path] for path in ours.keys() & theirs.keys())


def test_an_editable_install_finds_the_model_of_the_checkout(empty_environment, tmp_path):
    scripts = empty_environment("-e", ROOT)
    info = run([scripts / "smoking-detector", "info"], tmp_path)
    assert info.returncode == 0, info.stderr
    assert str(SHIPPED_INT8) in info.stdout


def requirements(file: Path) -> list[Requirement]:
    lines = [line.strip() for line in file.read_text().splitlines()]
    return [Requirement(line) for line in lines if line and line[0] not in "#-"]


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_has_one_version_that_fits(python):
    """What ``.ci/lock`` has to be run again for, after a change of a requirements file."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.2",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    constraints = {}
    for constraint in requirements(ROOT / "constraints.txt"):
        if constraint.marker is None or constraint.marker.evaluate(environment):
            name = constraint.name.lower().replace("_", "-")
            assert name not in constraints, f"{name} twice"
            constraints[name] = next(iter(constraint.specifier)).version
    for file in ROOT.glob("requirements-*.txt"):
        for wanted in requirements(file):
            if wanted.marker is None or wanted.marker.evaluate(environment):
                version = constraints[wanted.name.lower().replace("_", "-")]
                assert wanted.specifier.contains(version), f"{file.name}: {wanted}, {version}"


def test_the_constraints_name_no_host():
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text and "index-url" not in text


def test_no_set_of_requirements_brings_two_builds_of_opencv():
    names = {
        file.name: [x.name for x in requirements(file) if "opencv" in x.name]
        for file in ROOT.glob("requirements-*.txt")
    }
    assert {name for name, found in names.items() if found} == {
        "requirements-opencv.txt",
        "requirements-opencv-headless.txt",
        "requirements-dev.txt",
    }
    assert names["requirements-dev.txt"] == ["opencv-contrib-python"]


def test_classify_scan_export_and_web_never_import_opencv(tmp_path, samples):
    """An OpenCV that cannot be loaded, as on a server without libGL, stops none of them."""
    (tmp_path / "cv2.py").write_text("raise RuntimeError('cv2 was imported')")
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); sys.argv[0] = 'smoking-detector';"
        "from edge_app.cli import run; run()"
    )
    db = tmp_path / "out.db"
    for arguments in (
        ["classify", samples],
        ["scan", samples, "--db", db],
        ["export", db],
        ["export", db, "--format", "html", "--out", tmp_path / "out.html"],
        ["info"],
    ):
        result = run([sys.executable, "-c", code, tmp_path, *map(str, arguments)], ROOT)
        assert result.returncode == 0, result.stderr
    if importlib.util.find_spec("gradio"):
        code = "import sys; sys.path.insert(0, sys.argv[1]); import edge_app.web"
        assert run([sys.executable, "-c", code, tmp_path], ROOT).stderr == ""


def test_the_library_prints_nothing(tmp_path, samples):
    code = (
        "import sys, edge_app; from pathlib import Path\n"
        "from edge_app.scan import run_scan\n"
        "classifier = edge_app.Classifier()\n"
        "classifier.classify(sys.argv[1] + '/coffee.jpg')\n"
        "run_scan([Path(sys.argv[1])], Path(sys.argv[2]), classifier.info)\n"
    )
    result = run([sys.executable, "-c", code, samples, tmp_path / "out.db"], ROOT)
    assert result.returncode == 0, result.stderr
    assert (result.stdout, result.stderr) == ("", "")


def test_only_the_commands_print_or_know_click_and_tqdm():
    found = []
    for path in (ROOT / "edge_app").rglob("*.py"):
        if path.parent.name == "cli" or path.name == "trial.py":  # a program of its own
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            printed = isinstance(node, ast.Name) and node.id == "print"
            if printed or {name.split(".")[0] for name in modules} & {"click", "tqdm"}:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def test_all_that_the_package_exports_has_an_example():
    examples = doctest.DocTestParser().get_examples(edge_app.__doc__)
    named = set(re.findall(r"\w+", " ".join(example.source for example in examples)))
    assert set(edge_app.__all__) - named == set()


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, edge_app; print(sorted({'numpy', 'PIL', 'click'} & set(sys.modules)))"
    assert run([sys.executable, "-c", code], ROOT).stdout.strip() == "[]"
    for name in edge_app.__all__:
        assert getattr(edge_app, name) is not None
