"""The usual ways to turn pixels 0..255 into what a network was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Preprocessing:
    """``(pixel - mean) / std`` for each channel.

    Attributes:
        mean: subtracted from pixels 0..255, one for each channel of the network.
        std: what the difference is divided by, likewise.
        channels: the order that the network takes them in, ``RGB`` or ``BGR``.

    >>> Preprocessing.of_range(-1, 1).apply(np.array([[[0, 255, 255]]]))
    array([[[-1.,  1.,  1.]]], dtype=float32)
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: str = "RGB"

    def __post_init__(self) -> None:
        values = (*self.mean, *self.std)
        if len(self.mean) != 3 or len(self.std) != 3 or not np.isfinite(values).all():
            raise ValueError(f"expected three means and deviations, got {self.mean}, {self.std}")
        if 0 in self.std or self.channels not in ("RGB", "BGR"):
            raise ValueError(f"expected deviations other than 0, and RGB or BGR, got {self}")

    @classmethod
    def of_range(cls, black: float, white: float) -> Preprocessing:
        """From the values of a black and a white pixel.

        Raises:
            ValueError: they are the same.
        """
        if black == white:
            raise ValueError(f"expected different values for black and white, got {black:g} twice")
        std = 255 / (white - black)
        # `+ 0.0` takes the sign off a mean of zero.
        return cls((-black * std + 0.0,) * 3, (std,) * 3)

    @property
    def range(self) -> tuple[float, float] | None:
        """The values of black and white; None where they differ between the channels."""
        if len(set(self.mean)) > 1 or len(set(self.std)) > 1 or self.channels != "RGB":
            return None
        low = -self.mean[0] / self.std[0] + 0.0
        return low, low + 255 / self.std[0]

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Prepares pixels.

        Args:
            pixels: ``[..., 3]`` of any number type, RGB, 0 to 255.

        Returns:
            ``float32[..., 3]``
        """
        ordered = pixels[..., ::-1] if self.channels == "BGR" else pixels
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        prepared: np.ndarray = (ordered - mean) / std
        return prepared.astype(np.float32)

    def __str__(self) -> str:
        if (limits := self.range) is not None:
            return "[{:.3g}, {:.3g}]".format(*limits)
        named = next((name for name, known in NAMED.items() if known == self), None)
        if named:
            return named
        return f"{self.channels}, mean {_numbers(self.mean)}, std {_numbers(self.std)}"


NAMED = {
    "tf": Preprocessing.of_range(-1, 1),
    "caffe": Preprocessing((103.939, 116.779, 123.68), (1.0, 1.0, 1.0), "BGR"),
    "torch": Preprocessing((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}
"""By the names of ``keras.applications.imagenet_utils.preprocess_input``, with its constants."""


def choose(input_range: Sequence[float] | None, preprocess: str | None) -> Preprocessing | None:
    """What the options ``--input-range`` and ``--preprocess`` say; None where neither is given.

    Raises:
        ValueError: both are given, or the range is empty.
    """
    if input_range is not None and preprocess is not None:
        raise ValueError("--input-range and --preprocess exclude each other")
    if preprocess is not None:
        return NAMED[preprocess]
    return None if input_range is None else Preprocessing.of_range(*input_range)


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
