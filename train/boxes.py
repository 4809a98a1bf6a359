"""Boxes around what is smoked and around heads: where in a picture the evidence is.

A label says of fifty thousand pixels that somebody smokes; a box says which few hundred of them
show it. With boxes a view may come close to a cigarette or leave it outside, and its label is
still right, and each cell of the model's last feature map can be told what it should say.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from train.data import open_csv

COLUMNS = ("picture", "kind", "left", "top", "right", "bottom")
KINDS = ("smoked", "head")

_NONE = np.empty((0, 4))


@dataclass(frozen=True)
class Boxes:
    """The boxes of one picture: left, top, right, bottom, as shares of its width and height.

    Attributes:
        smoked: around each cigarette, cigar, pipe or vaporizer, ``float64[n, 4]``.
        heads: around the heads of those who smoke, or of the most prominent people,
            ``float64[m, 4]``.
    """

    smoked: np.ndarray = field(default_factory=_NONE.copy)
    heads: np.ndarray = field(default_factory=_NONE.copy)


def read_boxes(files: Sequence[Path]) -> dict[str, Boxes]:
    """Reads CSV files with a row a box.

    Returns:
        The boxes of each picture that has any, by the name `train.data.Example.name`.

    Raises:
        ValueError: a file has other columns than `COLUMNS`, a kind that is not in `KINDS`, or a
            box that is empty or not within the picture.
    """
    found: dict[str, dict[str, list]] = defaultdict(lambda: {kind: [] for kind in KINDS})
    for file in files:
        for picture, kind, box in _rows(file):
            found[picture][kind].append(box)
    return {
        picture: Boxes(*(np.array(kinds[kind]).reshape(-1, 4) for kind in KINDS))
        for picture, kinds in found.items()
    }


def _rows(file: Path) -> Iterator[tuple[str, str, list[float]]]:
    with open_csv(file) as lines:
        reader = csv.DictReader(lines)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{file}: expected the columns {', '.join(COLUMNS)}")
        for number, row in enumerate(reader, start=2):
            try:
                box = [float(row[side]) for side in COLUMNS[2:]]
            except (TypeError, ValueError):
                raise ValueError(f"{file}, line {number}: expected four numbers") from None
            left, top, right, bottom = box
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise ValueError(
                    f"{file}, line {number}: expected 0 <= left < right <= 1 and "
                    f"0 <= top < bottom <= 1, got {box}"
                )
            if row["kind"] not in KINDS:
                raise ValueError(f"{file}, line {number}: expected {' or '.join(KINDS)}")
            yield row["picture"], row["kind"], box
