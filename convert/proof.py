"""How far converted files are from the Keras model, on real pictures, and what they cost."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edge_app import Classifier

MOST_FLIPS = 0.01
"""An integer file that gives more than this share of the pictures another label is not written."""
MOST_DIFFERENCE = 0.02
"""Nor one whose mean difference of the score is larger than this."""


@dataclass(frozen=True)
class Agreement:
    """The difference between two models' scores.

    Attributes:
        pictures: how many were compared.
        flips: how many got another label.
        mean_difference: mean of \\|p - q\\|.
        max_difference: largest \\|p - q\\|.
    """

    pictures: int
    flips: int
    mean_difference: float
    max_difference: float

    @property
    def is_enough(self) -> bool:
        """Whether the file still says the same."""
        return self.flips <= MOST_FLIPS * self.pictures and self.mean_difference <= MOST_DIFFERENCE


@dataclass(frozen=True)
class FileProof:
    """What was measured of one file.

    Attributes:
        format: as ``int8``.
        size: in bytes.
        calibration: against the Keras model, on the pictures it was calibrated on.
        unseen: the same on as many others.
        latency_ms: median time of one inference in milliseconds, by the number of threads.
    """

    format: str
    size: int
    calibration: Agreement
    unseen: Agreement
    latency_ms: dict[int, float]


def compare(keras_scores: np.ndarray, tflite_scores: np.ndarray, threshold: float) -> Agreement:
    """Compares P(Smoking) of two models over the same pictures.

    Args:
        keras_scores: ``float[n]``
        tflite_scores: ``float[n]``
        threshold: from which score on a picture is Smoking.
    """
    difference = np.abs(keras_scores - tflite_scores)
    flips = (keras_scores >= threshold) != (tflite_scores >= threshold)
    return Agreement(
        pictures=len(difference),
        flips=int(flips.sum()),
        mean_difference=float(difference.mean()),
        max_difference=float(difference.max()),
    )


def prove(
    form: str,
    file: Path,
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
) -> FileProof:
    """Measures a converted file.

    Args:
        form: its format.
        file: the ``.tflite`` file.
        parts: two sets of pictures ``uint8[n, size, size, 3]``, each with what the Keras model
            says of them, ``float[n]``: those of the calibration, and others.
    """
    classifier = Classifier(file)
    agreements = []
    for pixels, expected in parts:
        bar = tqdm(pixels, f"Proving {form}", unit="picture", disable=None, leave=False)
        scores = np.array([classifier.classify_pixels(picture).smoking for picture in bar])
        agreements.append(compare(expected, scores, classifier.info.decision.threshold))
    latency = {threads: _latency_ms(file, parts[0][0][:20], threads) for threads in (1, 2)}
    return FileProof(form, file.stat().st_size, *agreements, latency)


def _latency_ms(file: Path, pixels: np.ndarray, threads: int) -> float:
    classifier = Classifier(file, threads=threads)
    classifier.classify_pixels(pixels[0])
    times = []
    for picture in pixels:
        start = time.perf_counter()
        classifier.classify_pixels(picture)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def to_table(proofs: Sequence[FileProof]) -> str:
    """The proofs as a table, in Markdown that reads well as plain text."""
    header = (
        "| format  | size, MB | pictures      | count | other label | mean diff. | largest "
        "| ms, 1 thread | ms, 2 threads |\n"
        "|---------|---------:|---------------|------:|------------:|-----------:|--------:"
        "|-------------:|--------------:|\n"
    )
    rows = []
    for proof in proofs:
        one, two = proof.latency_ms[1], proof.latency_ms[2]
        for name, part in (("calibration", proof.calibration), ("unseen", proof.unseen)):
            rows.append(
                f"| {proof.format:<7} | {proof.size / 1e6:>8.2f} | {name:<13} | {part.pictures:>5} "
                f"| {part.flips:>11} | {part.mean_difference:>10.4f} | {part.max_difference:>7.4f} "
                f"| {one:>12.1f} | {two:>13.1f} |\n"
            )
    return header + "".join(rows)


def write_report(path: Path, model: str, proofs: Sequence[FileProof]) -> None:
    """Writes the proofs as ``path`` (JSON) and beside it as Markdown."""
    report = {"model": model, "files": [asdict(proof) for proof in proofs]}
    path.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")
    path.with_suffix(".md").write_text(
        f"# Proof of the conversion of {model}\n\nScores of the Keras model against those of each "
        "file, on the pictures that the conversion\nwas calibrated on and on as many others; "
        "median latency of one inference.\n\n" + to_table(proofs)
    )
