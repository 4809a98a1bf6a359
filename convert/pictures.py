"""Which pictures a conversion is calibrated on, and which it is compared on."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path

_TRAINING, _TESTING = ("training", "train"), ("testing", "test")


def for_calibration(paths: Sequence[Path]) -> list[Path]:
    """Leaves out the pictures of a data set's Testing split, which are for the final figure.

    A split is one that stands beside a Training one: a lone folder of that name is just a folder.
    """
    folders = {folder for path in paths for folder in path.parents}
    split = {folder.parent for folder in folders if folder.name.lower() in _TRAINING}
    testing = {
        folder for folder in folders if folder.name.lower() in _TESTING and folder.parent in split
    }
    return [path for path in paths if testing.isdisjoint(path.parents)]


def take_evenly(paths: Sequence[Path], wanted: str = "") -> list[Path]:
    """Puts pictures in an order of which every stretch is drawn evenly from all folders.

    A class that calibration never sees is a class whose scores the integers cannot reach.
    The order is the same on every run.

    Args:
        paths: the pictures.
        wanted: the label that is looked for: pictures in folders of this name alternate with
            all others as long as there are both.
    """
    folders = defaultdict(list)
    for path in paths:
        folders[path.parent].append(path)
    rng = random.Random(0)
    groups: dict[bool, list[list[Path]]] = {True: [], False: []}
    for folder, names in folders.items():
        rng.shuffle(names)
        groups[folder.name.lower() == wanted.lower()].append(names)
    return _in_turn([_in_turn(group) for group in groups.values()])


def _in_turn(lists: Sequence[Sequence[Path]]) -> list[Path]:
    return [path for path in chain.from_iterable(zip_longest(*lists)) if path is not None]
