"""Scores of any model, ``.keras`` or ``.tflite``, with one look at a picture or several."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_app import Classifier, ModelError
from edge_app.imaging import read_picture
from edge_app.looks import Looks, logit, regions
from edge_app.wording import first_line
from train.data import Example, read_pictures

_logits = np.vectorize(logit, otypes=[np.float64])


@dataclass(frozen=True)
class Model:
    """A loaded model: the side of its input in pixels, and how to run it.

    ``run`` takes ``uint8[n, size, size, 3]``, RGB, and gives logits ``float64[n]`` and evidence
    maps ``float32[n, rows, columns]``, or None where the model has none.
    """

    size: int
    run: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]


def load_model(path: Path) -> Model:
    """Loads a model of either kind.

    A ``.keras`` model takes pixels from 0 to 255, so its preprocessing is inside its graph.

    Raises:
        edge_app.ModelError: the file cannot be used. The message is one line.
    """
    if path.suffix in (".keras", ".h5"):
        return _load_keras(path)
    if path.suffix != ".tflite":
        raise ModelError(f"{path}: expected a .keras, .h5 or .tflite file")
    classifier = Classifier(path)

    def run(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        predictions = [classifier.classify_pixels(picture) for picture in pixels]
        maps = [p.evidence for p in predictions if p.evidence is not None]
        return _logits([p.smoking for p in predictions]), np.stack(maps) if maps else None

    return Model(classifier.info.size, run)


def _load_keras(path: Path) -> Model:
    import keras

    try:
        network = keras.models.load_model(path, compile=False)
        shape, classes = network.inputs[0].shape, network.outputs[0].shape[-1]
    except Exception as error:  # Keras raises whatever its readers and layers raise
        hint = f"Keras {keras.__version__} cannot load it; did a newer Keras write it?"
        raise ModelError(f"{path}: {hint} ({first_line(error)})") from None
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

    return Model(shape[1], run)


def score(
    model: Model,
    examples: Sequence[Example],
    sizes: Sequence[float] = (),
    upscale: float = 2.0,
    change: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels,
) -> tuple[list[Example], np.ndarray]:
    """Classifies pictures with all looks, whatever the first one says, with a progress bar.

    Args:
        model: the model.
        examples: the pictures; those that cannot be read are named and left out.
        sizes, upscale: of the further looks, as `edge_app.looks.Looks` has them.
        change: of the whole picture's pixels, before it is classified.

    Returns:
        The examples that could be read, and logits ``float64[n, 1 + len(sizes)]``: of the whole
        picture, then of each further look; NaN where the picture has too few pixels.
    """
    readable, rows = [], [np.empty((0, 1 + len(sizes)))]
    pairs = read_pictures(examples, lambda path: read_picture(path, model.size))
    while chunk := list(itertools.islice(pairs, 32)):
        columns = np.full((len(chunk), 1 + len(sizes)), np.nan)
        pixels = np.stack([change(picture.pixels) for _, picture in chunk])
        columns[:, 0], evidence = model.run(pixels)
        for column, size in enumerate(sizes if evidence is not None else (), start=1):
            look, crops = Looks((size,), 0.0, upscale), {}
            for row, (_, picture) in enumerate(chunk):
                boxes = regions(evidence[row], picture.width, picture.height, look, model.size)
                crops.update((row, picture.crop(box)) for box in boxes)
            if crops:
                columns[list(crops), column], _ = model.run(np.stack(list(crops.values())))
        readable += [e for e, _ in chunk]
        rows.append(columns)
    return readable, np.concatenate(rows)
