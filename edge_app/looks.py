"""Looking again: which part of a picture deserves a closer look, and what the looks say together.

At 224 x 224 pixels a cigarette in an ordinary photograph is a few pixels. The class activation map
of the first look (Zhou and others, "Learning Deep Features for Discriminative Localization", 2016;
in its calibrated form here: the evidence map) says where a closer look would help. Squares around
its peak are cut from the picture, classified by the same model, and the logits averaged. Where to
look, how large and the calibration of the mean are part of the model file's ``decision.json``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are the first ones outside."""

SMALLEST = 0.4
"""The smallest crop, as a share of the shorter side. Large JPEGs are decoded at a reduced scale
with at least 2.5 times the model's input on both sides (`edge_app.imaging.REDUCED_DECODE`), so a
crop of this size has as many pixels as the input."""

_MOST = 4  # crops
_LARGEST_LOGIT = 16.0  # what float32 scores can tell apart


@dataclass(frozen=True)
class Looks:
    """When to look again, at how much, and how to combine the logits.

    Attributes:
        sizes: side of each square crop as a share of the picture's shorter side, in [0.4, 1).
        lowest: logit of the first look from which the picture is looked at again; ``from`` in JSON.
        upscale: how much a crop may be enlarged to the model's input beyond the picture's own
            pixels; a crop that would need more is left out.
        scale: slope of the calibration of the mean logit.
        bias: its intercept.

    Raises:
        ValueError: a value is no number, or outside of its range.

    >>> Looks(sizes=(0.7,), lowest=-2.0).combine([-1.0, 3.0])
    1.0
    """

    sizes: tuple[float, ...]
    lowest: float
    upscale: float = 1.5
    scale: float = 1.0
    bias: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.sizes, (list, tuple)) or not 1 <= len(self.sizes) <= _MOST:
            raise ValueError(f"expected 1 to {_MOST} sizes of looks, got {self.sizes!r}")
        object.__setattr__(self, "sizes", tuple(self.sizes))  # JSON gives a list
        for size in self.sizes:
            _check("size of a look", size, SMALLEST, 0.99)
        _check("from of the looks", self.lowest, -_LARGEST_LOGIT, _LARGEST_LOGIT)
        _check("upscale of the looks", self.upscale, 0.25, 4)
        _check("scale of the looks", self.scale, 0.01, 100)
        _check("bias of the looks", self.bias, -_LARGEST_LOGIT, _LARGEST_LOGIT)

    def combine(self, logits: Sequence[float]) -> float:
        """The logit of the score that several looks give together; see `combine_all`."""
        return float(combine_all(np.array([logits], float), self)[0])

    def to_dict(self) -> dict[str, Any]:
        """As it stands in ``decision.json``."""
        return {
            "sizes": list(self.sizes),
            "from": self.lowest,
            "upscale": self.upscale,
            "scale": self.scale,
            "bias": self.bias,
        }

    @classmethod
    def from_dict(cls, values: object) -> Looks:
        """From what stands in ``decision.json``.

        Raises:
            ValueError: a value is missing, unknown, or cannot be used.
        """
        if not isinstance(values, dict):
            raise ValueError(f"expected looks with sizes and from, got {values!r}")
        known = {"sizes", "from", "upscale", "scale", "bias"}
        if unknown := sorted(map(str, values.keys() - known)):
            raise ValueError(f"looks with an unknown key: {', '.join(unknown)}")
        if missing := sorted({"sizes", "from"} - values.keys()):
            raise ValueError(f"looks without {' and '.join(missing)}")
        rest = {name: value for name, value in values.items() if name != "from"}
        return cls(lowest=values["from"], **rest)


def regions(
    evidence: np.ndarray, width: int, height: int, looks: Looks, size: int = 224
) -> list[Box]:
    """Where to look again: a square of each size around the peak of the evidence map.

    A square that reaches beyond the picture is moved inside. One with too few pixels of the
    picture's own (`Looks.upscale`) is left out.

    Args:
        evidence: ``float[rows, columns]`` of the whole picture.
        width: of the upright picture in pixels.
        height: likewise.
        looks: sizes and limits.
        size: side of the model's input in pixels.

    Returns:
        Boxes in pixels of the upright picture, in the order of `Looks.sizes`.

    >>> evidence = np.zeros((7, 7))
    >>> evidence[0, 6] = 1  # top right
    >>> regions(evidence, 800, 600, Looks((0.7,), -2.0))
    [(380, 0, 800, 420)]
    """
    row, column = np.unravel_index(int(np.argmax(evidence)), evidence.shape)
    centre = (column + 0.5) / evidence.shape[1], (row + 0.5) / evidence.shape[0]
    boxes = (square(centre, share, width, height) for share in looks.sizes)
    return [box for box in boxes if (box[2] - box[0]) * looks.upscale >= size]


def square(centre: tuple[float, float], share: float, width: int, height: int) -> Box:
    """A square inside a picture.

    Args:
        centre: of the square as far as the picture allows, x and y in [0, 1].
        share: its side, relative to the shorter side of the picture.
        width: of the picture in pixels.
        height: likewise.
    """
    side = max(1, round(share * min(width, height)))
    left = min(max(round(centre[0] * width - side / 2), 0), width - side)
    top = min(max(round(centre[1] * height - side / 2), 0), height - side)
    return left, top, left + side, top + side


def combine_all(logits: np.ndarray, looks: Looks | None) -> np.ndarray:
    """The logits of the scores that the looks give together; of any number of pictures.

    Below `Looks.lowest` the first look alone counts, as the file gives it. From there on it is
    ``scale * mean + bias`` of all looks. The weights are equal because fitted ones gained nothing
    on held-out pictures. Both sides are calibrated log odds of the same label, so a score means
    the same on either side. The value may step at ``lowest``: there the new looks bring what the
    first could not see. That step is harmless because ``lowest`` is far below any threshold.

    Args:
        logits: ``float[pictures, looks]``, the first look first; NaN where one was not taken.
        looks: None for the first look alone.

    Returns:
        ``float64[pictures]``.
    """
    logits = np.asarray(logits, np.float64)
    first = logits[:, 0]
    if looks is None or logits.shape[1] == 1:
        return first.copy()
    taken = ~np.isnan(logits)
    mean = np.where(taken, logits, 0).sum(axis=1) / taken.sum(axis=1)
    again = (first >= looks.lowest) & (taken.sum(axis=1) > 1)
    return np.where(again, looks.scale * mean + looks.bias, first)


def logit(probability: float) -> float:
    """Log odds of a probability, limited to what float32 scores can tell apart.

    >>> logit(0.5), logit(0.0)
    (0.0, -16.0)
    """
    if not 0 < probability < 1:
        return math.copysign(_LARGEST_LOGIT, probability - 0.5)
    value = math.log(probability) - math.log1p(-probability)
    return min(max(value, -_LARGEST_LOGIT), _LARGEST_LOGIT)


def probability(value: float) -> float:
    """The inverse of `logit`.

    >>> probability(0.0)
    0.5
    """
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def _check(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(f"expected a {name} from {low:g} to {high:g}, got {value!r}")
