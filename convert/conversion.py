"""The whole conversion: load, simplify, quantize, describe, compare."""

from __future__ import annotations

import dataclasses
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from convert.canonical import ConversionError, canonicalize, check_same, load_classifier
from convert.metadata import add_metadata
from convert.proof import Agreement, compare
from convert.quantize import to_int8
from edge_app import Classifier, PictureError
from edge_app.decision import Decision, read_decision
from edge_app.files import whole_file
from edge_app.imaging import read_pixels

LABELS = ("NotSmoking", "Smoking")


@dataclass(frozen=True)
class Conversion:
    """What came of a conversion.

    Attributes:
        size: of the file, in bytes.
        label: the label that is looked for.
        calibration: how far the file is from the Keras model on the pictures it was calibrated on.
        unseen: the same on as many others.
    """

    size: int
    label: str
    calibration: Agreement
    unseen: Agreement


def convert(
    model: Path,
    pictures: Sequence[Path],
    out: Path,
    *,
    labels: tuple[str, str] = LABELS,
    input_range: tuple[float, float] | None = None,
    version: str = "1.0.0",
    count: int = 200,
    say: Callable[[str], None] = print,
) -> Conversion:
    """Converts a Keras classifier of two classes to an integer ``.tflite`` file.

    Args:
        model: a ``.keras`` file.
        pictures: of the kind that the model will meet; calibration takes evenly from their folders.
        out: the file to write, whole or not at all.
        labels: the two classes, in the order of the model's output.
        input_range: values of a black and a white pixel that the model expects, where its
            preprocessing is outside its graph; None for [-1, 1].
        version: of the model, for its metadata.
        count: calibrate on so many pictures, and compare on as many others.
        say: takes a line for the user.

    Raises:
        ConversionError: the model is missing or of a kind that is not converted.
    """
    canonical = canonicalize(load_classifier(model), input_range)
    for finding in canonical.findings:
        say(f"  {finding}")
    order = take_evenly(pictures)
    count = min(count, len(order) // 2)
    calibrating = _read(order[:count], canonical.size)
    unseen = _read(order[count : 2 * count], canonical.size)
    say(f"  the simplified graph says the same, to within {check_same(canonical, unseen[:32]):.1e}")

    say(f"Quantizing with {len(calibrating)} calibration pictures...")
    decision = _decision_for(model, labels)
    content = add_metadata(
        to_int8(canonical, calibrating),
        name=canonical.original.name,
        version=version,
        description=f"Is the person in this picture smoking? Integer version of {model.name}.",
        labels=labels,
        mean=-canonical.low * 255 / (canonical.high - canonical.low),
        std=255 / (canonical.high - canonical.low),
        decision=decision,
    )
    with whole_file(out) as partial:
        partial.write_bytes(content)
        classifier = Classifier(partial)
        agreements = []
        for part in (calibrating, unseen):
            expected = canonical.original_scores(part)  # of the second label
            if decision.label == labels[0]:
                expected = 1 - expected
            scores = [classifier.classify_pixels(picture).smoking for picture in part]
            agreements.append(compare(expected, np.array(scores), decision.threshold))
    return Conversion(len(content), decision.label, *agreements)


def _decision_for(model: Path, labels: tuple[str, str]) -> Decision:
    """The model's own decision, for the label as it is called now."""
    decision = read_decision(str(model)) or Decision()
    if decision.label in labels:
        return decision
    return dataclasses.replace(decision, label=labels[1])


def take_evenly(paths: Sequence[Path]) -> list[Path]:
    """Puts pictures in an order of which every stretch is drawn evenly from all folders.

    A class that calibration never sees is a class whose scores the integers cannot reach.
    The order is the same on every run.
    """
    folders = defaultdict(list)
    for path in paths:
        folders[path.parent].append(path)
    rng = random.Random(0)
    for names in folders.values():
        rng.shuffle(names)
    rounds = range(max((len(names) for names in folders.values()), default=0))
    return [names[turn] for turn in rounds for names in folders.values() if turn < len(names)]


def _read(paths: Sequence[Path], size: int) -> np.ndarray:
    pixels = []
    bar = tqdm(paths, "Reading pictures", unit="picture", disable=None, file=sys.stdout)
    for path in bar:
        try:
            pixels.append(read_pixels(path, size))
        except PictureError as error:
            tqdm.write(f"{path}: {error}; left out")
    if not pixels:
        raise ConversionError(f"none of the {len(paths)} calibration pictures can be read")
    return np.stack(pixels)
