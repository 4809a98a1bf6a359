"""What turns a score into a label, carried inside the model files themselves.

A ``.keras`` and a ``.tflite`` file of ours are both readable as ZIP archives, and each holds a
member ``decision.json``: which label is looked for, from which score on it is given, and how that
threshold was chosen. ``unzip -p model.tflite decision.json`` shows it.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass
from typing import IO

MEMBER = "decision.json"


@dataclass(frozen=True)
class Decision:
    """The rule "``label`` where its score is at least ``threshold``".

    Attributes:
        label: the label that is looked for.
        threshold: in [0, 1].
        chosen: how the threshold was chosen, for people.

    >>> Decision(threshold=0.7, chosen="by hand").threshold
    0.7
    """

    label: str = "Smoking"
    threshold: float = 0.5
    chosen: str = "default: the more probable label"

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"expected a threshold in [0, 1], got {self.threshold}")

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


def read_decision(archive: str | IO[bytes]) -> Decision | None:
    """Reads the decision from a model file, or None where it carries none.

    Raises:
        ValueError: the member is there and makes no sense.
    """
    if not zipfile.is_zipfile(archive):
        return None
    with zipfile.ZipFile(archive) as members:
        if MEMBER not in members.namelist():
            return None
        try:
            return Decision(**json.loads(members.read(MEMBER)))
        except (TypeError, ValueError) as error:
            raise ValueError(f"its {MEMBER} cannot be used: {error}") from None


def append_decision(archive: str, decision: Decision) -> None:
    """Adds the decision to a model file that has none."""
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as members:
        members.writestr(MEMBER, decision.to_json())
