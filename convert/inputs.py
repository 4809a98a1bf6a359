"""Finds out what a model takes for pixels, instead of assuming it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np

from convert.classes import Classes
from convert.errors import ConversionError
from convert.order import quoted, told_order
from convert.slope import scales_pixels
from convert.source import Source
from edge_app.preprocessing import NAMED, Preprocessing

PICTURES = 96
"""Largest number of labelled pictures used."""
_CHANCE = 0.05

PIXELS = Preprocessing.of_range(0, 255)
_CANDIDATES = {
    "[-1, 1]": NAMED["tf"],
    "[0, 1]": Preprocessing.of_range(0, 1),
    "[0, 255]": PIXELS,
    "caffe": NAMED["caffe"],
    "torch": NAMED["torch"],
}
_ADVICE = (
    "say what the model was trained on. Pixels divided by 255: --input-range 0 1; by 127.5, less "
    "1, as in Teachable Machine: --input-range -1 1; neither: --input-range 0 255; "
    "preprocess_input of ResNet50 or VGG16: --preprocess caffe; ImageNet's mean and deviation: "
    "--preprocess torch"
)


@dataclass(frozen=True)
class Input:
    """What a model takes for pixels.

    Attributes:
        preprocessing: what its author does to pixels 0..255.
        inside: whether the model itself prepares them.
        finding: how that is known, one line.
    """

    preprocessing: Preprocessing
    inside: bool
    finding: str


def tell_input(
    source: Source,
    classes: Classes,
    given: Preprocessing | None,
    pixels: np.ndarray,
    labels: list[int | None],
    say: Callable[[str], None],
) -> Input:
    """Finds out what a model takes for pixels.

    Args:
        source: the model.
        classes: what its outputs are.
        given: what the user says; None to find out.
        pixels: pictures ``uint8[n, size, size, 3]``.
        labels: place of each picture's label; None where it is not known.
        say: takes a line for the user.

    Raises:
        ConversionError: it is not clear; the message says which option to give.
    """
    if given is not None:
        return Input(given, False, f"input: {given}, as you said")
    if scales_pixels(source):
        return Input(PIXELS, True, "input: [0, 255], since the model scales it itself")
    if source.from_teachable_machine:
        return Input(NAMED["tf"], False, "input: [-1, 1], as Teachable Machine has it")
    known = [i for i, label in enumerate(labels) if label is not None][:PICTURES]
    if len({labels[i] for i in known}) < 2:
        names = " and ".join(classes.labels)
        raise ConversionError(
            f"{source.path}: its graph does not tell what it takes for pixels, and there are no "
            f"pictures in folders of the names {names} to find out with; {_ADVICE}"
        )
    truth = np.array([labels[i] for i in known])
    answers = _try(source, classes, pixels[known])
    tried = {name: given == truth for name, given in answers.items()}
    say(
        "  right with each way to prepare the pixels, of " + str(len(known)) + " labelled pictures:"
    )
    for name, right in tried.items():
        say(f"    {name:<9}{right.mean():6.1%}")
    best = _clearly_best(tried, truth)
    _check_order(source, classes, answers, truth)
    if best is None:
        raise ConversionError(
            f"{source.path}: it is not clear from the pictures what the model takes; {_ADVICE}"
        )
    return Input(_CANDIDATES[best], False, f"input: {best}, with which it is right most often")


def _try(source: Source, classes: Classes, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Place of the label that each picture gets with each way to prepare it, ``int[n]``."""
    return {
        name: classes.likelihoods(source.predict(way.apply(pixels))).argmax(1)
        for name, way in _CANDIDATES.items()
    }


def _check_order(
    source: Source, classes: Classes, answers: dict[str, np.ndarray], truth: np.ndarray
) -> None:
    """Refuses labels in an order that fits the pictures clearly worse than another one.

    Raises:
        ConversionError: it names the order that fits.
    """
    most = max(int((given == truth).sum()) for given in answers.values())
    for name, given in answers.items():
        order = told_order(classes.labels, truth, given)
        if order is None:
            continue
        right = np.array([classes.labels.index(order[place]) for place in given]) == truth
        hits, share = int(right.sum()), float((given == truth).mean())
        if _tail_of_binomial(hits, len(truth), max(most / len(truth), 0.5)) <= _CHANCE:
            raise ConversionError(
                f"{source.path}: the labels are not in the order of its outputs: with {name} it is "
                f"right on {share:.1%} of the labelled pictures, and on {right.mean():.1%} with "
                f"--labels {quoted(order)}; give them in that order"
            )


def _clearly_best(tried: dict[str, np.ndarray], truth: np.ndarray) -> str | None:
    """The way that is right clearly more often than guessing and than each other way.

    By one-sided sign tests. Confidence says nothing here: a wrong scale makes a network surer.
    """
    best = max(tried, key=lambda name: int(tried[name].sum()))
    right = tried[best]
    commonest = max(np.mean(truth == label) for label in set(truth.tolist()))
    if _tail_of_binomial(int(right.sum()), len(right), float(commonest)) > _CHANCE:
        return None
    for name, other in tried.items():
        if name == best:
            continue
        more, less = int((right & ~other).sum()), int((other & ~right).sum())
        if not more or _tail_of_binomial(more, more + less, 0.5) > _CHANCE:
            return None
    return best


def _tail_of_binomial(hits: int, trials: int, chance: float) -> float:
    """P(at least so many hits)."""
    return sum(
        comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(hits, trials + 1)
    )
