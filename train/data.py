"""Labelled pictures: where they lie, which group each belongs to, and which split it is for.

A table (``picture,set,kind,smoking,group,split``) fixes all of this once; `train/splits.csv` is the
one of the shipped model. For folders without a table, `find_examples` reads the labels from the
names of folders and refuses names that could mean either, and `assign_splits` deals whole groups
out to Training and Validation.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TextIO

import numpy as np
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from edge_app.files import whole_file
from edge_app.imaging import PictureError, find_pictures, read_pixels, read_thumbnail

TRAINING, VALIDATION, TESTING = SPLITS = ("Training", "Validation", "Testing")
COLUMNS = ("picture", "set", "kind", "smoking", "group", "split")
SHORTER_SIDE = 288
"""Pictures are kept for training with their shorter side at most this, in pixels."""

_SPLIT_FOLDERS = {
    **{"training": TRAINING, "train": TRAINING, "testing": TESTING, "test": TESTING},
    **{"validation": VALIDATION, "valid": VALIDATION, "val": VALIDATION},
}
_SMOKING = {"smoking"}
_NOT_SMOKING = {"notsmoking", "nonsmoking", "nosmoking"}
_AMBIGUOUS = re.compile("smok|cigar|tobacco|vap|hookah|shisha|pipe")
_KIND = re.compile(r"([a-z]+)_\d+")
_MEMORY = 1600


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


def read_table(file: Path, data: Path) -> list[Example]:
    """Reads a CSV file with the columns `COLUMNS`; its pictures are relative to the data folder.

    Raises:
        DatasetError: the file or the pictures are missing, or a value makes no sense.
    """
    examples: list[Example] = []
    names: set[str] = set()
    for number, row in enumerate(_rows(file, COLUMNS), start=2):
        name, dataset, kind, smoking, group, split = (row[column] for column in COLUMNS)
        if smoking not in ("0", "1") or split not in SPLITS:
            raise DatasetError(
                f"{file}, line {number}: expected smoking 0 or 1 and split {', '.join(SPLITS)}"
            )
        if name in names:
            raise DatasetError(f"{file}, line {number}: {name} is in the table twice")
        names.add(name)
        examples.append(Example(data / name, name, dataset, kind, smoking == "1", group, split))
    missing = [e.name for e in examples if not e.path.is_file()]
    if missing:
        raise DatasetError(
            f"{data}: {len(missing)} of the {len(examples)} pictures of {file} are missing, "
            f"the first is {missing[0]}"
        )
    return examples


def holds(file: Path, data: Path) -> bool:
    """Whether a folder holds any set of a table, detected from the first picture of each."""
    first = {row["set"]: row["picture"] for row in reversed(_rows(file, COLUMNS))}
    return any((data / name).is_file() for name in first.values())


def write_table(file: Path, examples: Iterable[Example]) -> None:
    """Writes what `read_table` reads."""
    with whole_file(file) as partial, open_csv(partial, "w") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(COLUMNS)
        for e in examples:
            writer.writerow((e.name, e.dataset, e.kind, int(e.smoking), e.group, e.split))


def find_examples(
    folder: Path, positive: Collection[str] = (), negative: Collection[str] = ()
) -> list[Example]:
    """Lists the labelled pictures of one data set by the names of its folders.

    ``smoking`` is Smoking; ``notsmoking``, ``nonsmoking`` and ``nosmoking`` are NotSmoking. A name
    that merely has to do with smoking (``smoker``, ``cigarette``, ``smoking_ban_sign``) has to be
    stated. The outermost folder that says something decides. Other folders (``drinking``) are
    NotSmoking where the set has a folder that says something. Case, spaces, dashes and underscores
    do not matter. ``Training``, ``Validation`` and ``Testing`` folders give the split; a
    ``groups.csv`` (path, group) in the folder or above it gives the groups.

    Args:
        folder: the data set.
        positive, negative: names of folders whose pictures are Smoking, and NotSmoking.

    Raises:
        DatasetError: the folder is missing, empty, or a label is missing or ambiguous.
    """
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise DatasetError(f"{folder}: there is no such folder")
    stated = {_plain(name): True for name in positive} | {_plain(name): False for name in negative}
    groups, found, labels = _groups(folder), [], []
    for path in sorted(find_pictures(folder)):
        parts = path.relative_to(folder).parts[:-1]
        splits = [_SPLIT_FOLDERS[p.lower()] for p in parts if p.lower() in _SPLIT_FOLDERS]
        folders = [p for p in parts if p.lower() not in _SPLIT_FOLDERS]
        label = _label(folders or [folder.name], stated, folder)
        name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
        kind = folders[-1] if folders else ""
        if _plain(kind) in _SMOKING | _NOT_SMOKING | stated.keys() and len(folders) < 2:
            match = _KIND.fullmatch(path.stem)
            kind = match[1] if match and _plain(match[1]) not in _SMOKING | _NOT_SMOKING else ""
        group, split = groups.get(name, name), splits[0] if splits else ""
        labels.append(label)
        found.append(Example(path, name, folder.name, kind, bool(label), group, split))
    if not found:
        raise DatasetError(f"{folder}: no pictures found")
    if all(label is None for label in labels):
        raise DatasetError(
            f"{folder}: no folder says which pictures show smoking. Name the folders Smoking and "
            f"NotSmoking, or state it: --positive FOLDER, --negative FOLDER"
        )
    return found


def describe(examples: Sequence[Example]) -> str:
    """What was understood: one line per set, label and folder with the number of pictures."""
    folders: dict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    for e in examples:
        folders[e.dataset, e.smoking][PurePosixPath(e.name).parent.name] += 1
    lines = []
    for (dataset, smoking), counts in sorted(folders.items()):
        named = ", ".join(f"{name} {n}" for name, n in counts.most_common(6))
        more = f" and {len(counts) - 6} more folders" if len(counts) > 6 else ""
        label = "Smoking" if smoking else "NotSmoking"
        lines.append(f"{dataset:<20}{label:<11}{counts.total():>6}  {named}{more}")
    splits = Counter(e.split or "no split yet" for e in examples)
    lines.append(", ".join(f"{split} {n}" for split, n in sorted(splits.items())))
    return "\n".join(lines)


def assign_splits(
    examples: Sequence[Example], folds: int, seed: int, known: Iterable[Example] = ()
) -> list[Example]:
    """Gives every picture without a split one: whole groups, stratified by set, kind and label.

    One part in ``folds`` becomes Validation, the rest Training. Of ``known`` pictures, kind, group
    and split are taken over by name.

    Raises:
        DatasetError: there are too few groups.
    """
    kept = {e.name: e for e in known}
    examples = [
        replace(e, kind=k.kind, group=k.group, split=k.split)
        if (k := kept.get(e.name)) and k.split
        else e
        for e in sorted(examples, key=lambda e: PurePosixPath(e.name))
    ]
    new = [i for i, e in enumerate(examples) if not e.split]
    if new:
        strata = np.array([f"{e.dataset}/{e.kind}/{int(e.smoking)}" for e in examples])[new]
        groups = np.array([examples[i].group for i in new])
        if len(set(groups.tolist())) < folds:
            raise DatasetError(f"expected at least {folds} groups to split, got {len(set(groups))}")
        folding = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        for places, split in zip(
            next(folding.split(new, strata, groups)), (TRAINING, VALIDATION), strict=True
        ):
            for place in places:
                examples[new[place]] = replace(examples[new[place]], split=split)
    return examples


def read_boxes(files: Sequence[Path]) -> dict[str, np.ndarray]:
    """Reads boxes around what is smoked, one row per box: ``path,x0,y0,x1,y1``.

    Returns:
        Name of a picture to ``float64[n, 4]``: left, top, right, bottom as shares of its width and
        height.

    Raises:
        DatasetError: a file is missing, or a box is empty or not within the picture.
    """
    found: dict[str, list[list[float]]] = defaultdict(list)
    for file in files:
        for number, row in enumerate(_rows(file, ("path", "x0", "y0", "x1", "y1")), start=2):
            try:
                box = [float(row[side]) for side in ("x0", "y0", "x1", "y1")]
            except (TypeError, ValueError):
                raise DatasetError(f"{file}, line {number}: expected four numbers") from None
            left, top, right, bottom = box
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise DatasetError(
                    f"{file}, line {number}: expected 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1"
                )
            found[row["path"]].append(box)
    return {name: np.array(boxes) for name, boxes in found.items()}


def read_names(file: Path) -> set[str]:
    """The pictures named in the column ``path`` of a CSV file, such as a list of wrong labels."""
    return {row["path"] for row in _rows(file, ("path",))}


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
    counts = Counter((key, smoking) for key, smoking, _ in keys)
    return np.array(
        [1.0 if share is None else share / counts[key, smoking] for key, smoking, share in keys]
    )


def load_pictures(examples: Sequence[Example]) -> tuple[list[Example], list[np.ndarray]]:
    """Reads pictures in their own shape for training, and names on the console what it cannot read.

    Returns:
        The examples that could be read, and ``uint8[height, width, 3]`` of each, RGB.
    """
    return _read(examples, lambda e: load_picture(e.path, SHORTER_SIDE))


def load_picture(path: Path, shorter: int) -> np.ndarray:
    """One picture, upright, RGB on white, ``uint8[height, width, 3]``, never enlarged."""
    image = read_thumbnail(path, max(_MEMORY, shorter))
    scale = shorter / min(image.size)
    if scale < 1:
        size = round(image.width * scale), round(image.height * scale)
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image)


def load_pixels(examples: Sequence[Example], size: int) -> tuple[list[Example], np.ndarray]:
    """Reads pictures as the edge app does: ``uint8[n, size, size, 3]``."""
    readable, pixels = _read(examples, lambda e: read_pixels(e.path, size))
    return readable, np.array(pixels, np.uint8).reshape(-1, size, size, 3)


def _read(examples: Sequence[Example], read) -> tuple[list[Example], list[np.ndarray]]:
    def attempt(example: Example) -> np.ndarray | PictureError:
        try:
            return read(example)
        except PictureError as error:
            return error

    readable, pictures = [], []
    with ThreadPoolExecutor() as pool:
        results = zip(examples, pool.map(attempt, examples), strict=True)
        for example, result in tqdm(
            results, "Reading pictures", len(examples), unit="picture", disable=None
        ):
            if isinstance(result, PictureError):
                tqdm.write(f"{example.path}: {result}; left out")
            else:
                readable.append(example)
                pictures.append(result)
    return readable, pictures


def open_csv(file: Path, mode: str = "r") -> TextIO:
    """Opens a table of pictures, whose names may be any bytes."""
    return file.open(mode, newline="", encoding="utf-8", errors="surrogateescape")


def _rows(file: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        with open_csv(file) as lines:
            reader = csv.DictReader(lines)
            if not set(columns) <= set(reader.fieldnames or ()):
                raise DatasetError(f"{file}: expected the columns {', '.join(columns)}")
            rows = list(reader)
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read ({error.strerror})") from None
    except csv.Error as error:
        raise DatasetError(f"{file}: cannot be read ({error})") from None
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            expected = len(reader.fieldnames or ())
            raise DatasetError(f"{file}, line {number}: expected {expected} values")
    return rows


def _groups(folder: Path) -> dict[str, str]:
    """Groups by ``set/picture``, from the set's own table and from one beside the sets."""
    groups = {}
    for table, prefix in ((folder.parent, ""), (folder, f"{folder.name}/")):
        if (table / "groups.csv").is_file():
            for row in _rows(table / "groups.csv", ("path", "group")):
                groups[prefix + row["path"]] = row["group"]
    return groups


def _label(folders: Sequence[str], stated: dict[str, bool], root: Path) -> bool | None:
    for name in folders:
        plain = _plain(name)
        if plain in stated:
            return stated[plain]
        if plain in _SMOKING | _NOT_SMOKING:
            return plain in _SMOKING
        if _AMBIGUOUS.search(plain):
            raise DatasetError(
                f"{root}: does a picture in {name} show somebody smoking? "
                f"State it: --positive {name} or --negative {name}"
            )
    return None


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
