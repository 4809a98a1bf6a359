"""Labelled pictures: where they lie, which group each belongs to, and which split it is for.

A table (``picture,set,kind,smoking,group,split``) fixes all of this once; `train/splits.csv` is the
one of the shipped model. For folders without a table, `find_examples` reads the labels from the
names of folders and refuses names that could mean either, and `assign_splits` deals whole groups
out to Training and Validation.
"""

from __future__ import annotations

import csv
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from edge_app.files import whole_file
from edge_app.imaging import PictureError, find_pictures, read_thumbnail
from edge_app.parallel import map_ahead

TRAINING, VALIDATION, TESTING = SPLITS = ("Training", "Validation", "Testing")
COLUMNS = ("picture", "set", "kind", "smoking", "group", "split")
SHORTER_SIDE = 288  # pixels; larger pictures are kept for training at this size

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as shares of a picture's width and height."""

_SPLITS = {
    **{"training": TRAINING, "train": TRAINING, "testing": TESTING, "test": TESTING},
    **{"validation": VALIDATION, "valid": VALIDATION, "val": VALIDATION},
}
_LABELS = {"smoking": True, "notsmoking": False, "nonsmoking": False, "nosmoking": False}
_AMBIGUOUS = re.compile("smok|cigar|tobacco|vap|hookah|shisha|pipe")
_SIDES = ("x0", "y0", "x1", "y1")
_TEXT = {"newline": "", "encoding": "utf-8", "errors": "surrogateescape"}  # names may be any bytes
_KIND = re.compile(r"([a-z]+)_\d+")
Read = TypeVar("Read")


class DatasetError(ValueError):
    """Pictures, tables or folders that cannot be used; the message says what was expected."""


@dataclass(frozen=True)
class Example:
    """A labelled picture."""

    path: Path
    name: str  # in tables, relative to the data folder: stanford40/drinking/a.jpg
    dataset: str  # stanford40
    kind: str  # activity or kind within the set, drinking; may be empty
    smoking: bool
    group: str  # of one video, scene or person; a group is never split
    split: str = ""  # one of `SPLITS`; empty before `assign_splits`
    boxes: tuple[Box, ...] = ()  # around what is smoked


def read_table(file: Path, data: Path, inside: str = "") -> list[Example]:
    """Reads a CSV file with the columns `COLUMNS`; its pictures are relative to the data folder.

    Boxes come from ``boxes.csv`` beside the file and in the data folder, as in `find_examples`.
    Only names that begin with ``inside`` count. The list is empty if the folder holds none of them.

    Raises:
        DatasetError: the file or some pictures are missing, or a value makes no sense.
    """
    examples: dict[str, Example] = {}
    boxes = _boxes([(file.parent, ""), (data, "")])
    for where, row in _rows(file, *COLUMNS):
        name, dataset, kind, smoking, group, split = (row[column] for column in COLUMNS)
        if smoking not in ("0", "1") or split not in SPLITS:
            raise DatasetError(f"{where}: expected smoking 0 or 1 and split {', '.join(SPLITS)}")
        if name in examples:
            raise DatasetError(f"{where}: {name} is in the table twice")
        known = name, dataset, kind, smoking == "1", group, split, tuple(boxes[name])
        examples[name] = Example(data / name, *known)
    examples = {name: e for name, e in examples.items() if name.startswith(inside)}
    missing = [name for name, e in examples.items() if not e.path.is_file()]
    if 0 < len(missing) < len(examples):
        raise DatasetError(
            f"{data}: {len(missing)} of the {len(examples)} pictures of {file} are missing, "
            f"the first is {missing[0]}"
        )
    return [] if missing else list(examples.values())


def write_table(file: Path, examples: Iterable[Example]) -> None:
    """Writes what `read_table` reads."""
    rows = ((e.name, e.dataset, e.kind, int(e.smoking), e.group, e.split) for e in examples)
    with whole_file(file) as partial, partial.open("w", **_TEXT) as lines:
        csv.writer(lines, lineterminator="\n").writerows([COLUMNS, *rows])


def find_examples(
    folder: Path, positive: Collection[str] = (), negative: Collection[str] = ()
) -> list[Example]:
    """Lists the labelled pictures of one data set by the names of its folders.

    ``smoking`` is Smoking; ``notsmoking``, ``nonsmoking`` and ``nosmoking`` are NotSmoking. A name
    that merely has to do with smoking (``smoker``, ``cigarette``, ``smoking_ban_sign``) has to be
    stated. The outermost folder that says something decides. Other folders (``drinking``) are
    NotSmoking where the set has a folder that says something. Case, spaces, dashes and underscores
    do not matter. ``Training``, ``Validation`` and ``Testing`` folders give the split. Tables in
    the folder or beside it give groups (``groups.csv``: path, group), boxes around what is smoked
    (``boxes.csv``: path, x0, y0, x1, y1) and pictures to leave out (``wrong_labels.csv``: path).

    Args:
        folder: the data set.
        positive, negative: names of folders whose pictures are Smoking, and NotSmoking.

    Raises:
        DatasetError: the folder is missing, empty, or a label is missing or ambiguous.
    """
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise DatasetError(f"{folder}: there is no such folder")
    stated = {plain(name): True for name in positive} | {plain(name): False for name in negative}
    meanings = _LABELS | stated

    def telling(name: str) -> bool:
        return plain(name) in meanings or bool(_AMBIGUOUS.search(plain(name)))

    places = [(folder.parent, ""), (folder, f"{folder.name}/")]
    groups = {row["path"]: row["group"] for _, row in _beside(places, "groups.csv", "group")}
    wrong = {row["path"] for _, row in _beside(places, "wrong_labels.csv")}
    boxes, found, labelled = _boxes(places), [], False
    for path in sorted(find_pictures(folder)):
        name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
        if name in wrong:
            continue
        parts = path.relative_to(folder).parts[:-1]
        split = next((_SPLITS[p.lower()] for p in parts if p.lower() in _SPLITS), "")
        folders = [p for p in parts if p.lower() not in _SPLITS]
        said = next(filter(telling, folders or [folder.name]), "")
        if said and plain(said) not in meanings:
            raise DatasetError(
                f"{folder}: does a picture in {said} show somebody smoking? "
                f"State it: --positive {said} or --negative {said}"
            )
        smoking, kind = meanings.get(plain(said), False), folders[-1] if folders else ""
        if plain(kind) in meanings and len(folders) < 2:
            match = _KIND.fullmatch(path.stem)
            kind = match[1] if match and plain(match[1]) not in _LABELS else ""
        group, of = groups.get(name, name), tuple(boxes[name])
        found.append(Example(path, name, folder.name, kind, smoking, group, split, of))
        labelled |= bool(said)
    if not found:
        raise DatasetError(f"{folder}: no pictures found")
    if not labelled:
        raise DatasetError(
            f"{folder}: no folder says which pictures show smoking. Name the folders Smoking and "
            f"NotSmoking, or state it: --positive FOLDER, --negative FOLDER"
        )
    return found


def describe(examples: Sequence[Example]) -> str:
    """What was understood: one line per set, label and folder with the number of pictures."""
    folders: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for e in examples:
        label = "Smoking" if e.smoking else "NotSmoking"
        folders[e.dataset, label][PurePosixPath(e.name).parent.name] += 1
    lines = []
    for (dataset, label), counts in sorted(folders.items()):
        named = ", ".join(f"{name} {n}" for name, n in counts.most_common(6))
        more = f" and {len(counts) - 6} more folders" if len(counts) > 6 else ""
        lines.append(f"{dataset:<20}{label:<11}{counts.total():>6}  {named}{more}")
    splits = Counter(e.split or "no split yet" for e in examples)
    return "\n".join([*lines, ", ".join(f"{split} {n}" for split, n in sorted(splits.items()))])


def assign_splits(examples: Sequence[Example], folds: int, seed: int) -> list[Example]:
    """Gives every picture without a split one: whole groups, stratified by set, kind and label.

    One part in ``folds`` becomes Validation, the rest Training.

    Raises:
        DatasetError: there are too few groups.
    """
    examples = sorted(examples, key=lambda e: PurePosixPath(e.name))
    new = [e for e in examples if not e.split]
    if not new:
        return examples
    groups = [e.group for e in new]
    strata = [f"{e.dataset}/{e.kind}/{int(e.smoking)}" for e in new]
    if min(count := len(set(groups)), max(Counter(strata).values())) < folds:
        raise DatasetError(f"expected at least {folds} groups of a kind to split, got {count}")
    folding = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    warnings.filterwarnings("ignore", "The least populated class")  # a rare kind, on one side only
    _, places = next(folding.split(new, strata, groups))
    of = {e.name: TRAINING for e in new} | {new[place].name: VALIDATION for place in places}
    return [e if e.split else replace(e, split=of[e.name]) for e in examples]


def draw_weights(examples: Sequence[Example], shares: dict[str, dict[str, float]]) -> np.ndarray:
    """How often each picture is drawn, relative to the others of its label, ``float64[n]``.

    ``shares`` has, for ``smoking`` and ``not_smoking``, the share of the draws that goes to a set
    or to ``set/kind``. All pictures are drawn alike where a label has none.

    Raises:
        DatasetError: a set has no share.
    """
    keys = []
    for e in examples:
        of_label = shares.get("smoking" if e.smoking else "not_smoking", {})
        key = f"{e.dataset}/{e.kind}" if f"{e.dataset}/{e.kind}" in of_label else e.dataset
        if of_label and key not in of_label:
            raise DatasetError(f"{e.dataset}: has no share in the recipe; add it to [shares]")
        keys.append((key, e.smoking, of_label.get(key)))
    counts = Counter(keys)
    return np.array([1.0 if key[2] is None else key[2] / counts[key] for key in keys])


def read_pictures(
    examples: Sequence[Example], read: Callable[[Path], Read]
) -> Iterator[tuple[Example, Read]]:
    """Reads pictures ahead on all cores, with a progress bar.

    Args:
        examples: the pictures; those that cannot be read are named and left out.
        read: gets the file of each; may raise `edge_app.imaging.PictureError`.
    """

    def attempt(example: Example) -> tuple[Example, Read] | None:
        try:
            return example, read(example.path)
        except PictureError as error:
            tqdm.write(f"{example.path}: {error}; left out")
            return None

    with ThreadPoolExecutor() as pool:
        found = map_ahead(pool, attempt, examples, 64)
        bar = tqdm(found, "Reading pictures", len(examples), unit="picture", disable=None)
        yield from filter(None, bar)


def load_picture(path: Path) -> np.ndarray:
    """One picture, upright, RGB on white, ``uint8[height, width, 3]``, never enlarged."""
    image = read_thumbnail(path, 1600)
    scale = SHORTER_SIDE / min(image.size)
    if scale < 1:
        size = round(image.width * scale), round(image.height * scale)
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image)


def _rows(file: Path, *columns: str) -> list[tuple[str, dict[str, str]]]:
    """The rows of a table, each behind its place for a message."""
    try:
        with file.open(**_TEXT) as lines:
            reader = csv.DictReader(lines)
            names = reader.fieldnames or ()
            rows = [(f"{file}, line {number}", row) for number, row in enumerate(reader, start=2)]
    except (OSError, csv.Error) as error:
        raise DatasetError(f"{file}: cannot be read ({error})") from None
    if not set(columns) <= set(names):
        raise DatasetError(f"{file}: expected the columns {', '.join(columns)}")
    for where, row in rows:
        if None in row or None in row.values():
            raise DatasetError(f"{where}: expected {len(names)} values")
    return rows


def _beside(
    places: Iterable[tuple[Path, str]], name: str, *columns: str
) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a table in several folders, each with what stands before its pictures' names."""
    for folder, prefix in places:
        if (folder / name).is_file():
            for where, row in _rows(folder / name, "path", *columns):
                yield where, {**row, "path": prefix + row["path"]}


def _boxes(places: Iterable[tuple[Path, str]]) -> dict[str, list[Box]]:
    found: dict[str, list[Box]] = defaultdict(list)
    for where, row in _beside(places, "boxes.csv", *_SIDES):
        try:
            left, top, right, bottom = box = tuple(float(row[side]) for side in _SIDES)
        except ValueError:
            raise DatasetError(f"{where}: expected four numbers") from None
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise DatasetError(f"{where}: expected 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1")
        found[row["path"]].append(box)
    return found


def plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
