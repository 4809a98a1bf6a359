"""What the outputs of a model are: their names, the one that is looked for, their activation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.errors import ConversionError
from convert.source import Source
from convert.tail import find_tail
from edge_app.decision import Decision
from edge_app.description import positive_score
from edge_app.labels import choose_positive, rest_of, same_name

LABELS = ("NotSmoking", "Smoking")


@dataclass(frozen=True)
class Classes:
    """What the outputs of a model are.

    Attributes:
        labels: in the order of the outputs; two for a model of one output, P(the second).
        positive: the label that is looked for.
        activation: what the outputs are: ``softmax`` or ``sigmoid`` scores, or ``logits``.
    """

    labels: tuple[str, ...]
    positive: str
    activation: str

    @property
    def index(self) -> int:
        """Place of the positive label."""
        return self.labels.index(self.positive)

    @property
    def pair(self) -> tuple[str, str]:
        """The labels of the file: both in their order, or the rest and the positive one."""
        if len(self.labels) == 2:
            return self.labels[0], self.labels[1]
        return rest_of(self.labels, self.positive), self.positive

    def scores(self, outputs: np.ndarray) -> np.ndarray:
        """P(positive) from the model's outputs ``float[n, outputs]``."""
        return np.array([positive_score(row, self.activation, self.index) for row in outputs])

    def likelihoods(self, outputs: np.ndarray) -> np.ndarray:
        """A score for each label from the model's outputs, ``float[n, labels]``."""
        places = range(len(self.labels))
        return np.array(
            [[positive_score(row, self.activation, p) for p in places] for row in outputs]
        )

    def label_of(self, picture: Path) -> int | None:
        """Place of the label that a picture's folder has the name of; None where it has none's."""
        name = picture.parent.name
        return next((n for n, label in enumerate(self.labels) if same_name(label, name)), None)


def tell_classes(
    source: Source,
    raw: bytes,
    labels: Sequence[str] | None,
    positive: str | None,
    decision: Decision | None,
) -> tuple[Classes, tuple[str, ...]]:
    """Names the outputs of a model.

    Args:
        source: the model.
        raw: the model in float32, as a ``.tflite`` file.
        labels: the user's, in the order of the outputs; None for those of a file beside the model.
        positive: the user's choice.
        decision: the model's own; None where it has none.

    Returns:
        The classes, and what was assumed, one line each.

    Raises:
        ConversionError: the labels do not fit, or nothing says which one is looked for.
    """
    names = tuple(labels or source.labels)
    expected = max(source.outputs, 2)
    findings = []
    if not names and expected == 2:
        names = LABELS
        if decision is None:
            findings.append(f"labels: {', '.join(names)}, assumed; if not, say --labels A,B")
    if len(names) != expected:
        have = f"{len(names)} labels are given ({', '.join(names)})" if names else "it names none"
        raise ConversionError(
            f"{source.path}: has {source.outputs} output{'s'[: source.outputs > 1]} and {have}; "
            f"give {expected} in the order of the outputs, as --labels "
            f"{','.join('ABCDEFGH'[:expected])}, or put a labels.txt beside it. "
            "Keras's image_dataset_from_directory orders them by name"
        )
    if positive is None and decision is not None and decision.label in names:
        positive = decision.label
    try:
        chosen = choose_positive(names, positive)
    except ValueError as error:
        raise ConversionError(f"{source.path}: {error}") from None
    activation = find_tail(raw).activation
    if activation == "softmax" and source.outputs == 1:
        raise ConversionError(
            f"{source.path}: ends in softmax over one output, which is always 1; train it with a "
            "sigmoid, or with one output for each class"
        )
    if activation is None:
        activation = "softmax" if _are_scores(source) else "logits"
    return Classes(names, chosen, activation), tuple(findings)


def _are_scores(source: Source) -> bool:
    """Whether outputs without a known activation are scores that sum to 1, tried on noise."""
    if source.outputs == 1:
        return False
    rng = np.random.default_rng(0)
    noise = rng.random((4, source.size, source.size, 3)) * np.array([1, 1, 100, 255]).reshape(
        -1, 1, 1, 1
    )
    outputs = source.predict(noise.astype(np.float32))
    return bool(np.allclose(outputs.sum(1), 1, atol=1e-3) and outputs.min() >= 0)
