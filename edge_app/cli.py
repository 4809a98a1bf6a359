"""The commands: a thin coat over the library."""

from __future__ import annotations

import io
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import click

from edge_app import __version__
from edge_app.classifier import DEFAULT_MODEL, Classifier
from edge_app.files import printable
from edge_app.imaging import PictureError, find_pictures
from edge_app.runtime import RuntimeMissingError

SOME_UNREADABLE = 1
"""Exit code where some inputs could not be read and all others were answered."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Is the person in this picture smoking?

    Runs on this machine alone: no network, no cloud.
    Exit codes: 0 fine, 1 some inputs could not be read, 2 wrong usage, 130 stopped by Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the console cannot show
            stream.reconfigure(errors="backslashreplace")
    warnings.filterwarnings("ignore", module="PIL")  # what matters comes as an error


def model_options(command: Callable) -> Callable:
    """Adds the options that choose the model."""
    for option in (
        click.option(
            "--threshold",
            type=click.FloatRange(0, 1),
            help="P(Smoking) from which on a picture is labelled Smoking.  [default: the model's]",
        ),
        click.option(
            "--model",
            type=click.Path(path_type=Path),
            default=DEFAULT_MODEL,
            help="A .tflite file as python -m convert writes it.  [default: the shipped one]",
        ),
    ):
        command = option(command)
    return command


@main.command(epilog="Example: python -m edge_app classify picture.jpg folder --format jsonl")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(["text", "jsonl"]), default="text", show_default=True
)
@model_options
def classify(paths: tuple[Path, ...], form: str, model: Path, threshold: float | None) -> None:
    """Classifies pictures, and the pictures in folders.

    A jsonl record holds: path, label, confidence, smoking, elapsed_ms, error.
    """
    classifier = load_classifier(model, threshold)
    unreadable = 0
    for path in (picture for given in paths for picture in find_pictures(given)):
        start = time.perf_counter()
        try:
            prediction, error = classifier.classify(path), None
        except PictureError as reason:
            prediction, error = None, str(reason)
            unreadable += 1
        elapsed_ms = (time.perf_counter() - start) * 1000
        if form == "jsonl":
            record = {
                "path": str(path),
                "label": prediction and prediction.label,
                "confidence": prediction and round(prediction.confidence, 4),
                "smoking": prediction and round(prediction.smoking, 4),
                "elapsed_ms": round(elapsed_ms, 1),
                "error": error,
            }
            click.echo(json.dumps(record))
        elif prediction:
            click.echo(f"{prediction.label:<10}  {prediction.confidence:6.1%}  {printable(path)}")
        else:
            click.echo(f"{printable(path)}: {error}", err=True)
    sys.exit(SOME_UNREADABLE if unreadable else 0)


@main.command(epilog="Example: python -m edge_app scan ~/Pictures --db smoking.db")
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("smoking.db"),
    show_default=True,
    help="The SQLite file that holds the results.",
)
@click.option("--workers", type=click.IntRange(1), help="Threads.  [default: one a core]")
@model_options
def scan(folder: Path, db: Path, workers: int | None, model: Path, threshold: float | None) -> None:
    """Classifies a folder tree into a SQLite file; again, only what is new or changed."""
    from edge_app.scan import StoreError, run_scan

    classifier = load_classifier(model, threshold)
    try:
        summary = run_scan(folder, db, classifier.info, workers=workers)
    except StoreError as error:
        raise click.UsageError(str(error)) from None
    click.echo(summary.text())
    if summary.interrupted:
        click.echo("Stopped. Run the same command again to go on.")
        sys.exit(130)
    sys.exit(SOME_UNREADABLE if summary.unreadable else 0)


@main.command(epilog="Example: python -m edge_app live --source 0")
@click.option(
    "--source",
    default="0",
    show_default=True,
    help="A camera's number, a video file, or the URL of a stream.",
)
@click.option(
    "--display",
    type=click.Choice(["window", "none"]),
    help="A window, or lines of text.  [default: a window where there is a screen]",
)
@click.option("--duration", type=click.FloatRange(0), help="Stop after so many seconds.")
@model_options
def live(
    source: str,
    display: str | None,
    duration: float | None,
    model: Path,
    threshold: float | None,
) -> None:
    """Classifies a camera, a video file or a stream as it runs.

    In the window: q quits.
    """
    from edge_app.live import SourceError, run_live

    classifier = load_classifier(model, threshold)
    try:
        summary = run_live(source, classifier, display=display, duration=duration)
    except SourceError as error:
        raise click.UsageError(str(error)) from None
    click.echo(summary.text())
    sys.exit(SOME_UNREADABLE if summary.lost else 0)


@main.command(epilog="Example: python -m edge_app web --port 7860")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 for all networks.")
@click.option("--port", type=click.IntRange(1, 65535), default=7860, show_default=True)
@model_options
def web(host: str, port: int, model: Path, threshold: float | None) -> None:
    """Opens a web page: upload a picture, see the class and its confidence, keep a history."""
    classifier = load_classifier(model, threshold)
    try:
        from edge_app.web import serve
    except ImportError as error:
        raise click.UsageError(
            f"The web page needs Gradio ({error}). "
            "Install it with: pip install -r requirements-web.txt"
        ) from None
    try:
        serve(classifier, host, port)
    except OSError as error:
        raise click.UsageError(
            f"Cannot listen on {host}:{port}. Is the port taken? Choose another one with --port."
        ) from error


@main.command(epilog="Example: python -m edge_app info")
@model_options
def info(model: Path, threshold: float | None) -> None:
    """Says what model this is, and what runs it."""
    import platform

    import numpy
    import PIL

    model_info = load_classifier(model, threshold).info
    metadata, decision = model_info.metadata, model_info.decision
    scale, zero_point = model_info.quantization
    quantization = f"scale {scale:.6g}, zero point {zero_point}" if scale else "none (float)"
    for name, value in (
        ("model", model_info.path),
        ("name", f"{metadata.name} {metadata.version}"),
        ("description", metadata.description),
        ("sha256", model_info.sha256),
        ("labels", ", ".join(metadata.labels)),
        ("threshold", f"{decision.threshold:g} for {decision.label}: {decision.chosen}"),
        ("input", f"{model_info.input_dtype} [1, {model_info.size}, {model_info.size}, 3], RGB"),
        ("normalization", f"(pixel - {metadata.mean[0]:g}) / {metadata.std[0]:g}"),
        ("quantization", quantization),
        ("runtime", model_info.runtime),
        ("app", f"edge_app {__version__}, Python {platform.python_version()}"),
        ("libraries", f"NumPy {numpy.__version__}, Pillow {PIL.__version__}"),
        ("machine", f"{platform.system()} {platform.machine()}"),
    ):
        click.echo(f"{name:<14} {value}")


def load_classifier(model: Path, threshold: float | None) -> Classifier:
    """Loads the model or ends the command with one clear line."""
    try:
        return Classifier(model, threshold=threshold)
    except (ValueError, RuntimeMissingError) as error:  # a ModelError is a ValueError
        raise click.UsageError(str(error)) from None
