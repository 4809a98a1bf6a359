"""The recipe: every seed and number of a training, and what the three commands have in common."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from edge_app import ModelError
from edge_app.cli.ending import Ending
from edge_app.files import read_small
from train.data import DatasetError, Example, assign_splits, find_examples, plain, read_table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHIPPED = Path(__file__).resolve().with_name("recipe.toml")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)

Share = Annotated[float, Field(ge=0, le=1)]
Inside = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
_checked = dataclass(frozen=True, config=ConfigDict(extra="forbid"))


@_checked
class DataRecipe:
    """How sets without splits are split; ``splits`` is a table of pictures beside the recipe."""

    folds: Count
    seed: int
    splits: str = ""


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
    checkpoint: Count

    def __post_init__(self) -> None:
        if self.warmup >= self.steps:
            raise ValueError("warmup: expected fewer steps than steps")


@_checked
class DecisionRecipe:
    """The numbers of a decision, see `train.decision`."""

    false_alarms: Inside
    limited: list[str]
    uncertain_errors: Inside
    uncertain_limit: Inside
    upscale: float
    looks: list[float]
    looks_from: float


@_checked
class Recipe:
    """What is in a recipe's file; the comments of `train/recipe.toml` explain each number.

    ``start`` is what the student starts at (`train.student.start_weights`), ``views`` the
    probability of each change of a view, ``shares`` how often each set is drawn
    (`train.data.draw_weights`), ``families`` are groups of sets that are judged together. ``file``
    and ``sha256`` are of the file itself.
    """

    file: Path
    sha256: str
    seed: int
    data: DataRecipe
    start: str | Annotated[dict[Literal["git", "sha256"], str], Field(min_length=2)]
    student: StudentRecipe
    views: dict[str, Share]
    decision: DecisionRecipe
    families: dict[str, list[str]]
    shares: dict[Literal["smoking", "not_smoking"], dict[str, Share]] = Field(default_factory=dict)

    def family_of(self, dataset: str) -> str:
        """The family that a set belongs to; its own name where it belongs to none."""
        return next((name for name, sets in self.families.items() if dataset in sets), dataset)


def read_recipe(file: Path = SHIPPED) -> Recipe:
    """Reads a recipe.

    Raises:
        ValueError: the file is missing, no TOML, or a number is missing, unknown or makes no sense.
    """
    try:
        content = read_small(file)
        values = tomllib.loads(content.decode())
        sha256 = hashlib.sha256(content).hexdigest()
        recipe = TypeAdapter(Recipe).validate_python({**values, "file": file, "sha256": sha256})
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ValueError(f"{file}: {'; '.join(wrong)}") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: cannot be read ({error})") from None
    views = tomllib.loads(SHIPPED.read_text())["views"]
    if wrong := sorted(recipe.views.keys() ^ views.keys()):
        raise ValueError(f"{file}: views: missing or unknown: {', '.join(wrong)}")
    return recipe


class Data(NamedTuple):
    """The pictures of a command line; ``known`` says whether the recipe's table has them."""

    examples: list[Example]
    known: bool

    def of(self, split: str) -> list[Example]:
        """The pictures of a split, or ``all``.

        Raises:
            DatasetError: there are none, or all have the same label.
        """
        examples = [e for e in self.examples if split in ("all", e.split)]
        if {e.smoking for e in examples} != {False, True}:
            raise DatasetError(
                f"expected both labels among the {len(examples)} {split} pictures; add more groups"
            )
        return examples


def find_data(
    recipe: Recipe,
    folders: Sequence[Path],
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    assign: bool = True,
) -> Data:
    """Finds the pictures of a command line and their splits.

    One folder that holds sets of the recipe's table, or is one, is read by that table. All else is
    read by the names of folders (`train.data.find_examples`), and where ``assign`` says so, what
    has no split gets one.

    Raises:
        DatasetError: there are no such pictures, or their labels are ambiguous.
    """
    if recipe.data.splits and len(folders) == 1 and not positive and not negative:
        table, folder = recipe.file.parent / recipe.data.splits, folders[0].resolve()
        tried = ((folder, ""), (folder.parent, f"{folder.name}/")) if table.is_file() else ()
        if known := next(filter(None, (read_table(table, *place) for place in tried)), None):
            return Data(known, known=True)
        if recipe.file.resolve() != SHIPPED:
            raise DatasetError(
                f"{table}: is missing, or names no picture in {folder}. Write one with train "
                f"--show, or delete the line splits in {recipe.file}: then folders give the labels"
            )
    found = [e for folder in folders for e in find_examples(folder, positive, negative)]
    there = {plain(part) for e in found for part in Path(e.name).parent.parts}
    if unknown := [name for name in (*positive, *negative) if plain(name) not in there]:
        raise DatasetError(f"no folder with pictures is called {' or '.join(unknown)}")
    examples = list({os.path.realpath(e.path): e for e in found}.values())
    if assign:
        examples = assign_splits(examples, recipe.data.folds, recipe.data.seed)
    return Data(examples, known=False)


def command(example: str) -> Callable[[Callable[..., None]], click.Command]:
    """Makes a function a command with ``--positive``, ``--negative`` and ``--recipe``.

    The function gets the recipe, and `find_data` with all of these filled in. Its ValueError and
    `edge_app.ModelError` end the command with one line.
    """

    def make(function: Callable[..., None]) -> click.Command:
        settings = {"help_option_names": ["-h", "--help"]}

        @click.command(cls=Ending, context_settings=settings, epilog=f"Example: {example}")
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
        option = click.Option(["--recipe", "file"], type=NEW_FILE, default=SHIPPED, help=text)
        run.params.append(option)
        return run

    return make


data_option = click.option(
    *("--data", "folders"),
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    help="A folder of labelled pictures; repeat it for several sets.",
)
