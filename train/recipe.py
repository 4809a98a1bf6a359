"""The recipe: every seed and number of a training, and what the three commands have in common."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from edge_app import ModelError
from train.data import (
    DatasetError,
    Example,
    assign_splits,
    find_examples,
    holds,
    read_boxes,
    read_names,
    read_table,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHIPPED = Path(__file__).with_name("recipe.toml")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)

Share = Annotated[float, Field(ge=0, le=1)]
Inside = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
_checked = dataclass(frozen=True, config=ConfigDict(extra="forbid"))


@_checked
class DataRecipe:
    """Tables beside the recipe, and how sets without splits are split."""

    splits: str
    boxes: list[str]
    wrong_labels: str
    folds: Count
    seed: int


@_checked
class StudentRecipe:
    """The numbers of a training, see `train.student.fit`."""

    steps: Count
    batch: Count
    learning_rate: float
    warmup: Annotated[int, Field(ge=0)]
    weight_decay: float
    ema: Inside
    clip: float
    batch_norm: Literal["frozen", "trained"]
    checkpoint: Count

    def __post_init__(self) -> None:
        if self.warmup >= self.steps:
            raise ValueError("warmup: expected fewer steps than steps")


@_checked
class ViewRecipe:
    """How views are made: the probability of each change. How strong it is stands in the code."""

    smoking: Share
    label_smoothing: Share
    mixup: Share
    mixup_alpha: Share
    blank: Share
    mosaic: Share
    whole: Share
    square: Share
    smallest_area: Share
    smallest_area_unboxed: Share
    box_inside: Share
    words: Share
    page: Share
    turned: Share
    grey: Share
    tinted: Share
    saturated: Share
    dark: Share
    vignette: Share
    blurred: Share
    coarse: Share
    noisy: Share
    bars: Share
    jpeg: Share
    erased: Share


@_checked
class DecisionRecipe:
    """The numbers of a decision, see `train.decision`."""

    false_alarms: Inside
    limited: list[str]
    uncertain_errors: Inside
    uncertain_limit: Inside
    upscale: float
    looks: list[float] | Literal["choose"]
    looks_from: float


@_checked
class Recipe:
    """What is in a recipe's file; the comments of `train/recipe.toml` explain each number.

    ``start`` is what the student starts at (`train.student.start_weights`), ``shares`` how often
    each set is drawn (`train.data.draw_weights`), ``families`` are groups of sets that are judged
    together. ``file`` and ``sha256`` are of the file itself.
    """

    file: Path
    sha256: str
    seed: int
    data: DataRecipe
    start: str | dict[str, str]
    student: StudentRecipe
    views: ViewRecipe
    decision: DecisionRecipe
    shares: dict[Literal["smoking", "not_smoking"], dict[str, Share]]
    families: dict[str, list[str]]

    def family_of(self, dataset: str) -> str:
        """The family that a set belongs to; its own name where it belongs to none."""
        return next((name for name, sets in self.families.items() if dataset in sets), dataset)


def read_recipe(file: Path = SHIPPED) -> Recipe:
    """Reads a recipe.

    Raises:
        ValueError: the file is missing, no TOML, or a number is missing, unknown or makes no sense.
    """
    try:
        content = file.read_bytes()
        values = tomllib.loads(content.decode())
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: cannot be read ({error})") from None
    given = {"file": file, "sha256": hashlib.sha256(content).hexdigest()}
    try:
        return TypeAdapter(Recipe).validate_python({**values, **given})
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ValueError(f"{file}: {'; '.join(wrong)}") from None


@dataclasses.dataclass(frozen=True)
class Data:
    """The pictures of a command line, with their splits.

    ``known`` says whether they are those of the recipe's table; ``folders`` is where they lie.
    """

    examples: list[Example]
    known: bool
    folders: Sequence[Path]

    def of(self, split: str) -> list[Example]:
        """The pictures of a split.

        Raises:
            DatasetError: there are none, or all have the same label.
        """
        examples = [e for e in self.examples if e.split == split]
        if {e.smoking for e in examples} != {False, True}:
            raise DatasetError(
                f"expected {split} pictures of both labels, got {len(examples)} pictures of "
                f"{'one' if examples else 'none'}; more groups are needed, or a table: "
                "--splits FILE"
            )
        return examples

    def boxes(self, recipe: Recipe) -> dict[str, np.ndarray]:
        """The boxes of the recipe, or those of ``boxes.csv`` in the folders.

        Raises:
            DatasetError: a file is missing or makes no sense.
        """
        if self.known:
            names = [name.format(data=self.folders[0]) for name in recipe.data.boxes]
            return read_boxes([recipe.file.parent / name for name in names])
        return {
            f"{folder.resolve().name}/{name}": boxes
            for folder in self.folders
            if (folder / "boxes.csv").is_file()
            for name, boxes in read_boxes([folder / "boxes.csv"]).items()
        }


def find_data(
    recipe: Recipe,
    folders: Sequence[Path],
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    splits: Path | None = None,
    *,
    assign: bool = True,
) -> Data:
    """Finds the pictures of a command line and their splits.

    One folder that holds the sets of the recipe's table is read by that table, as are the names of
    ``splits``, a table of the user's own. All else is read by the names of folders
    (`train.data.find_examples`), and where ``assign`` says so, what has no split gets one.

    Raises:
        DatasetError: there are no such pictures, or their labels are ambiguous.
    """
    table = splits or recipe.file.parent / recipe.data.splits
    stated = bool(positive or negative)
    known = len(folders) == 1 and not stated and table.is_file() and holds(table, folders[0])
    if splits or known:
        if len(folders) != 1:
            raise DatasetError("--splits: its names are relative to one folder; give one folder")
        return Data(read_table(table, folders[0]), known, folders)
    found = [e for folder in folders for e in find_examples(folder, positive, negative)]
    wrong = {
        f"{folder.resolve().name}/{name}"
        for folder in folders
        if (folder / "wrong_labels.csv").is_file()
        for name in read_names(folder / "wrong_labels.csv")
    }
    unique = {os.path.realpath(e.path): e for e in found if e.name not in wrong}
    examples = list(unique.values())
    if assign:
        examples = assign_splits(examples, recipe.data.folds, recipe.data.seed)
    return Data(examples, False, folders)


def command(example: str) -> Callable[[Callable[..., None]], click.Command]:
    """Makes a function a command with ``--positive``, ``--negative`` and ``--recipe``.

    The function gets the recipe, and `find_data` with all of these filled in. Its ValueError and
    `edge_app.ModelError` end the command with one line.
    """

    def make(function: Callable[..., None]) -> click.Command:
        @click.command(
            context_settings={"help_option_names": ["-h", "--help"]}, epilog=f"Example: {example}"
        )
        @functools.wraps(function)
        def run(
            positive: tuple[str, ...], negative: tuple[str, ...], file: Path, **options: Any
        ) -> None:
            try:
                recipe = read_recipe(file)
                find = functools.partial(find_data, recipe, positive=positive, negative=negative)
                function(recipe, find, **options)
            except (ModelError, ValueError) as error:
                raise click.ClickException(str(error)) from None

        for name, label in (("--positive", "Smoking"), ("--negative", "NotSmoking")):
            text = f"Pictures in FOLDER are {label}."
            run.params.append(click.Option([name], multiple=True, metavar="FOLDER", help=text))
        text = "Use the seeds, numbers and tables of this file.  [default: train/recipe.toml]"
        run.params.append(
            click.Option(["--recipe", "file"], type=NEW_FILE, default=SHIPPED, help=text)
        )
        return run

    return make


data_option = click.option(
    "--data",
    "folders",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    help="A folder of labelled pictures; repeat it for several sets.",
)
