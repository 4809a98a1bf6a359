"""The scores of cross-validation in a file: what models said of pictures they had never seen."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_app.files import whole_file
from train.data import Example, open_csv

_COLUMNS = ("picture", "dataset", "group", "smoking", "fold", "score")


@dataclass(frozen=True)
class Unseen:
    """A picture and what a model said that had not seen it.

    Attributes:
        name: ``dataset/group/file``.
        dataset: its data set.
        group: its folder.
        smoking: its label.
        fold: the part of the cross-validation that it was tested in.
        score: P(Smoking), calibrated as the released model is.
    """

    name: str
    dataset: str
    group: str
    smoking: bool
    fold: int
    score: float


def write_unseen(
    path: Path, examples: Sequence[Example], folds: np.ndarray, scores: np.ndarray
) -> None:
    """Writes the scores of cross-validation, a line a picture.

    Args:
        path: a CSV file.
        examples: the pictures.
        folds: the fold of each, ``int[n]``; -1, in none: left out.
        scores: P(Smoking), ``float[n]``.
    """
    with whole_file(path) as partial, open_csv(partial, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for example, fold, score in zip(examples, folds, scores, strict=True):
            if fold < 0:
                continue
            writer.writerow(
                (
                    example.name,
                    example.dataset,
                    example.group,
                    int(example.smoking),
                    int(fold),
                    f"{score:.5f}",
                )
            )


def read_unseen(path: Path) -> list[Unseen]:
    """Reads what `write_unseen` wrote.

    Raises:
        ValueError: the file is something else.
    """
    with open_csv(path) as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != _COLUMNS:
            raise ValueError(f"{path}: expected the columns {', '.join(_COLUMNS)}")
        return [
            Unseen(
                name=row["picture"],
                dataset=row["dataset"],
                group=row["group"],
                smoking=row["smoking"] == "1",
                fold=int(row["fold"]),
                score=float(row["score"]),
            )
            for row in reader
        ]
