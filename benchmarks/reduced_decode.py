"""How far reduced-scale decoding of large JPEGs moves the scores.

    python -m benchmarks.reduced_decode ../shared/data/smoker/Testing

Each picture is made large, written as a JPEG, and read in three ways: decoded in full, decoded at
the reduced scale that `edge_app.imaging` uses, and in full with a tenth of the model's input
moved by one grey level: invisible noise, as from every camera and every other decoder. The
other two are compared with the first.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
from PIL import Image

from edge_app import Classifier
from edge_app.imaging import find_pictures, read_pixels

KERAS_MODEL = Path(__file__).parent.parent / "models" / "smoking_mobilenetv2.keras"

Pixels = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Moved:
    """Change of P(Smoking): mean, 99th percentile, maximum; and the number of changed labels."""

    mean: float
    percentile_99: float
    most: float
    other_label: int


def measure(
    score: Callable[[np.ndarray], np.ndarray], pixels: Pixels, threshold: float
) -> tuple[Moved, Moved]:
    """How far the reduced scale, and noise, move the scores of a model.

    Args:
        score: P(Smoking) ``float[n]`` of pixels ``uint8[n, 224, 224, 3]``.
        pixels: as `read_three_ways` gives them.
        threshold: P(Smoking) from which on the label is Smoking.
    """
    full, reduced, noisy = pixels
    wanted = score(full)
    return (
        _moved(wanted, score(reduced), threshold),
        _moved(wanted, score(noisy), threshold),
    )


def int8_scores(classifier: Classifier, pixels: np.ndarray) -> np.ndarray:
    """P(Smoking) of each picture."""
    return np.array([classifier.classify_pixels(one).smoking for one in pixels])


def read_three_ways(paths: Sequence[Path], side: int) -> Pixels:
    """Reads pictures in full, at the reduced scale, and with noise, after stretching them.

    Args:
        paths: the pictures.
        side: what they are stretched to, in pixels.
    """
    read = [_read_three_ways(path, side) for path in paths]
    full, reduced, noisy = (np.stack(pixels) for pixels in zip(*read, strict=True))
    return full, reduced, noisy


def _read_three_ways(path: Path, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    file = io.BytesIO()
    with Image.open(path) as image:
        large = image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
        large.save(file, "JPEG", quality=90)
    full = read_pixels(np.asarray(Image.open(file)))
    random = np.random.default_rng(0)
    noise = (random.random(full.shape) < 0.1) * random.choice([-1, 1], full.shape)
    noisy = (full.astype(int) + noise).clip(0, 255).astype(np.uint8)
    return full, read_pixels(file.getvalue()), noisy


def _moved(wanted: np.ndarray, scores: np.ndarray, threshold: float) -> Moved:
    moved = np.abs(scores - wanted)
    other = int(((scores >= threshold) != (wanted >= threshold)).sum())
    return Moved(moved.mean(), np.percentile(moved, 99), moved.max(), other)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--side", default=1792, show_default=True, help="Side of the enlarged pictures, in pixels."
)
def main(folder: Path, side: int) -> None:
    """Print how far reduced-scale decoding, and noise, move P(Smoking)."""
    import keras

    classifier = Classifier()
    model = keras.models.load_model(KERAS_MODEL)
    paths = list(find_pictures(folder))
    pixels = read_three_ways(paths, side)

    def keras_scores(pixels: np.ndarray) -> np.ndarray:
        return model.predict(pixels.astype(np.float32), batch_size=16, verbose=0)[:, -1]

    print(f"{len(paths)} pictures at {side} x {side} pixels")
    for name, score in (("int8", partial(int8_scores, classifier)), ("Keras", keras_scores)):
        measured = measure(score, pixels, classifier.info.decision.threshold)
        for cause, moved in zip(("reduced scale", "noise"), measured, strict=True):
            print(
                f"{name:<6} {cause:<14} mean {moved.mean:.4f}, "
                f"99th percentile {moved.percentile_99:.4f}, most {moved.most:.4f}, "
                f"other label {moved.other_label}"
            )


if __name__ == "__main__":
    main()
