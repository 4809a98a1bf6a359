"""Whether a model's labels are in the order of its outputs, as the labelled pictures tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from convert.classes import Classes

_LEAST_ACCURACY = 0.7
"""A model that is right on fewer of the labelled pictures may be given the wrong input."""
_LEAST_OF_MANY = 0.5
"""The same with more than two labels, which are easier to mistake for each other."""
_LEAST_RECALL = 0.5
"""So may one that finds fewer of the pictures of the positive label."""
_FEWEST, _FEWEST_OF_LABEL = 16, 6
"""Numbers of pictures that tell something: in all, and of one label."""


def accuracy_warning(
    kind: str, classes: Classes, answers: np.ndarray, places: Sequence[int | None]
) -> str:
    """A warning where the model itself is wrong too often, or nothing.

    Args:
        kind: of the model, as in `convert.source.Source`.
        classes: what its outputs are.
        answers: place of the label that it gives to each picture, ``int[n]``.
        places: those that the pictures' folders have the names of; None where they have none's.
    """
    known = [i for i, place in enumerate(places) if place is not None]
    truth, given = np.array([places[i] for i in known]), answers[known]
    right, positive = given == truth, truth == classes.index
    found, shown = int(right[positive].sum()), int(positive.sum())
    least = _LEAST_ACCURACY if len(classes.labels) == 2 else _LEAST_OF_MANY
    misses = shown >= _FEWEST_OF_LABEL and found < _LEAST_RECALL * shown
    if len(known) < _FEWEST or (right.mean() >= least and not misses):
        return ""
    order = told_order(classes.labels, truth, given)
    advice = f" By the pictures it is --labels {quoted(order)}" if order else ""
    return (
        f"the {kind} model itself is right on {right.mean():.0%} of {len(known)} labelled "
        f"pictures, and finds {found} of the {shown} of {classes.positive}: is the input range "
        f"right, and are the labels in the order of its outputs ({', '.join(classes.labels)})?"
        f"{advice}"
    )


def told_order(
    labels: Sequence[str], truth: np.ndarray, answers: np.ndarray
) -> tuple[str, ...] | None:
    """The order of the labels that fits the pictures; None where it is the same, or not clear.

    It is clear where most pictures of each label, of all but one at least, get an answer that most
    of no other label get.

    Args:
        labels: as they are given.
        truth: place of each picture's label among these, ``int[n]``.
        answers: the output that is the largest for it, ``int[n]``.

    >>> told_order(["no", "yes"], np.arange(20) % 2, 1 - np.arange(20) % 2)
    ('yes', 'no')
    """
    told: dict[int, str] = {}
    for place, label in enumerate(labels):
        theirs = answers[truth == place].tolist()
        if len(theirs) < _FEWEST_OF_LABEL:
            continue
        ((output, count),) = Counter(theirs).most_common(1)
        if count <= len(theirs) / 2 or output in told:
            return None
        told[output] = label
    missing = [label for label in labels if label not in told.values()]
    if len(missing) > 1 or len(labels) - len(missing) < 2:
        return None
    order = tuple(told[n] if n in told else missing[0] for n in range(len(labels)))
    return None if order == tuple(labels) else order


def quoted(labels: Sequence[str]) -> str:
    """Labels as the option ``--labels`` takes them in a shell."""
    text = ",".join(labels)
    return text if all(c.isalnum() or c in ",-_" for c in text) else f'"{text}"'
