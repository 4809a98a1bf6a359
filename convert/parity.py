"""The parity check: how far converted files are from the model, on real pictures."""

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
from edge_app.files import whole_file

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
        labelled: how many have a known label, from the name of their folder.
        keras_accuracy: share of these that the first model labels right; None without any.
        accuracy: the same of the second.
    """

    pictures: int
    flips: int
    mean_difference: float
    max_difference: float
    labelled: int = 0
    keras_accuracy: float | None = None
    accuracy: float | None = None

    @property
    def is_enough(self) -> bool:
        """Whether the file still says the same."""
        return self.flips <= MOST_FLIPS * self.pictures and self.mean_difference <= MOST_DIFFERENCE


@dataclass(frozen=True)
class Part:
    """Pictures to compare on.

    Attributes:
        pixels: ``uint8[n, size, size, 3]``, RGB.
        keras_scores: P(positive) by the model as its author runs it, ``float[n]``.
        truth: whether each shows the positive label; None where its folder does not say.
    """

    pixels: np.ndarray
    keras_scores: np.ndarray
    truth: tuple[bool | None, ...]


@dataclass(frozen=True)
class FileParity:
    """What was measured of one file.

    Attributes:
        format: as ``int8``.
        size: in bytes.
        calibration: against the Keras model, on the pictures it was calibrated on.
        unseen: the same on as many others; the same object where nothing was calibrated.
        latency_ms: median time of one inference in milliseconds, by the number of threads.
    """

    format: str
    size: int
    calibration: Agreement
    unseen: Agreement
    latency_ms: dict[int, float]


def compare(
    keras_scores: np.ndarray,
    tflite_scores: np.ndarray,
    threshold: float,
    truth: Sequence[bool | None] = (),
) -> Agreement:
    """Compares P(Smoking) of two models over the same pictures.

    Args:
        keras_scores: ``float[n]``
        tflite_scores: ``float[n]``
        threshold: from which score on a picture is Smoking.
        truth: whether each is Smoking; None where that is not known.
    """
    difference = np.abs(keras_scores - tflite_scores)
    theirs, ours = keras_scores >= threshold, tflite_scores >= threshold
    known = [i for i, smoking in enumerate(truth) if smoking is not None]
    right = np.array([truth[i] for i in known], bool)
    return Agreement(
        pictures=len(difference),
        flips=int((theirs != ours).sum()),
        mean_difference=float(difference.mean()),
        max_difference=float(difference.max()),
        labelled=len(known),
        keras_accuracy=float((theirs[known] == right).mean()) if known else None,
        accuracy=float((ours[known] == right).mean()) if known else None,
    )


def check(format: str, file: Path, parts: Sequence[Part]) -> FileParity:
    """Measures a converted file.

    Args:
        format: of the file.
        file: the ``.tflite`` file.
        parts: the pictures of the calibration, and others; one where nothing is calibrated.
    """
    classifier = Classifier(file)
    agreements = []
    for part in parts:
        bar = tqdm(part.pixels, f"Checking {format}", unit="picture", disable=None, leave=False)
        scores = np.array([classifier.classify_pixels(picture).smoking for picture in bar])
        threshold = classifier.info.decision.threshold
        agreements.append(compare(part.keras_scores, scores, threshold, part.truth))
    latency = {threads: _latency_ms(file, parts[0].pixels[:20], threads) for threads in (1, 2)}
    return FileParity(format, file.stat().st_size, agreements[0], agreements[-1], latency)


def _latency_ms(file: Path, pixels: np.ndarray, threads: int) -> float:
    classifier = Classifier(file, threads=threads)
    classifier.classify_pixels(pixels[0])
    times = []
    for picture in pixels:
        start = time.perf_counter()
        classifier.classify_pixels(picture)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def to_table(parities: Sequence[FileParity]) -> str:
    """The results as a table, in Markdown that reads well as plain text."""
    header = (
        "| format  | MB   | pictures         | other label | mean diff. | largest "
        "| right, Keras | right  | ms, 1 thread | 2 threads |\n"
        "|---------|-----:|------------------|------------:|-----------:|--------:"
        "|-------------:|-------:|-------------:|----------:|\n"
    )
    rows = []
    for parity in parities:
        one, two = parity.latency_ms[1], parity.latency_ms[2]
        parts = {"calibration": parity.calibration, "held out": parity.unseen}
        if parity.calibration is parity.unseen:  # nothing was calibrated
            del parts["calibration"]
        for name, part in parts.items():
            rows.append(
                f"| {parity.format:<7} | {parity.size / 1e6:>4.2f} | {part.pictures:>4} {name:<11} "
                f"| {part.flips:>11} | {part.mean_difference:>10.4f} | {part.max_difference:>7.4f} "
                f"| {_percent(part.keras_accuracy):>12} | {_percent(part.accuracy):>6} "
                f"| {one:>12.1f} | {two:>9.1f} |\n"
            )
    return header + "".join(rows)


def write_report(path: Path, model: str, parities: Sequence[FileParity]) -> tuple[Path, Path]:
    """Writes the results as JSON and as Markdown.

    Args:
        path: where to, with or without the end ``.json`` or ``.md``.
        model: what was converted.
        parities: what was measured.

    Returns:
        The two files.
    """
    stem = path.with_suffix("") if path.suffix in (".json", ".md") else path
    data, text = (stem.with_name(stem.name + end) for end in (".json", ".md"))
    report = {"model": model, "files": [asdict(parity) for parity in parities]}
    with whole_file(data) as partial:
        partial.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    page = (
        f"# Parity check of {model}\n\nScores of the Keras model against those of each "
        "file, on the pictures that the conversion\nwas calibrated on and on others: how many get "
        "another label, mean and largest difference\nof the score, how many of those with a known "
        "label both get right, and the median time of\none inference.\n\n" + to_table(parities)
    )
    with whole_file(text) as partial:
        partial.write_text(page, encoding="utf-8")
    return data, text


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
