"""What a foreign model file does not say, and a copy of it carries as ``description.json``."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass

import numpy as np

from edge_app.archive import read_member
from edge_app.decision import Decision
from edge_app.labels import rest_of
from edge_app.metadata import Metadata
from edge_app.preprocessing import Preprocessing

MEMBER = "description.json"


@dataclass(frozen=True)
class Description:
    """What a foreign model file does not say.

    Attributes:
        name: of the model.
        labels: in the order of the outputs; two for a model of one output, P(the second).
        positive: the label that is looked for.
        mean, std, channels: as in `edge_app.preprocessing.Preprocessing`.
        activation: what the outputs are: ``softmax`` or ``sigmoid`` scores, or ``logits``.
    """

    name: str
    labels: tuple[str, ...]
    positive: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: str
    activation: str

    @property
    def preprocessing(self) -> Preprocessing:
        return Preprocessing(tuple(self.mean), tuple(self.std), self.channels)

    @property
    def metadata(self) -> Metadata:
        """The same as the metadata of a classifier of two classes: the rest, the positive."""
        labels = (rest_of(self.labels, self.positive), self.positive)
        text = f"foreign model with the labels {', '.join(self.labels)}"
        return Metadata(self.name, "as given", text, labels, tuple(self.mean), tuple(self.std))

    @property
    def decision(self) -> Decision:
        return Decision(label=self.positive)

    def scores(self, outputs: np.ndarray) -> np.ndarray:
        """The scores of the rest and of the positive label, ``float[2]``.

        Args:
            outputs: of the model, ``float32[classes]``.
        """
        score = positive_score(outputs, self.activation, self.labels.index(self.positive))
        return np.array([1 - score, score])


def positive_score(outputs: np.ndarray, activation: str, place: int) -> float:
    """P(positive) from a model's outputs.

    Args:
        outputs: ``float32[classes]``.
        activation: as in `Description`.
        place: of the positive label among the labels.
    """
    if activation == "logits":
        pair = outputs if len(outputs) > 1 else np.array([0, outputs[0]])
        powers = np.exp(pair - pair.max())
        return float(powers[place] / powers.sum())
    if len(outputs) == 1:
        return float(outputs[0] if place else 1 - outputs[0])
    return float(outputs[place])


def read_description(model: bytes) -> Description | None:
    """The description that a copy carries; None for every other file.

    Raises:
        ValueError: it is there and makes no sense.
    """
    archive = io.BytesIO(model)
    if not zipfile.is_zipfile(archive):
        return None
    with zipfile.ZipFile(archive) as members:
        if MEMBER not in members.namelist():
            return None
        try:
            fields = json.loads(read_member(members, MEMBER))
            fields["labels"] = tuple(fields["labels"])
            description = Description(**fields)
            _ = description.preprocessing, description.labels.index(description.positive)
            return description
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"its {MEMBER} cannot be used: {error}") from None
