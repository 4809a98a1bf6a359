"""Fixtures of more than one file of tests, which `conftest` hands on.

What they need is imported where it is used: not every machine has all of it.
"""

import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def info(classifier):
    return classifier.info


@pytest.fixture
def make_result(tmp_path, info):
    """Writes a result as a scan does, with these paths and scores; None is unreadable."""
    from conftest import put_score

    from edge_app.scan import Store

    def make(scores, name="out.db"):
        with Store(tmp_path / name) as store:
            for path, score in scores.items():
                put_score(store, path, info, score)
        return tmp_path / name

    return make


@pytest.fixture
def result(make_result, tmp_path, samples):
    """Two found, one not, one unreadable, with their pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        shutil.copy(samples / "coffee.jpg", folder / name)
        with open(folder / name, "ab") as file:
            file.write(name.encode())  # no two are the same
    (folder / "d.jpg").touch()
    scores = {"a.jpg": 0.9, "b.jpg": 0.1, "c.jpg": 0.99, "d.jpg": None}
    return make_result({folder / name: score for name, score in scores.items()})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A small data set: Smoking is bright on the left."""
    from conftest import make_dataset

    return make_dataset(tmp_path_factory.mktemp("dataset"), count=12, size=96)


@pytest.fixture(scope="module")
def crops(tmp_path_factory, samples):
    """A folder of 64 pictures: the samples, moved about and in other colours."""
    import numpy as np
    from PIL import Image

    from edge_app.imaging import find_pictures, read_pixels
    from train.recipe import read_recipe
    from train.views import change_look

    folder = tmp_path_factory.mktemp("crops") / "crops"
    folder.mkdir()
    rng = np.random.default_rng(0)
    recipe = read_recipe().views
    pictures = [read_pixels(path) for path in find_pictures(samples)]
    for number in range(64):
        shift = tuple(int(n) for n in rng.integers(-40, 40, 2))
        moved = np.roll(pictures[number % len(pictures)], shift, (0, 1))
        Image.fromarray(change_look(moved, recipe, rng)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    """A small network of the same parts as the student: training does not know the difference."""
    import keras

    from train.views import SIZE

    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(8, 7, strides=8),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.3),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model = keras.Model(model.inputs, model.outputs)
    file = tmp_path_factory.mktemp("start") / "start.keras"
    model.save(file)
    return file


@pytest.fixture
def tiny_disk(tmp_path):
    """A folder on a disk of its own of 16 kB."""
    from conftest import small_disk

    with small_disk(tmp_path / "disk", "16k") as folder:
        yield folder


@pytest.fixture
def device():
    """A camera in software."""
    from live_servers import FakeDevice

    camera = FakeDevice()
    yield camera
    camera.hanging.clear()
    camera.plugged = False


@pytest.fixture
def quick_retries(monkeypatch):
    """Shorter patience with cameras, so that the tests take no minutes."""
    from edge_app.live import sources

    monkeypatch.setattr(sources, "STALL_SECONDS", 0.4)
    monkeypatch.setattr(sources, "PAUSES", (0.05, 0.1, 0.2))


@pytest.fixture
def short_video(tmp_path, samples):
    """Two seconds of the astronaut at 12 frames a second."""
    from live_files import write_video

    return write_video(tmp_path / "video.avi", [samples / "astronaut.jpg"], seconds=2, fps=12)


@pytest.fixture
def broker(tmp_path):
    """Mosquitto."""
    from conftest import lacks

    if not (shutil.which("mosquitto") or os.path.exists("/usr/sbin/mosquitto")):
        lacks("needs the package mosquitto")
    from mqtt_broker import Broker

    server = Broker(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def listener(broker):
    from mqtt_broker import Listener

    client = Listener(broker.port)
    yield client
    client.close()


@pytest.fixture
def project(tmp_path):
    """A folder with the real ``run.py`` and packages that are made here."""
    from run_project import make_project

    return make_project(tmp_path / "project")


@pytest.fixture
def quick_venv(monkeypatch, tmp_path):
    """Environments that see this one's pip instead of a copy, which takes most of a set-up.

    All else is real: processes, locks, the installation by pip, and what a kill leaves behind.
    """
    from run_project import QUICK_VENV

    (tmp_path / "quick").mkdir()
    (tmp_path / "quick" / "venv.py").write_text(QUICK_VENV)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "quick"))


def write_training(folder: Path, start: Path) -> None:
    """Writes a set of red and blue pictures and a recipe that learns them in seconds."""
    import re

    from PIL import Image

    from train.recipe import SHIPPED

    for name, colour in (("Smoking", (200, 60, 60)), ("NotSmoking", (60, 60, 200))):
        (folder / "set" / name).mkdir(parents=True)
        for number in range(24):
            tone = tuple(c + number for c in colour)
            Image.new("RGB", (64, 64), tone).save(folder / "set" / name / f"{number}.png")
    text = SHIPPED.read_text()
    text = re.sub(r"\[start\].*?\n\n", "", text, flags=re.DOTALL)
    text = re.sub(r"^splits = .*\n", "", text, flags=re.MULTILINE)
    small = {"steps": 24, "batch": 8, "warmup": 1, "checkpoint": 12}
    for name, value in {**small, "learning_rate": 0.02}.items():
        text = re.sub(rf"^{name} = \S+", f"{name} = {value}", text, flags=re.MULTILINE)
    text = text.replace("ema = 0.99 ", "ema = 0.5 ")
    (folder / "small.toml").write_text(f'start = "{start}"\n{text}')
