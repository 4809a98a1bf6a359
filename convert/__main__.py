"""The command ``python -m convert``."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import numpy as np
from tqdm import tqdm

from edge_app import Classifier, PictureError
from edge_app.decision import Decision, read_decision
from edge_app.files import whole_file
from edge_app.imaging import find_pictures, read_pixels
from edge_app.runtime import native_messages_to


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: python -m convert model.keras --calibration pictures --out model.tflite",
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--calibration",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    multiple=True,
    help="A folder of pictures of the kind that the model will meet; several times for several.",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="FILE.tflite"
)
@click.option(
    "--pictures",
    type=click.IntRange(16),
    default=200,
    show_default=True,
    help="Calibrate on so many pictures, and compare on as many others.",
)
@click.option(
    "--labels",
    default="NotSmoking,Smoking",
    show_default=True,
    help="The two classes, in the order of the model's output.",
)
@click.option(
    "--input-range",
    type=(float, float),
    metavar="BLACK WHITE",
    help="Values of a black and a white pixel that the model expects, where its preprocessing is "
    "outside its graph.  [default: -1 1]",
)
@click.option("--version", "model_version", default="1.0.0", show_default=True)
@click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the converter's own messages go.  [default: OUT.log, kept on failure only]",
)
def main(
    model: Path,
    calibration: tuple[Path, ...],
    out: Path,
    pictures: int,
    labels: str,
    input_range: tuple[float, float] | None,
    model_version: str,
    log: Path | None,
) -> None:
    """Converts a Keras classifier of two classes to a full-integer .tflite file.

    The file says of itself what it is (labels, normalization, threshold), and the command prints
    how far it is from the Keras model on real pictures.
    """
    names = tuple(label.strip() for label in labels.split(","))
    if len(names) != 2 or not all(names):
        raise click.BadParameter(f"expected two labels, got {labels!r}", param_hint="--labels")
    chosen = take_evenly([path for folder in calibration for path in find_pictures(folder)])
    if len(chosen) < 16:
        raise click.BadParameter(
            f"found {len(chosen)} pictures, expected at least 16", param_hint="--calibration"
        )

    log_file = log or out.with_suffix(".log")
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with native_messages_to(log_file):
        from convert.canonical import ConversionError, canonicalize, check_same, load_classifier
        from convert.metadata import add_metadata
        from convert.proof import compare
        from convert.quantize import to_int8

    try:
        with native_messages_to(log_file):
            canonical = canonicalize(load_classifier(model), input_range)
        for finding in canonical.findings:
            click.echo(f"  {finding}")
        count = min(pictures, len(chosen) // 2)
        calibrating = _read(chosen[:count], canonical.size)
        unseen = _read(chosen[count : 2 * count], canonical.size)
        with native_messages_to(log_file):
            difference = check_same(canonical, unseen[:32])
            click.echo(f"  the simplified graph says the same, to within {difference:.1e}")
            click.echo(f"Quantizing with {len(calibrating)} calibration pictures...")
            content = to_int8(canonical, calibrating)
    except ConversionError as error:
        raise click.ClickException(str(error)) from None

    decision = read_decision(str(model)) or Decision(label=names[1])
    content = add_metadata(
        content,
        name=canonical.original.name,
        version=model_version,
        description=f"Is the person in this picture smoking? Integer version of {model.name}.",
        labels=names,
        mean=-canonical.low * 255 / (canonical.high - canonical.low),
        std=255 / (canonical.high - canonical.low),
        decision=decision,
    )
    with whole_file(out) as partial:
        partial.write_bytes(content)

    click.echo(f"Wrote {out} ({len(content) / 1e6:.2f} MB). Against the Keras model:")
    classifier = Classifier(out)
    for name, part in (("calibration", calibrating), ("unseen", unseen)):
        scores = np.array([classifier.classify_pixels(picture).smoking for picture in part])
        with native_messages_to(log_file):
            result = compare(canonical.original_scores(part), scores, decision.threshold)
        click.echo(
            f"  {name:<12}{result.pictures:>4} pictures, {result.flips} other labels, "
            f"difference of P({decision.label}): mean {result.mean_difference:.4f}, "
            f"largest {result.max_difference:.4f}"
        )
    if log is None:
        log_file.unlink()


def take_evenly(paths: list[Path]) -> list[Path]:
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


def _read(paths: list[Path], size: int) -> np.ndarray:
    pixels = []
    for path in tqdm(paths, "Reading pictures", unit="picture", disable=None, leave=False):
        try:
            pixels.append(read_pixels(path, size))
        except PictureError as error:
            click.echo(f"{path}: {error}; left out", err=True)
    return np.stack(pixels)


if __name__ == "__main__":
    main()
