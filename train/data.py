"""Finds labelled pictures in folders and decides which of them are for what.

Three layouts are understood, recognized by the names of the folders:

1. with splits: ``DIR/{Training,Validation,Testing}/CLASS/*.jpg``
2. one folder a class or an action: ``DIR/CLASS/*.jpg``
3. one class alone: ``CLASS/*.jpg``, a folder without folders

A folder whose name begins with "smoking" is Smoking; every other one is NotSmoking. In layout 3
that must be said by the name (``smoking...`` or ``notsmoking...``), since a lone folder of some
other name is more likely a mistake. Case, spaces, dashes and underscores in names do not matter.

Pictures of sets without splits of their own are Training pictures. Training and Validation pictures
are cross-validated together, each scored by a model that was trained without it, and the released
model is trained on both; Testing pictures are only ever measured.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from tqdm import tqdm

from edge_app.imaging import PictureError, find_pictures, read_pixels

TRAINING, VALIDATION, TESTING = "Training", "Validation", "Testing"

_SPLIT_NAMES = {
    "training": TRAINING,
    "train": TRAINING,
    "validation": VALIDATION,
    "valid": VALIDATION,
    "val": VALIDATION,
    "testing": TESTING,
    "test": TESTING,
}


class DatasetError(ValueError):
    """A folder that is no data set in a known layout; the message says what was expected."""


@dataclass(frozen=True)
class Example:
    """A labelled picture.

    Attributes:
        path: where it lies.
        smoking: its label.
        dataset: name of the data set's folder, as ``stanford40``.
        group: name of the folder it lies in, as ``drinking``; false alarms are counted by it.
        split: ``Training``, ``Validation`` or ``Testing``.
    """

    path: Path
    smoking: bool
    dataset: str
    group: str
    split: str

    @property
    def name(self) -> str:
        """What it is called in tables: its data set, folder and file."""
        return f"{self.dataset}/{self.group}/{self.path.name}"


def find_examples(folder: Path) -> list[Example]:
    """Lists the labelled pictures of one data set.

    Raises:
        DatasetError: the folder is missing or has none of the layouts above.
    """
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise DatasetError(f"{folder}: there is no such folder")
    subfolders = _subfolders(folder)
    splits = {p: _SPLIT_NAMES[p.name.lower()] for p in subfolders if p.name.lower() in _SPLIT_NAMES}

    examples = []
    if splits:
        for split_folder, split in splits.items():
            for class_folder in _subfolders(split_folder):
                examples += _examples_of_class(class_folder, folder.name, split)
    elif subfolders:
        for class_folder in subfolders:
            examples += _examples_of_class(class_folder, folder.name)
    elif _plain(folder.name).startswith(("smoking", "notsmoking")):
        examples = _examples_of_class(folder, folder.name)
    if not examples:
        raise DatasetError(
            f"{folder}: no labelled pictures found. Expected Training/Validation/Testing folders "
            "with one folder a class, or one folder a class or action (a name beginning with "
            '"smoking" is Smoking, others are not), or a lone folder of pictures whose name '
            'begins with "smoking" or "notsmoking".'
        )
    return examples


def load_pixels(
    examples: Sequence[Example], size: int = 224, description: str = "Reading pictures"
) -> tuple[list[Example], np.ndarray]:
    """Reads pictures through the edge app's own preprocessing, with a progress bar.

    Pictures that cannot be read are named on the console and left out.

    Returns:
        The examples that could be read, and their pixels ``uint8[n, size, size, 3]``.
    """
    pixels = np.empty((len(examples), size, size, 3), np.uint8)
    readable = []
    with ThreadPoolExecutor() as pool:
        results = pool.map(lambda example: _try_read(example.path, size), examples)
        for example, result in tqdm(
            zip(examples, results, strict=True),
            description,
            total=len(examples),
            unit="picture",
            disable=None,
        ):
            if isinstance(result, PictureError):
                tqdm.write(f"{example.path}: {result}; left out")
            else:
                pixels[len(readable)] = result
                readable.append(example)
    return readable, pixels[: len(readable)]


def names_in(file: Path | None) -> set[str]:
    """The column ``picture`` of a CSV file; nothing where there is no file.

    Raises:
        ValueError: it has no such column.
    """
    if file is None:
        return set()
    with open_csv(file) as lines:
        reader = csv.DictReader(lines)
        if "picture" not in (reader.fieldnames or ()):
            raise ValueError(f"{file}: expected a column picture")
        return {row["picture"] for row in reader}


def open_csv(file: Path, mode: str = "r") -> TextIO:
    """Opens a table of pictures, whose names may be any bytes."""
    return file.open(mode, newline="", encoding="utf-8", errors="surrogateescape")


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def assign_folds(examples: Sequence[Example], folds: int) -> np.ndarray:
    """Deals pictures out to the parts of a cross-validation.

    Every folder of every set is dealt out evenly, in the order of a hash of the files' names: the
    same on every machine.

    Returns:
        The part of each picture, ``int[n]``, counted from 0.
    """
    parts = np.empty(len(examples), int)
    dealt: Counter[tuple[str, str]] = Counter()
    for place in sorted(range(len(examples)), key=lambda i: _hash_of_name(examples[i].path)):
        folder = (examples[place].dataset, examples[place].group)
        parts[place] = dealt[folder] % folds
        dealt[folder] += 1
    return parts


def _examples_of_class(folder: Path, dataset: str, split: str = TRAINING) -> list[Example]:
    smoking = _plain(folder.name).startswith("smoking")
    return [
        Example(path, smoking, dataset, folder.name, split)
        for path in sorted(find_pictures(folder))
    ]


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _hash_of_name(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.name)).hexdigest()


def _try_read(path: Path, size: int) -> np.ndarray | PictureError:
    try:
        return read_pixels(path, size)
    except PictureError as error:
        return error
