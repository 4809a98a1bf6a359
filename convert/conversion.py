"""The whole conversion: load, simplify, quantize, correct, describe, prove."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from convert.canonical import CanonicalModel, canonicalize, check_same
from convert.head import append_head
from convert.layers import correct_biases, layer_errors
from convert.loading import ConversionError, load_classifier
from convert.metadata import add_metadata
from convert.pictures import shows_label, take_evenly
from convert.proof import MOST_DIFFERENCE, MOST_FLIPS, FileProof, Part, prove
from convert.quantize import to_tflite
from convert.ranges import set_ranges
from convert.rounding import round_alike
from edge_app import PictureError
from edge_app.decision import Decision, read_decision
from edge_app.files import whole_file
from edge_app.imaging import read_pixels

LABELS = ("NotSmoking", "Smoking")
RANGE_PICTURES = 48
BIAS_PICTURES = 96


@dataclass(frozen=True)
class Conversion:
    """What came of a conversion.

    Attributes:
        label: the label that is looked for.
        files: the files that were written, by format.
        proofs: what was measured of each.
    """

    label: str
    files: dict[str, Path]
    proofs: tuple[FileProof, ...]


def convert(
    model: Path,
    pictures: Sequence[Path],
    outputs: dict[str, Path],
    *,
    labels: tuple[str, str] = LABELS,
    input_range: tuple[float, float] | None = None,
    version: str = "1.0.0",
    count: int = 200,
    explain: bool = False,
    allow_loss: bool = False,
    say: Callable[[str], None] = print,
) -> Conversion:
    """Converts a Keras classifier of two classes to ``.tflite`` files and proves them.

    Args:
        model: a ``.keras`` or a legacy ``.h5`` file.
        pictures: of the kind that the model will meet; calibration takes evenly from their folders.
        outputs: the files to write, by format (`convert.quantize.FORMATS`). All of them appear
            whole, or none does.
        labels: the two classes, in the order of the model's output.
        input_range: values of a black and a white pixel that the model expects, where its
            preprocessing is outside its graph; None for [-1, 1].
        version: of the model, for its metadata.
        count: calibrate on so many pictures, and compare on as many others.
        explain: whether to add an evidence map as a second output.
        allow_loss: whether to write an integer file that is too far from the Keras model.
        say: takes a line for the user.

    Raises:
        ConversionError: the model is missing or of a kind that is not converted, or the integer
            file says something else than the model.
    """
    loaded = load_classifier(model)
    try:
        canonical = canonicalize(loaded, input_range)
    except ConversionError as error:
        raise ConversionError(f"{model}: {error}") from error
    for finding in canonical.findings:
        say(f"  {finding}")
    if explain and canonical.feature_map is None:
        raise ConversionError(
            f"{model}: an evidence map needs global average pooling right before the last dense "
            "layer, so that each cell's share of the score can be told; convert without --explain"
        )
    decision = _decision_for(model, labels)
    parts = read_parts(canonical, pictures, count, labels, decision.label)
    calibrating = parts[0].pixels
    difference = check_same(canonical, parts[1].pixels[:32])
    say(f"  the simplified graph says the same, to within {difference:.1e}")

    proofs = []
    question = f"{labels[0]} or {labels[1]}?"
    if labels == LABELS:
        question = "Is the person in this picture smoking?"
    with contextlib.ExitStack() as files:
        for form, out in outputs.items():
            say(f"Converting to {form}...")
            network = _network(canonical, form, calibrating)
            partial = files.enter_context(whole_file(out))

            def write(note: str, form=form, network=network, partial=partial) -> None:
                content = add_metadata(
                    append_head(network, canonical.head, explain),
                    name=canonical.original.name,
                    version=version,
                    description=f"{question} {form} version of {model.name}.{note}",
                    labels=labels,
                    mean=-canonical.low * 255 / (canonical.high - canonical.low),
                    std=255 / (canonical.high - canonical.low),
                    decision=decision,
                    explain=explain,
                )
                partial.write_bytes(content)

            write("")
            proof = prove(form, partial, parts)
            proofs.append(proof)
            if form == "int8" and not proof.unseen.is_enough:
                loss = _describe_loss(canonical, network, proof, calibrating)
                if not allow_loss:
                    raise ConversionError(f"{model}: {loss}")
                say(f"  written all the same: {loss}")
                write(f" Lossy: {proof.unseen.flips} of {proof.unseen.pictures} labels differ.")
    return Conversion(decision.label, dict(outputs), tuple(proofs))


def read_parts(
    canonical: CanonicalModel,
    pictures: Sequence[Path],
    count: int,
    labels: tuple[str, str],
    wanted: str,
) -> tuple[Part, Part]:
    """Reads the pictures to calibrate on and as many others, and asks the Keras model.

    Args:
        canonical: the model.
        pictures: to take evenly from; the same are taken on every run.
        count: how many of each; at most half of the pictures.
        labels: the two classes, in the order of the model's output.
        wanted: the one that is looked for.
    """
    order = take_evenly(pictures, wanted)
    count = min(count, len(order) // 2)
    parts = []
    for paths in (order[:count], order[count : 2 * count]):
        read, pixels = _read(paths, canonical.size)
        scores = canonical.original_scores(pixels)  # of the second label
        truth = tuple(shows_label(path, labels, wanted) for path in read)
        parts.append(Part(pixels, 1 - scores if wanted == labels[0] else scores, truth))
    return parts[0], parts[1]


def _network(canonical: CanonicalModel, form: str, calibrating: np.ndarray) -> bytes:
    """All but the last dense layer, in a format; the integers' systematic errors corrected."""
    if form != "int8":
        return to_tflite(canonical, form)
    ranging = calibrating[:RANGE_PICTURES]
    original = to_tflite(canonical, "float32")
    integer = to_tflite(canonical, form, ranging)
    integer = set_ranges(integer, original, canonical.to_input(ranging))
    integer = round_alike(integer, original)
    return correct_biases(
        integer, original, calibrating[:BIAS_PICTURES], canonical.low, canonical.high
    )


def _describe_loss(
    canonical: CanonicalModel,
    network: bytes,
    proof: FileProof,
    calibrating: np.ndarray,
) -> str:
    original = to_tflite(canonical, "float32")
    errors = layer_errors(network, original, calibrating[:8], canonical.low, canonical.high)
    worst = sorted(errors, key=lambda layer: -layer.error)[:5]
    unseen = proof.unseen
    return (
        f"the int8 file says something else: {unseen.flips} of {unseen.pictures} unseen pictures "
        f"get another label (at most {MOST_FLIPS:.0%} may), mean difference "
        f"{unseen.mean_difference:.4f} (at most {MOST_DIFFERENCE:g}). Most is lost in "
        + ", ".join(f"{layer.name} ({layer.error:.0%})" for layer in worst)
        + ". Try calibration pictures that are more like those it will meet, of both classes "
        "alike, or more of them; --format float16 loses next to nothing; --allow-loss writes "
        "it all the same."
    )


def _decision_for(model: Path, labels: tuple[str, str]) -> Decision:
    """The model's own decision, for the label as it is called now."""
    decision = read_decision(str(model)) or Decision()
    if decision.label in labels:
        return decision
    return dataclasses.replace(decision, label=labels[1])


def _read(paths: Sequence[Path], size: int) -> tuple[list[Path], np.ndarray]:
    """The pictures that can be read, and their pixels."""
    read, pixels = [], []
    bar = tqdm(paths, "Reading pictures", unit="picture", disable=None, file=sys.stdout)
    for path in bar:
        try:
            pixels.append(read_pixels(path, size))
            read.append(path)
        except PictureError as error:
            tqdm.write(f"{path}: {error}; left out")
    if not pixels:
        raise ConversionError(f"none of the {len(paths)} calibration pictures can be read")
    return read, np.stack(pixels)
