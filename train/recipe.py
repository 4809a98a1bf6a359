"""The recipe: every seed and number of a training, read from a TOML file and checked."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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

SHIPPED = Path(__file__).with_name("recipe.toml")


@dataclass(frozen=True)
class Recipe:
    """What is in a recipe's file; `train/recipe.toml` explains each number.

    Attributes:
        file: the file itself.
        sha256: its checksum.
        seed: of everything random.
        data: tables and the split.
        start: what the student starts at, see `train.student.start_weights`.
        student, views, decision: numbers of each part.
        shares: see `train.data.draw_weights`.
        families: names of groups of sets that are judged together.
    """

    file: Path
    sha256: str
    seed: int
    data: dict[str, Any]
    start: str | dict[str, str]
    student: dict[str, Any]
    views: dict[str, Any]
    decision: dict[str, Any]
    shares: dict[str, dict[str, float]]
    families: dict[str, list[str]]


def read_recipe(file: Path = SHIPPED) -> Recipe:
    """Reads a recipe.

    Raises:
        ValueError: the file is missing, no TOML, or has parts that are missing or unknown.
    """
    try:
        content = file.read_bytes()
        values = tomllib.loads(content.decode())
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: cannot be read ({error})") from None
    known = {field.name for field in fields(Recipe)} - {"file", "sha256"}
    if unknown := values.keys() - known:
        raise ValueError(f"{file}: unknown: {', '.join(sorted(unknown))}")
    if missing := known - values.keys():
        raise ValueError(f"{file}: missing: {', '.join(sorted(missing))}")
    return Recipe(file=file, sha256=hashlib.sha256(content).hexdigest(), **values)


def part(kind: type, values: dict[str, Any], name: str) -> Any:
    """One part of a recipe as its dataclass.

    Raises:
        ValueError: a number is missing, unknown, or makes no sense.
    """
    known = {field.name for field in fields(kind)}
    if values.keys() != known:
        different = ", ".join(sorted(values.keys() ^ known))
        raise ValueError(f"[{name}]: missing or unknown: {different}")
    return kind(**values)


def family_of(recipe: Recipe, dataset: str) -> str:
    """The family that a set belongs to; its own name where it belongs to none."""
    return next((name for name, sets in recipe.families.items() if dataset in sets), dataset)


@dataclass(frozen=True)
class Data:
    """The pictures of a command line.

    Attributes:
        examples: with their splits.
        known: whether they are the pictures of the recipe's table.
        folders: where they lie.
    """

    examples: list[Example]
    known: bool
    folders: tuple[Path, ...]

    def boxes(self, recipe: Recipe) -> dict[str, Any]:
        """The boxes of the recipe, or those of ``boxes.csv`` in the folders.

        Raises:
            DatasetError: a file is missing or makes no sense.
        """
        if self.known:
            names = [name.format(data=self.folders[0]) for name in recipe.data["boxes"]]
            return read_boxes([recipe.file.parent / name for name in names])
        found = {}
        for folder in self.folders:
            if (folder / "boxes.csv").is_file():
                boxes = read_boxes([folder / "boxes.csv"])
                found |= {f"{folder.resolve().name}/{name}": box for name, box in boxes.items()}
        return found


def find_data(
    recipe: Recipe,
    folders: tuple[Path, ...],
    positive: tuple[str, ...] = (),
    negative: tuple[str, ...] = (),
    splits: Path | None = None,
    *,
    assign: bool = True,
) -> Data:
    """Finds the pictures of a command line and their splits.

    One folder that holds the sets of the recipe's table is read by that table, as are the names of
    ``splits``. All else is read by the names of folders, and what has no split is assigned one.

    Args:
        recipe: with its table of splits, the seed and share of a new split.
        folders: data sets, or the one folder that the names of the table are relative to.
        positive, negative: names of folders, see `train.data.find_examples`.
        splits: a table of the user's own.
        assign: assign a split to what has none.

    Raises:
        DatasetError: there are no such pictures, or their labels are ambiguous.
    """
    table = splits or recipe.file.parent / recipe.data["splits"]
    stated = bool(positive or negative)
    known = len(folders) == 1 and not stated and table.is_file() and holds(table, folders[0])
    if splits or known:
        if len(folders) != 1:
            raise DatasetError("--splits: its names are relative to one folder; give one folder")
        return Data(read_table(table, folders[0]), known, folders)
    found = [e for folder in folders for e in find_examples(folder, positive, negative)]
    unique = list({os.path.realpath(e.path): e for e in found}.values())
    wrong = {name for f in folders if (f / "wrong_labels.csv").is_file() for name in _wrong(f)}
    kept = [e for e in unique if e.name not in wrong]
    if assign:
        kept = assign_splits(kept, recipe.data["folds"], recipe.data["seed"])
    return Data(kept, False, folders)


def _wrong(folder: Path) -> set[str]:
    return {f"{folder.resolve().name}/{name}" for name in read_names(folder / "wrong_labels.csv")}
