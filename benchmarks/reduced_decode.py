"""What decoding large JPEGs at a reduced scale does to the answers.

    python -m benchmarks.reduced_decode ../shared/data/smoker/Testing

Each picture is made large, written as a JPEG, and read in three ways: decoded in full, decoded at
the reduced scale that `edge_app.imaging` uses, and in full with a tenth of the model's input
moved by one grey level, which nobody can see: the noise that every camera and every other decoder
brings. Each is compared with the first.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from PIL import Image

from edge_app import Classifier
from edge_app.imaging import find_pictures, read_pixels

KERAS_MODEL = Path(__file__).parent.parent / "models" / "smoking_mobilenetv2.keras"


@dataclass(frozen=True)
class Moved:
    """How far P(Smoking) moves: the mean, the 99th percentile, the most; and how many labels."""

    mean: float
    percentile_99: float
    most: float
    other_label: int


@dataclass(frozen=True)
class Measured:
    """What the reduced scale does, and what noise does, to the float and to the int8 model."""

    keras: Moved
    keras_noise: Moved
    int8: Moved
    int8_noise: Moved


def measure(paths: Sequence[Path], side: int) -> Measured:
    """Measures on pictures that are stretched to ``side`` x ``side`` pixels."""
    import keras

    read = [_read_three_ways(path, side) for path in paths]
    full, reduced, noisy = (np.stack(pixels) for pixels in zip(*read, strict=True))
    classifier = Classifier()
    threshold = classifier.info.decision.threshold
    model = keras.models.load_model(KERAS_MODEL)

    def by_keras(pixels: np.ndarray) -> np.ndarray:
        return model.predict(pixels.astype(np.float32), batch_size=16, verbose=0)[:, -1]

    def by_int8(pixels: np.ndarray) -> np.ndarray:
        return np.array([classifier.classify_pixels(one).smoking for one in pixels])

    results = []
    for score in (by_keras, by_int8):
        wanted = score(full)
        results += [_moved(wanted, score(pixels), threshold) for pixels in (reduced, noisy)]
    return Measured(*results)


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
@click.option("--side", default=1792, show_default=True, help="Of the enlarged pictures, pixels.")
def main(folder: Path, side: int) -> None:
    """Prints how far reduced-scale decoding, and noise, move P(Smoking)."""
    paths = list(find_pictures(folder))
    measured = measure(paths, side)
    print(f"{len(paths)} pictures at {side} x {side} pixels")
    for name, moved in vars(measured).items():
        print(
            f"{name:<12} mean {moved.mean:.4f}, 99th percentile {moved.percentile_99:.4f}, "
            f"most {moved.most:.4f}, other label {moved.other_label}"
        )


if __name__ == "__main__":
    main()
