"""The usual ways to classify a folder of pictures with the same model. Each returns its scores.

Every function takes paths, loads its library and model, warms up on the first picture, and returns
the seconds that the loop over all of them took, and P(Smoking) of each. An ImportError says that
its library is not installed.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from edge_app import Classifier
from edge_app.classifier import DEFAULT_MODEL
from edge_app.imaging import read_pixels
from edge_app.parallel import count_cores

KERAS_MODEL = DEFAULT_MODEL.with_name("smoking_mobilenetv2.keras")

Timed = tuple[float, list[float]]


def plain_loop(paths: Sequence[Path]) -> Timed:
    """Full decode with Pillow, one interpreter with one thread."""
    classifier = Classifier()

    def classify(path: Path) -> float:
        image = Image.open(path).convert("RGB")
        pixels = image.resize((224, 224), Image.Resampling.BILINEAR)
        return classifier.classify_pixels(np.asarray(pixels)).smoking

    return _timed(classify, paths)


def decode_and_infer(paths: Sequence[Path]) -> Timed:
    """The bound of one core: the app's decoding and one inference, nothing else."""
    classifier = Classifier()
    return _timed(lambda path: classifier.classify(path).smoking, paths)


def keras_predict(paths: Sequence[Path]) -> Timed:
    """`model.predict`, one picture at a time, on all cores, as in notebooks."""
    keras, network = _keras()

    def classify(path: Path) -> float:
        image = keras.utils.load_img(path, target_size=(224, 224))
        pixels = keras.utils.img_to_array(image)[None]
        return float(network.predict(pixels, verbose=0).ravel()[-1])

    return _timed(classify, paths)


def mediapipe_classifier(paths: Sequence[Path]) -> Timed:
    """MediaPipe's `ImageClassifier` with the shipped model, as its guide shows."""
    import mediapipe as mp
    from mediapipe.tasks import python
    from mediapipe.tasks.python import vision

    options = vision.ImageClassifierOptions(
        base_options=python.BaseOptions(model_asset_path=str(DEFAULT_MODEL))
    )
    with vision.ImageClassifier.create_from_options(options) as classifier:

        def classify(path: Path) -> float:
            found = classifier.classify(mp.Image.create_from_file(str(path)))
            categories = found.classifications[0].categories
            return next(c.score for c in categories if c.category_name == "Smoking")

        return _timed(classify, paths)


def openvino_float(paths: Sequence[Path]) -> Timed:
    """OpenVINO on the float model, throughput mode, the app's decoding, one thread per core."""
    import openvino

    _, network = _keras()
    with tempfile.TemporaryDirectory() as folder:
        network.export(folder, verbose=False)
        core = openvino.Core()
        compiled = core.compile_model(
            core.read_model(folder), "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"}
        )
    own = threading.local()

    def classify(path: Path) -> float:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        pixels = read_pixels(path)[None].astype(np.float32)
        return float(next(iter(own.request.infer([pixels]).values())).ravel()[-1])

    with ThreadPoolExecutor(count_cores()) as pool:
        list(pool.map(classify, paths[:4]))
        start = time.perf_counter()
        scores = list(pool.map(classify, paths))
        return time.perf_counter() - start, scores


def _keras() -> tuple[object, object]:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras

    return keras, keras.models.load_model(KERAS_MODEL, compile=False)


def _timed(classify: Callable[[Path], float], paths: Sequence[Path]) -> Timed:
    classify(paths[0])
    start = time.perf_counter()
    scores = [classify(path) for path in paths]
    return time.perf_counter() - start, scores
