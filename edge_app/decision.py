"""What turns a score into a label, carried inside the model files themselves.

A ``.keras`` and a ``.tflite`` file of ours are both readable as ZIP archives, and each holds a
member ``decision.json``: which label is looked for, from which score on it is given, between which
scores the model is wrong too often to be taken at its word, and how these were chosen.
``unzip -p model.tflite decision.json`` shows it.
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
        uncertain: scores from the first to below the second are shown to people as uncertain;
            both in [0, 1], with the threshold between them. None where nobody measured it.

    >>> Decision(threshold=0.7, chosen="by hand").threshold
    0.7
    """

    label: str = "Smoking"
    threshold: float = 0.5
    chosen: str = "default: the more probable label"
    uncertain: tuple[float, float] | None = None

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
        """Whether a score of the label is one that people should not be given as an answer."""
        return self.uncertain is not None and self.uncertain[0] <= score < self.uncertain[1]

    def with_threshold(self, threshold: float) -> Decision:
        """The rule with the user's own threshold, without a band that it lies outside of."""
        low, high = self.uncertain or (0.0, 0.0)
        band = self.uncertain if low <= threshold <= high else None
        return Decision(self.label, threshold, "by the user", band)

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
