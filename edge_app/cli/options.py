"""What several commands share: the options that choose the model, an exit code, an answer."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edge_app import limits
from edge_app.classifier import DEFAULT_MODEL, Classifier, Prediction
from edge_app.files import printable, refuse_to_replace
from edge_app.foreign import self_describing
from edge_app.labels import split_labels
from edge_app.preprocessing import NAMED, choose
from edge_app.runtime import RuntimeMissingError


class PicturePath(click.Path):
    """A file or folder on this machine, and no address."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the path."""
        if value == "":  # as of a variable of the shell that is not set
            self.fail("a path is empty; give . for this folder", param, ctx)
        if isinstance(value, str) and "://" in value:
            self.fail(
                f"{value} is an address. Download the picture first, as with: curl -O {value}",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


class OutputPath(click.Path):
    """A file that is written; the user's pictures, videos and databases are refused."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the path."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        try:
            refuse_to_replace(path)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        return path


class LabelsType(click.ParamType):  # type: ignore[type-arg]  # older Click: not generic
    """``A,B`` or the name of a label file."""

    name = "A,B,..."

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Returns the labels."""
        if isinstance(value, tuple):
            return value
        try:
            return split_labels(str(value))
        except (ValueError, OSError) as error:
            self.fail(str(error), param, ctx)


SOME_UNREADABLE = 1
"""Exit code where some inputs could not be read and all others were answered."""


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that choose the model, and those that describe a foreign one.

    The command is given ``model``, a file that says what it is, and ``threshold``.
    """

    @functools.wraps(command)
    def with_model(
        *arguments: object,
        model: Path,
        labels: tuple[str, ...] | None,
        positive: str | None,
        input_range: tuple[float, float] | None,
        preprocess: str | None,
        **options: object,
    ) -> object:
        try:
            preprocessing = choose(input_range, preprocess)
            model = self_describing(
                model, labels=labels, positive=positive, preprocessing=preprocessing
            )
        except (ValueError, RuntimeMissingError) as error:
            raise click.UsageError(str(error)) from None
        return command(*arguments, model=model, **options)

    return model_choice(foreign_options(with_model))


def foreign_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say what a model from elsewhere does not say itself."""
    for option in (
        click.option(
            "--preprocess",
            type=click.Choice(sorted(NAMED)),
            help="Prepare pixels like preprocess_input of Keras in this mode.",
        ),
        click.option(
            "--input-range",
            type=(float, float),
            metavar="BLACK WHITE",
            help="Map black and white pixels to these values, such as 0 1.",
        ),
        click.option("--positive", metavar="LABEL", help="Look for this label."),
        click.option(
            "--labels",
            type=LabelsType(),
            help="Name the outputs of a foreign model, in order; or give a labels.txt.",
        ),
    ):
        command = option(command)
    return command


def model_choice(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--model`` and ``--threshold``."""
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
            help="Use this .tflite file.  [default: the shipped one]",
        ),
    ):
        command = option(command)
    return command


looks_option = click.option(
    "--looks",
    type=click.IntRange(1),
    metavar="N",
    help="Look at a picture at most N times; 1 is once, as a whole.  [default: the model's]",
)


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say what one picture may cost."""

    def set_pixels(ctx: object, param: object, count: int | None) -> None:
        limits.set_max_pixels(count)

    def set_seconds(ctx: object, param: object, seconds: float) -> None:
        if not math.isfinite(seconds):
            raise click.BadParameter("expected a number of seconds")
        limits.set_max_seconds(seconds)

    for option in (
        click.option(
            "--max-seconds",
            type=click.FloatRange(0, min_open=True),
            default=limits.MAX_SECONDS,
            show_default=True,
            expose_value=False,
            callback=set_seconds,
            help="Give up on a picture after this much CPU time (Linux only).",
        ),
        click.option(
            "--max-pixels",
            type=click.IntRange(1),
            metavar="N",
            expose_value=False,
            callback=set_pixels,
            help="Read pictures of up to N pixels.  [default: what fits into "
            f"{limits.MAX_MEMORY // 1_000_000} MB]",
        ),
    ):
        command = option(command)
    return command


def load_classifier(model: Path, threshold: float | None, looks: int | None = None) -> Classifier:
    """Loads the model or ends the command with one clear line."""
    try:
        return Classifier(model, threshold=threshold, looks=looks)
    except (ValueError, RuntimeMissingError) as error:  # a ModelError is a ValueError
        raise click.UsageError(str(error)) from None


def answer_line(prediction: Prediction, path: str | os.PathLike[str]) -> str:
    """The prediction for one picture as a line of text."""
    doubt = "  (uncertain)" if prediction.uncertain else ""
    doubt += "  (incomplete)" if prediction.incomplete else ""
    return f"{prediction.label:<10}  {prediction.confidence:6.1%}  {printable(path)}{doubt}"
