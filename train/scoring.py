"""Scores of any model, ``.keras`` or ``.tflite``, with one look at a picture or several."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edge_app import Classifier, ModelError
from edge_app.imaging import Picture, PictureError, read_picture
from edge_app.looks import Looks, logit, regions, square
from train.data import Example

_CHUNK = 32
_logits = np.vectorize(logit, otypes=[np.float64])


@dataclass(frozen=True)
class Model:
    """A loaded model.

    Attributes:
        path: its file.
        size: side of its input in pixels.
        run: ``uint8[n, size, size, 3]``, RGB, to logits ``float64[n]`` and evidence maps
            ``float32[n, rows, columns]``, or None where the model has none.
    """

    path: Path
    size: int
    run: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]


def load_model(path: Path) -> Model:
    """Loads a model of either kind.

    A ``.keras`` model takes pixels from 0 to 255, so its preprocessing is inside its graph.

    Raises:
        edge_app.ModelError: the file cannot be used. The message is one line.
    """
    if path.suffix == ".tflite":
        return _load_tflite(path)
    if path.suffix in (".keras", ".h5"):
        return _load_keras(path)
    raise ModelError(f"{path}: expected a .keras, .h5 or .tflite file")


def _load_tflite(path: Path) -> Model:
    classifier = Classifier(path)

    def run(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        predictions = [classifier.classify_pixels(picture) for picture in pixels]
        maps = [p.evidence for p in predictions if p.evidence is not None]
        return _logits([p.smoking for p in predictions]), np.stack(maps) if maps else None

    return Model(path, classifier.info.size, run)


def _load_keras(path: Path) -> Model:
    import keras

    try:
        network = keras.models.load_model(path, compile=False)
        shape, classes = network.inputs[0].shape, network.outputs[0].shape[-1]
    except Exception as error:  # Keras raises whatever its readers and layers raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{path}: cannot be loaded ({reason})") from None
    if len(shape) != 4 or shape[1] is None or shape[1] != shape[2] or classes not in (1, 2):
        raise ModelError(
            f"{path}: expected an input [size, size, 3] and one or two scores, found "
            f"{list(shape[1:])} and {classes}"
        )
    pools = [x for x in network.layers if isinstance(x, keras.layers.GlobalAveragePooling2D)]
    head, kernel = network.layers[-1], None
    if pools and isinstance(head, keras.layers.Dense):
        kernel = head.get_weights()[0]
        kernel = kernel[:, -1] if classes == 1 else kernel[:, 1] - kernel[:, 0]
        if kernel.shape[0] == pools[-1].input.shape[-1]:
            network = keras.Model(network.inputs, [pools[-1].input, network.outputs[0]])
        else:
            kernel = None

    def run(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        outputs = network.predict_on_batch(pixels.astype(np.float32))
        if kernel is None:
            return _logits(np.asarray(outputs)[:, -1]), None
        features, scores = outputs
        return _logits(scores[:, -1]), features @ kernel

    return Model(path, shape[1], run)


@dataclass(frozen=True)
class Scores:
    """What a model says of pictures.

    Attributes:
        examples: those that could be read.
        logits: of the whole picture, then one column per further look, ``float64[n, looks]``; NaN
            where the picture has too few pixels.
        ms: mean time of one inference in milliseconds, of the model alone.
    """

    examples: list[Example]
    logits: np.ndarray
    ms: float


def score(
    model: Model,
    examples: Sequence[Example],
    sizes: Sequence[float] = (),
    upscale: float = 2.0,
    *,
    extra: bool = False,
    change: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Scores:
    """Classifies pictures with all looks, whatever the first one says, with a progress bar.

    Args:
        model: the model.
        examples: the pictures; those that cannot be read are named and left out.
        sizes: of the further looks, as `edge_app.looks.Looks` has them.
        upscale: how much they may be enlarged.
        extra: add two columns: 0.7 around the second-best separate peak, and the whole picture
            mirrored.
        change: of the whole picture's pixels, before it is classified.
    """
    readable: list[Example] = []
    rows: list[np.ndarray] = []
    spent, inferences = 0.0, 0

    def run(pixels: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        nonlocal spent, inferences
        began = time.perf_counter()
        result = model.run(np.stack(pixels))
        spent, inferences = spent + time.perf_counter() - began, inferences + len(pixels)
        return result

    with (
        ThreadPoolExecutor() as pool,
        tqdm(desc="Classifying", total=len(examples), unit="picture", disable=None) as bar,
    ):
        for start in range(0, len(examples), _CHUNK):
            chunk = examples[start : start + _CHUNK]
            read = pool.map(lambda e: _read(e, model.size), chunk)
            pairs = [(e, p) for e, p in zip(chunk, read, strict=True) if p is not None]
            bar.update(len(chunk))
            if not pairs:
                continue
            pictures = [picture for _, picture in pairs]
            wholes = [p.pixels if change is None else change(p.pixels) for p in pictures]
            first, evidence = run(wholes)
            columns = np.full((len(pairs), 1 + len(sizes) + 2 * extra), math.nan)
            columns[:, 0] = first
            if evidence is not None:
                cuts = _cuts(pictures, evidence, sizes, upscale, model.size, extra)
                if extra:
                    mirrored = [np.ascontiguousarray(whole[:, ::-1]) for whole in wholes]
                    cuts += [(i, len(sizes) + 2, pixels) for i, pixels in enumerate(mirrored)]
                for place in range(0, len(cuts), _CHUNK):
                    part = cuts[place : place + _CHUNK]
                    looked, _ = run([pixels for _, _, pixels in part])
                    for (row, column, _), value in zip(part, looked, strict=True):
                        columns[row, column] = value
            readable += [e for e, _ in pairs]
            rows.append(columns)
    logits = np.concatenate(rows) if rows else np.empty((0, 1 + len(sizes) + 2 * extra))
    return Scores(readable, logits, 1000 * spent / max(1, inferences))


def _read(example: Example, size: int) -> Picture | None:
    try:
        return read_picture(example.path, size)
    except PictureError as error:
        tqdm.write(f"{example.path}: {error}; left out")
        return None


def _cuts(
    pictures: Sequence[Picture],
    evidence: np.ndarray,
    sizes: Sequence[float],
    upscale: float,
    size: int,
    extra: bool,
) -> list[tuple[int, int, np.ndarray]]:
    """Row, column and pixels of each further look."""
    cuts = []
    for row, (picture, cells) in enumerate(zip(pictures, evidence, strict=True)):
        for column, share in enumerate(sizes, start=1):
            one = Looks((share,), 0.0, upscale)
            for box in regions(cells, picture.width, picture.height, one, size):
                cuts.append((row, column, picture.crop(box)))
        if extra:
            box = square(_second_peak(cells), 0.7, picture.width, picture.height)
            if (box[2] - box[0]) * upscale >= size:
                cuts.append((row, len(sizes) + 1, picture.crop(box)))
    return cuts


def _second_peak(cells: np.ndarray) -> tuple[float, float]:
    """The best cell that is at least three cells from the best, as x and y in [0, 1]."""
    rows, columns = cells.shape
    peak = np.unravel_index(int(np.argmax(cells)), cells.shape)
    y, x = np.mgrid[:rows, :columns]
    far = np.maximum(abs(y - peak[0]), abs(x - peak[1])) >= 3
    row, column = np.unravel_index(int(np.argmax(np.where(far, cells, -np.inf))), cells.shape)
    return (column + 0.5) / columns, (row + 0.5) / rows
