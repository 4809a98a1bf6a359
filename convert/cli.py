"""The command ``python -m convert``."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click

from convert.pictures import for_calibration
from edge_app.cli.ending import Ending, NotWrittenError
from edge_app.cli.options import foreign_options
from edge_app.files import printable, remove_leftovers
from edge_app.imaging import find_pictures
from edge_app.invocation import VARIABLE
from edge_app.preprocessing import choose
from edge_app.runtime import native_messages_to

FEWEST_PICTURES = 16
FORMATS = ("int8", "float16", "float32", "dynamic")
LOSS = 1
"""Exit code where a float16 file was written because int8 loses too much or cannot be made."""

COMMAND = f"{os.environ.get(VARIABLE, 'python3 run.py')} convert"
"""As the user starts it: the installed app has no `convert`."""

EXAMPLES = f"""\b
Examples:
  {COMMAND} model.keras --calibration pictures --out model.tflite
  {COMMAND} converted_keras.zip --calibration pictures --positive Mask --out mask.tflite
  {COMMAND} model.h5 --calibration pictures --labels no,yes --positive yes --out yes.tflite
"""


@click.command(
    cls=Ending, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXAMPLES
)
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--calibration",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    help="Calibrate on the pictures in this folder, of the kind that the model will see; in "
    "folders named like the labels they also tell the input range and the accuracy. Repeatable.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Write to FILE.tflite; with --format all, into a folder.",
)
@click.option(
    "--format",
    "format",
    type=click.Choice([*FORMATS, "all"]),
    default="int8",
    show_default=True,
    help="Choose how weights are stored; int8 also computes in integers.",
)
@foreign_options
@click.option(
    "--explain/--no-explain",
    default=None,
    help="Add an evidence map as a second output: how much each cell speaks for the label.  "
    "[default: where the model allows it]",
)
@click.option("--allow-loss", is_flag=True, help="Write an int8 file that fails the parity check.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the parity check as FILE.json and FILE.md.",
)
@click.option(
    "--pictures",
    type=click.IntRange(FEWEST_PICTURES),
    default=200,
    show_default=True,
    help="Calibrate on at most this many pictures, and compare on as many others.",
)
@click.option(
    "--version", "model_version", default="1.0.0", show_default=True, help="Set its version."
)
@click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the converter's own messages to this file.",
)
def main(
    model: Path,
    calibration: tuple[Path, ...],
    out: Path,
    format: str,
    labels: tuple[str, ...] | None,
    positive: str | None,
    input_range: tuple[float, float] | None,
    preprocess: str | None,
    explain: bool | None,
    allow_loss: bool,
    report: Path | None,
    pictures: int,
    model_version: str,
    log: Path | None,
) -> None:
    """Convert an image classifier to a .tflite file that describes itself.

    MODEL is a .keras, .h5 or .hdf5 file of Keras 2 or 3, a SavedModel folder, a .tflite file, or
    what Teachable Machine exports (ZIP or folder).

    The parity check compares the file with the model on real pictures. Where int8 changes more
    than 1 % of the labels, or cannot be made, a float16 file is written instead and the exit code
    is 1.
    """
    try:
        preprocessing = choose(input_range, preprocess)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    outputs = _outputs(model, out, format)
    found_pictures = [path for folder in calibration for path in find_pictures(folder)]
    paths = for_calibration(found_pictures)
    if len(paths) < len(found_pictures):
        click.echo(f"{len(found_pictures) - len(paths)} test pictures are not used")

    failure = ""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_writing(out))
        log_file = log or _temporary_log()
        # What TensorFlow's native code writes to stderr alarms without a reason; it goes to a file.
        stack.enter_context(native_messages_to(log_file))
        from convert.containers import opened
        from convert.conversion import Options, convert
        from convert.errors import ConversionError, QuantizationError
        from convert.parity import to_table, write_report
        from convert.rewrap import rewrap

        keep_log = log is not None
        stack.callback(lambda: keep_log or log_file.unlink(missing_ok=True))
        options = Options(
            labels, positive, preprocessing, model_version, pictures, explain, allow_loss
        )
        try:
            with opened(model, labels_needed=labels is None) as found:
                if found.kind == "tflite":
                    result = rewrap(found, paths, out, options, click.echo)
                else:
                    _check_pictures(paths)
                    result = convert(found, paths, outputs, options, click.echo)
            if report and result.parities:
                data, text = write_report(report, model.name, result.parities)
        except QuantizationError as error:
            failure, keep_log = f"{error} (its messages: {log_file})", True
        except ConversionError as error:
            failure = str(error)
    if failure:
        raise click.ClickException(failure)

    for path in result.files.values():
        click.echo(f"Wrote {printable(path)}")
    if result.parities:
        table = to_table(result.parities)
        click.echo(f"P({result.label}) against that of the original model:\n\n{table}")
        if not any(p.calibration.labelled or p.unseen.labelled for p in result.parities):
            click.echo(
                "No folder of the calibration pictures is named like a label, so accuracy and the "
                "order of the labels were not checked."
            )
    if report and result.parities:
        click.echo(f"Wrote {printable(data)} and {printable(text.name)}.")
    if result.loss:
        click.echo(f"Warning: this is a float16 file, since {result.loss}", err=True)
        sys.exit(LOSS)


def _outputs(model: Path, out: Path, format: str) -> dict[str, Path]:
    """The files to write, by format."""
    if format == "all":
        if out.exists() and not out.is_dir():
            raise click.BadParameter(f"{out} is not a folder", param_hint="--out")
        _check_writable(out)
        return {name: out / f"{model.stem}_{name}.tflite" for name in FORMATS}
    if out.suffix != ".tflite":
        raise click.BadParameter(f"{out} does not end in .tflite", param_hint="--out")
    if out.exists() and out.samefile(model):
        raise click.BadParameter(f"{out} is the model itself", param_hint="--out")
    if out.is_dir():
        raise click.BadParameter(f"{out} is a folder", param_hint="--out")
    _check_writable(out.parent)
    return {format: out}


def _check_writable(folder: Path) -> None:
    """Finds out before the long work whether files can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise click.BadParameter(
            f"nothing can be written to {folder} ({error.strerror})", param_hint="--out"
        ) from None


def _temporary_log() -> Path:
    """A file of its own name, which a run that follows removes if this one is killed."""
    prefix, ending = "convert-", ".log"
    remove_leftovers(Path(tempfile.gettempdir()), prefix, ending)
    opened, name = tempfile.mkstemp(prefix=prefix, suffix=f".{os.getpid()}{ending}")
    os.close(opened)
    return Path(name)


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Ends the command in one line where a file cannot be written, as on a full disk."""
    try:
        yield
    except BrokenPipeError:  # of standard output
        raise
    except OSError as error:
        raise NotWrittenError.of(error.filename or out, error) from None


def _check_pictures(paths: list[Path]) -> None:
    if len(paths) < FEWEST_PICTURES:
        raise click.BadParameter(
            f"expected folders with at least {FEWEST_PICTURES} pictures of the kind that the model "
            f"will see, best in one folder per label; found {len(paths)}",
            param_hint="--calibration",
        )
