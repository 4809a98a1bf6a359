"""The command ``python -m convert``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click

from convert.pictures import for_calibration
from edge_app.imaging import find_pictures
from edge_app.runtime import native_messages_to

FEWEST_PICTURES = 16
FORMATS = ("int8", "float16", "float32", "dynamic")


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: python3 run.py convert model.keras --calibration pictures --out model.tflite",
)
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--calibration",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    multiple=True,
    help="A folder of pictures of the kind that the model will meet; several times for several.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="FILE.tflite; for --format all, a folder.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["int8", "float16", "float32", "dynamic", "all"]),
    default="int8",
    show_default=True,
)
@click.option(
    "--explain",
    is_flag=True,
    help="Add an evidence map as a second output: how much each cell speaks for the label.",
)
@click.option(
    "--allow-loss", is_flag=True, help="Write an integer file that says something else, too."
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the proof as FILE.json and FILE.md.",
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
    help="A file for the converter's own messages.  [default: a temporary one]",
)
def main(
    model: Path,
    calibration: tuple[Path, ...],
    out: Path,
    form: str,
    explain: bool,
    allow_loss: bool,
    report: Path | None,
    pictures: int,
    labels: str,
    input_range: tuple[float, float] | None,
    model_version: str,
    log: Path | None,
) -> None:
    """Converts a Keras classifier of two classes (.keras, .h5) to .tflite files.

    A file says of itself what it is (labels, normalization, threshold), and the command proves on
    real pictures how far it is from the Keras model. An integer file that gives more than 1 % of
    them another label is not written.
    """
    names = tuple(label.strip() for label in labels.split(","))
    if len(names) != 2 or not all(names):
        raise click.BadParameter(f"expected two labels, got {labels!r}", param_hint="--labels")
    found = [path for folder in calibration for path in find_pictures(folder)]
    paths = for_calibration(found)
    if len(paths) < len(found):
        click.echo(f"{len(found) - len(paths)} pictures for testing left out of the calibration")
    if len(paths) < FEWEST_PICTURES:
        raise click.BadParameter(
            f"found {len(paths)} pictures, expected at least {FEWEST_PICTURES}",
            param_hint="--calibration",
        )
    if form == "all":
        if out.exists() and not out.is_dir():
            raise click.BadParameter(f"{out} is no folder", param_hint="--out")
        outputs = {name: out / f"{model.stem}_{name}.tflite" for name in FORMATS}
    elif out.suffix != ".tflite":
        raise click.BadParameter(f"{out} does not end in .tflite", param_hint="--out")
    else:
        outputs = {form: out}
    for path in outputs.values():
        path.parent.mkdir(parents=True, exist_ok=True)

    # What TensorFlow's native code writes to stderr alarms without a reason; it goes to a file.
    log_file = log or Path(tempfile.mkstemp(prefix="convert-", suffix=".log")[1])
    with native_messages_to(log_file):
        from convert.conversion import convert
        from convert.loading import ConversionError, QuantizationError
        from convert.proof import to_table, write_report

        try:
            result = convert(
                model,
                paths,
                outputs,
                labels=names,
                input_range=input_range,
                version=model_version,
                count=pictures,
                explain=explain,
                allow_loss=allow_loss,
                say=click.echo,
            )
        except ConversionError as error:
            failure = error
        else:
            failure = None
    if isinstance(failure, QuantizationError):
        raise click.ClickException(f"{failure} (its messages: {log_file})")
    if log is None:
        log_file.unlink()
    if failure:
        raise click.ClickException(str(failure))

    for path in result.files.values():
        click.echo(f"Wrote {path}")
    click.echo(f"P({result.label}) against that of the Keras model:\n\n{to_table(result.proofs)}")
    if report:
        data, text = write_report(report, model.name, result.proofs)
        click.echo(f"Wrote {data} and {text.name}.")


if __name__ == "__main__":
    main(prog_name="python3 run.py convert")
