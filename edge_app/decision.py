"""The decision rule that turns a model's scores into a label, stored inside the model file.

The shipped ``.keras`` and ``.tflite`` files can both be read as ZIP archives, and each holds a
member ``decision.json``: the positive label, its threshold, the range of scores in which the model
is often wrong, when to look at a picture again (`edge_app.looks`), and how the threshold was
chosen. ``unzip -p model.tflite decision.json`` prints it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edge_app.archive import read_member
from edge_app.files import whole_file
from edge_app.looks import Looks

MEMBER = "decision.json"


@dataclass(frozen=True)
class Decision:
    """The rule "``label`` where its score is at least ``threshold``".

    Attributes:
        label: the positive label.
        threshold: in [0, 1].
        chosen: how the threshold was chosen, for people.
        uncertain: scores from the first to below the second are uncertain: the model is often
            wrong there; both in [0, 1], with the threshold between them. None where that was not
            measured.
        looks: when and where to look at a picture again; None for one look. Threshold and
            uncertain scores are those of the combined score.

    Raises:
        ValueError: a value is outside of its range.

    >>> Decision(threshold=0.7, chosen="by hand").threshold
    0.7
    """

    label: str = "Smoking"
    threshold: float = 0.5
    chosen: str = "default: the more probable label"
    uncertain: tuple[float, float] | None = None
    looks: Looks | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"expected a threshold in [0, 1], got {self.threshold}")
        if self.uncertain is not None:
            low, high = self.uncertain
            if not 0 <= low <= self.threshold <= high <= 1:
                raise ValueError(
                    f"expected uncertain scores around the threshold {self.threshold}, "
                    f"got {low} to {high}"
                )
            object.__setattr__(self, "uncertain", (low, high))  # JSON gives a list

    def is_uncertain(self, score: float) -> bool:
        """Whether a score of the label lies in the range in which the model is often wrong."""
        return self.uncertain is not None and self.uncertain[0] <= score < self.uncertain[1]

    def with_threshold(self, threshold: float) -> Decision:
        """The rule with the user's own threshold; without uncertain scores that exclude it."""
        low, high = self.uncertain or (0.0, 0.0)
        band = self.uncertain if low <= threshold <= high else None
        return dataclasses.replace(self, threshold=threshold, chosen="by the user", uncertain=band)

    def with_looks(self, most: int) -> Decision:
        """The rule with at most ``looks`` looks; 1 is the whole picture only.

        Raises:
            ValueError: ``most`` is below 1.
        """
        if most < 1:
            raise ValueError(f"expected at least 1 look, got {most}")
        if self.looks is None or most > len(self.looks.sizes):
            return self
        sizes = self.looks.sizes[: most - 1]
        looks = dataclasses.replace(self.looks, sizes=sizes) if sizes else None
        return dataclasses.replace(self, looks=looks)

    def to_json(self) -> str:
        """What ``decision.json`` holds; without ``looks`` where there is one look."""
        values: dict[str, Any] = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self)
        }
        values["looks"] = self.looks and self.looks.to_dict()
        if self.looks is None:
            del values["looks"]
        return json.dumps(values, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Decision:
        """From what ``decision.json`` holds.

        Raises:
            ValueError: it is no JSON, or a value cannot be used.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"expected an object, got {type(values).__name__}")
        if values.get("looks") is not None:
            values["looks"] = Looks.from_dict(values["looks"])
        try:
            return cls(**values)
        except TypeError as error:  # an unknown key, or text where a number belongs
            raise ValueError(str(error)) from None


def read_decision(archive: str | IO[bytes]) -> Decision | None:
    """Reads the decision from a model file, or None where it carries none.

    Raises:
        ValueError: the member is there and cannot be used.
    """
    if not zipfile.is_zipfile(archive):
        return None
    with zipfile.ZipFile(archive) as members:
        if MEMBER not in members.namelist():
            return None
        try:
            return Decision.from_json(read_member(members, MEMBER))
        except ValueError as error:
            raise ValueError(f"its {MEMBER} cannot be used: {error}") from None


def checksum_without(model: bytes) -> str:
    """Checksum of a model file without its decision: 16 hexadecimal digits of SHA-256.

    Files that differ in threshold or looks alone have the same.

    Args:
        model: the bytes of a ``.keras`` or ``.tflite`` file.
    """
    file = io.BytesIO(model)
    if not zipfile.is_zipfile(file):
        return hashlib.sha256(model).hexdigest()[:16]
    with zipfile.ZipFile(file) as members:
        checksum = hashlib.sha256(model[: _start(members)])
        for member in sorted(members.infolist(), key=lambda info: info.filename):
            if member.filename != MEMBER:
                checksum.update(f"{member.filename} {member.file_size} {member.CRC}\n".encode())
    return checksum.hexdigest()[:16]


def append_decision(archive: str, decision: Decision) -> None:
    """Adds the decision to a model file that has none."""
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as members:
        members.writestr(MEMBER, decision.to_json())


def replace_decision(model: str | os.PathLike[str], decision: Decision) -> None:
    """Writes another decision into a ``.keras`` or ``.tflite`` file; the rest stays as it is.

    The file changes whole or not at all.

    Raises:
        zipfile.BadZipFile: it is no model file with an archive inside.
    """
    path = Path(model)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as members:
        network = content[: _start(members)]
        kept = [
            (info, members.read(info)) for info in members.infolist() if info.filename != MEMBER
        ]
    with whole_file(path) as partial:
        partial.write_bytes(network)
        with zipfile.ZipFile(partial, "a") as members:
            for info, member in kept:
                members.writestr(info, member)  # compressed as it was
            # Without a time stamp, so that the same decision gives the same bytes.
            members.writestr(zipfile.ZipInfo(MEMBER), decision.to_json())


def _start(members: zipfile.ZipFile) -> int:
    """Where the archive begins: behind the network in a ``.tflite``, at 0 in a ``.keras``."""
    return min((info.header_offset for info in members.infolist()), default=0)
