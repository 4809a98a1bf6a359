"""The whole conversion: load, find out input and classes, quantize, describe, check."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from convert.classes import Classes, tell_classes
from convert.containers import Found
from convert.errors import ConversionError, QuantizationError
from convert.head import append_head
from convert.inputs import tell_input
from convert.layers import layer_errors
from convert.loading import load_found
from convert.metadata import add_metadata
from convert.network import Network, as_raw, quantized, split
from convert.order import accuracy_warning
from convert.parity import MOST_DIFFERENCE, MOST_FLIPS, FileParity, Part, check
from convert.pictures import take_evenly
from convert.source import Source
from edge_app import PictureError
from edge_app.decision import Decision, read_decision
from edge_app.files import whole_file
from edge_app.imaging import read_pixels
from edge_app.preprocessing import Preprocessing


@dataclass(frozen=True)
class Conversion:
    """What came of a conversion.

    Attributes:
        label: the label that is looked for.
        files: the files that were written, by format.
        parities: what was measured of each.
        loss: why a float16 file was written instead of an int8 one, which loses too much or cannot
            be made; empty where it was not.
    """

    label: str
    files: dict[str, Path]
    parities: tuple[FileParity, ...]
    loss: str = ""


@dataclass(frozen=True)
class Options:
    """What the user states about a model.

    Attributes:
        labels: in the order of the outputs; None for the model's own.
        positive: the label that is looked for; None for the one that says smoking.
        preprocessing: what the author does to pixels; None to find out.
        version: of the model, for its metadata.
        count: number of pictures to calibrate on; as many others are compared.
        explain: whether to add an evidence map; None for wherever the head allows it.
        allow_loss: whether to write an int8 file that is too far from the model.
    """

    labels: Sequence[str] | None = None
    positive: str | None = None
    preprocessing: Preprocessing | None = None
    version: str = "1.0.0"
    count: int = 200
    explain: bool | None = None
    allow_loss: bool = False


@dataclass(frozen=True)
class Model:
    """A model of which everything is known that a conversion needs.

    Attributes:
        source: the model.
        classes: what its outputs are.
        decision: which label is looked for, from which score on.
        network: the model in two parts.
        parts: pictures to calibrate on, and as many others.
    """

    source: Source
    classes: Classes
    decision: Decision
    network: Network
    parts: tuple[Part, Part]


def convert(
    found: Found,
    pictures: Sequence[Path],
    outputs: dict[str, Path],
    options: Options,
    say: Callable[[str], None] = print,
) -> Conversion:
    """Converts an image classifier to ``.tflite`` files and compares them with it.

    Args:
        found: the model on the disk.
        pictures: of the kind that the model will meet; calibration takes evenly from their folders.
        outputs: the files to write, by format (`convert.quantize.FORMATS`). All of them appear
            whole, or none does.
        options: what the user states about the model.
        say: takes a line for the user.

    Raises:
        ConversionError: the model is missing or of a kind that is not converted, or the integer
            file says something else than the model.
    """
    model = prepare(found, pictures, options, say)
    explain = model.network.spatial if options.explain is None else options.explain
    if explain and not model.network.spatial:
        raise ConversionError(
            f"{found.given}: an evidence map needs global average pooling right before the last "
            "dense layer, so that each cell's share of the score can be told; convert without "
            "--explain"
        )
    parities, loss = [], ""
    with contextlib.ExitStack() as files:
        for format, out in outputs.items():
            say(f"Converting to {format}...")
            partial = files.enter_context(whole_file(out))
            loss_here = ""
            try:
                parity, loss_here = _write(model, format, partial, explain, options, say)
                unusable = bool(loss_here) and not options.allow_loss
            except QuantizationError as error:
                if format != "int8":
                    raise QuantizationError(f"{found.given}: {error}") from error
                loss_here, unusable = str(error), True
            if unusable:
                if len(outputs) > 1:
                    raise ConversionError(f"{found.given}: {loss_here}")
                say("Converting to float16 instead...")
                loss = loss_here
                parity, _ = _write(model, "float16", partial, explain, options, say)
            parities.append(parity)
    return Conversion(model.classes.positive, dict(outputs), tuple(parities), loss)


def prepare(
    found: Found,
    pictures: Sequence[Path],
    options: Options,
    say: Callable[[str], None] = print,
) -> Model:
    """Loads a model and finds out all that a conversion needs; arguments as in `convert`."""
    source = load_found(found)
    for finding in source.findings:
        say(f"  {finding}")
    raw = as_raw(source)
    decision = _read_decision(found)
    classes, assumed = tell_classes(source, raw, options.labels, options.positive, decision)
    order = take_evenly(pictures, classes.positive)
    count = min(options.count, len(order) // 2)
    halves = [
        read_pictures(paths, source.size) for paths in (order[:count], order[count : 2 * count])
    ]
    labels = [[classes.label_of(path) for path in read] for read, _ in halves]
    both = [*labels[0], *labels[1]]
    every = np.concatenate([pixels for _, pixels in halves])
    taken = tell_input(source, classes, options.preprocessing, every, both, say)
    parts, answers = [], []
    for (_, pixels), known in zip(halves, labels, strict=True):
        made = source.predict(taken.preprocessing.apply(pixels))
        scores = classes.scores(made)
        answers.append(classes.likelihoods(made).argmax(1))
        truth = tuple(None if label is None else label == classes.index for label in known)
        parts.append(Part(pixels, scores, truth))
    few = parts[1].pixels[:32], parts[1].keras_scores[:32]
    network = split(source, classes, taken.preprocessing, taken.inside, raw, *few)
    for finding in (*assumed, taken.finding, *network.findings):
        say(f"  {finding}")
    if warning := accuracy_warning(source.kind, classes, np.concatenate(answers), both):
        say(f"Warning: {warning}")
    decision = _decision_for(decision, classes)
    return Model(source, classes, decision, network, (parts[0], parts[1]))


def _write(
    model: Model,
    format: str,
    partial: Path,
    explain: bool,
    options: Options,
    say: Callable[[str], None],
) -> tuple[FileParity, str]:
    """Writes a file; returns what was measured, and why an int8 file loses too much, or ""."""
    network = _made(model, format, say)
    content = append_head(network, model.network.head, explain)
    partial.write_bytes(_described(model, content, format, explain, options.version))
    parity = check(format, partial, model.parts)
    if format != "int8" or parity.unseen.is_enough:
        return parity, ""
    loss = _describe_loss(model, network, parity)
    if options.allow_loss:
        say(f"  written nevertheless: {loss}")
        note = f" Lossy: {parity.unseen.flips} of {parity.unseen.pictures} labels differ."
        partial.write_bytes(_described(model, content, format, explain, options.version, note))
    return parity, loss


def _made(model: Model, format: str, say: Callable[[str], None]) -> bytes:
    if format == "int8":
        return quantized(model.network, model.parts[0].pixels, say)
    return model.network.make(format, None)


def _described(
    model: Model, content: bytes, format: str, explain: bool, version: str, note: str = ""
) -> bytes:
    low, high = model.network.limits
    pair, labels = model.classes.pair, model.classes.labels
    question = f"{pair[0]} or {pair[1]}?"
    if pair == ("NotSmoking", "Smoking"):
        question = "Is the person in this picture smoking?"
    return add_metadata(
        content,
        name=model.source.name,
        version=version,
        description=f"{question} {format} version of {model.source.path.name}.{note}",
        labels=pair,
        mean=-low * 255 / (high - low) + 0.0,  # which takes the sign off a zero
        std=255 / (high - low),
        decision=model.decision,
        explain=explain,
        classes=labels if len(labels) > 2 else (),
    )


def _describe_loss(model: Model, network: bytes, parity: FileParity) -> str:
    unseen, most = parity.unseen, ""
    with contextlib.suppress(Exception):  # graphs that cannot be compared layer by layer
        original = model.network.make("float32", None)
        errors = layer_errors(network, original, model.parts[0].pixels[:8], *model.network.limits)
        worst = sorted(errors, key=lambda layer: -layer.error)[:5]
        most = " Most is lost in " + ", ".join(f"{e.name} ({e.error:.0%})" for e in worst) + "."
    return (
        f"int8 changes the answers: {unseen.flips} of {unseen.pictures} held-out pictures "
        f"get another label (at most {MOST_FLIPS:.0%} may), mean difference "
        f"{unseen.mean_difference:.4f} (at most {MOST_DIFFERENCE:g}).{most} Try calibration "
        "pictures that are more like those it will meet, of both classes alike, or more of them; "
        "--format float16 loses next to nothing; --allow-loss writes the int8 file nevertheless."
    )


def _decision_for(decision: Decision | None, classes: Classes) -> Decision:
    """The model's own decision, for the label as it is called now."""
    if decision is None or (
        decision.label in classes.labels and decision.label != classes.positive
    ):
        return Decision(label=classes.positive)  # a threshold for another label
    return dataclasses.replace(decision, label=classes.positive)


def _read_decision(found: Found) -> Decision | None:
    if found.kind != "keras":
        return None
    try:
        return read_decision(str(found.file))
    except ValueError as error:
        raise ConversionError(f"{found.given}: {error}") from None


def read_pictures(paths: Sequence[Path], size: int) -> tuple[list[Path], np.ndarray]:
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
