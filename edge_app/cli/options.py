"""What several commands share: the options that choose the model, an exit code, an answer."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from edge_app.classifier import DEFAULT_MODEL, Classifier, Prediction
from edge_app.files import printable
from edge_app.runtime import RuntimeMissingError

SOME_UNREADABLE = 1
"""Exit code where some inputs could not be read and all others were answered."""


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
            help="A .tflite file as python3 run.py convert writes it.  [default: the shipped one]",
        ),
    ):
        command = option(command)
    return command


def load_classifier(model: Path, threshold: float | None) -> Classifier:
    """Loads the model or ends the command with one clear line."""
    try:
        return Classifier(model, threshold=threshold)
    except (ValueError, RuntimeMissingError) as error:  # a ModelError is a ValueError
        raise click.UsageError(str(error)) from None


def answer_line(prediction: Prediction, path: str | os.PathLike[str]) -> str:
    """What the model says of a picture, in a line for people."""
    doubt = "  (uncertain)" if prediction.uncertain else ""
    return f"{prediction.label:<10}  {prediction.confidence:6.1%}  {printable(path)}{doubt}"
