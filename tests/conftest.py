"""What many tests share: where the real pictures are, and small models and pictures of our own."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.pop("SMOKING_DETECTOR_COMMAND", None)  # of run.py, which may have started the tests

# In the background of a shell SIGINT is ignored, also by every program that the tests start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("SMOKING_DATA", ROOT.parent / "shared" / "data"))
SHIPPED_KERAS = ROOT / "models" / "smoking_mobilenetv2.keras"
SHIPPED_INT8 = ROOT / "models" / "smoking_mobilenetv2_int8.tflite"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="Run the slow tests too.")


def lacks(reason: str) -> NoReturn:
    """Skips a test and says what this machine lacks for it; in CI, which has all, it fails."""
    pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


def _opencv_problem() -> str:
    """Why OpenCV cannot be loaded although it is installed; then it counts as not installed."""
    try:
        import cv2  # noqa: F401
    except ModuleNotFoundError:
        return ""
    except ImportError as error:
        sys.modules["cv2"] = None  # what asks for it is told that there is none
        return str(error)
    return ""


OPENCV_PROBLEM = _opencv_problem()
WITHOUT_TENSORFLOW = importlib.util.find_spec("tensorflow") is None  # as with Python 3.14
OF_TENSORFLOW = re.compile(r"^(?:from|import) (?:train|convert|tensorflow|keras)\b", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leaves out the tests of training and conversion where TensorFlow is not installed."""
    if WITHOUT_TENSORFLOW and collection_path.suffix == ".py":
        return bool(OF_TENSORFLOW.search(collection_path.read_text(encoding="utf-8"))) or None
    return None


def pytest_report_header() -> list[str]:
    lines = []
    if WITHOUT_TENSORFLOW:
        lines.append("TensorFlow is missing: the tests of training and conversion are left out")
    if OPENCV_PROBLEM:
        lines.append(f"OpenCV cannot be loaded ({OPENCV_PROBLEM}): its tests are left out")
    return lines


SLOW_FIXTURES = {"cluster", "browser", "visit", "make_environment", "empty_environment"}
"""What starts a Ray cluster, a browser, or an installation: slow, but for one test of each kind."""
ONE_OF_EACH = {
    "test_results_are_those_of_the_local_engine",
    "test_an_uploaded_picture_is_answered_with_class_bar_meaning_and_time",
    "test_an_installed_wheel_works_in_another_folder",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    """Skips slow tests, unless all or single tests are chosen."""
    for item in items:
        if item.originalname not in ONE_OF_EACH and SLOW_FIXTURES & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)
    named = any("::" in argument for argument in config.args)
    if config.getoption("--all") or config.getoption("markexpr") or named:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in set(slow)]


@pytest.fixture(scope="session")
def classifier():
    """The shipped model."""
    from edge_app import Classifier

    return Classifier()


@pytest.fixture(scope="session")
def samples() -> Path:
    return ROOT / "samples"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real data sets, which are not part of the project."""
    missing = [n for n in ("smoker", "stanford40", "smoking_wild") if not (DATA / n).is_dir()]
    if missing:
        pytest.skip(f"needs the data sets {', '.join(missing)} in {DATA} (or in $SMOKING_DATA)")
    return DATA


@pytest.fixture
def pictures(tmp_path: Path, samples: Path) -> Path:
    """A folder tree with two readable pictures, one damaged, one empty, and a text."""
    folder = tmp_path / "pictures"
    (folder / "inner").mkdir(parents=True)
    Image.open(samples / "astronaut.jpg").save(folder / "a.png")
    Image.open(samples / "coffee.jpg").save(folder / "inner" / "b.jpg")
    (folder / "damaged.jpg").write_bytes((samples / "astronaut.jpg").read_bytes()[:3000])
    (folder / "empty.jpg").touch()
    (folder / "notes.txt").write_text("no picture")
    return folder


def make_dataset(folder: Path, count: int = 8, size: int = 64) -> Path:
    """Writes a learnable data set: Smoking is bright on the left, NotSmoking on the right."""
    rng = np.random.default_rng(0)
    for split in ("Training", "Validation", "Testing"):
        for smoking, name in ((True, "Smoking"), (False, "NotSmoking")):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 90, (size, size, 3), np.uint8)
                half = slice(0, size // 2) if smoking else slice(size // 2, size)
                pixels[:, half] += 120
                Image.fromarray(pixels).save(folder / split / name / f"{number}.png")
    return folder


def put_score(store, path: Path, info, score: float | None, reason: str = "is damaged") -> None:
    """Puts what a scan would of a picture with that P(Smoking); None is unreadable."""
    from edge_app import Prediction
    from edge_app.scan.rows import FileState

    result = OSError(reason)
    if score is not None:
        label = info.decision.label if score >= info.decision.threshold else info.other_label
        result = Prediction(label, max(score, 1 - score), score)
    store.put(path, FileState.of(path), info, result)


def write_bare_model(path: Path) -> Path:
    """Writes the shipped network as somebody else would export it: it says nothing of itself."""
    from edge_app.metadata import METADATA_BUFFER

    content = SHIPPED_INT8.read_bytes()
    network = content[: content.index(b"PK\3\4")]
    path.write_bytes(network.replace(METADATA_BUFFER.encode(), b"_" * len(METADATA_BUFFER)))
    return path


def run_module(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """Runs ``python -m ...`` as a user would, and returns its exit code and output."""
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="session")
def make_environment(tmp_path_factory: pytest.TempPathFactory):
    """Makes a virtual environment with some packages, and returns its Python."""

    def make(*packages: str) -> Path:
        folder = tmp_path_factory.mktemp("environment")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
        result = subprocess.run(pip, capture_output=True, text=True)
        if result.returncode:
            lacks(f"cannot install {' '.join(packages)}: {result.stderr.strip()[-300:]}")
        return python

    return make


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the web page keeps what visitors upload."""
    return tmp_path_factory.mktemp("temporary") / "web"


@pytest.fixture(scope="module")
def site(temporary: Path):
    """The web page as a user starts it; its URL."""
    from webpage import served, space_under_test

    with served(temporary, **space_under_test()) as url:
        yield url


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, samples: Path):
    """Chromium, whose camera shows the coffee sample over and over."""
    from webpage import chromium

    video = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    video.write_bytes((samples / "coffee.jpg").read_bytes() * 30)
    with chromium(f"--use-file-for-fake-video-capture={video}") as browser:
        yield browser


@pytest.fixture
def visit(browser, site: str):
    """Opens the web page as a new visitor; at the end no request may have left the machine."""
    from webvisit import visits

    with visits(browser, site) as open_page:
        yield open_page


@pytest.fixture(scope="session")
def words(classifier):
    """The answer expected on the web page for a picture, taken from the model itself."""
    from edge_app.web.pool import UNCERTAIN
    from edge_app.web.texts import TEXTS

    def words_of(path: Path, language: str = "en") -> str:
        prediction = classifier.classify(path)
        return TEXTS[language][UNCERTAIN if prediction.uncertain else prediction.label]

    return words_of


def export(*arguments: object):
    """Runs the command ``export`` in this process, which is much faster than as a program."""
    from click.testing import CliRunner

    from edge_app.cli import main

    return CliRunner().invoke(main, ["export", *map(str, arguments)])


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A folder on a disk of its own, such as ``16k``; skips where one may not mount."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk, as root has it")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


from fixtures import *  # noqa: E402, F403 - whose fixtures need what is above
