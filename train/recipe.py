"""The numbers of a training run, in one place."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training run; the defaults are those of the shipped model.

    Attributes:
        unfreeze_from: name of the first layer of the backbone that is trained.
        epochs: passes; one is ``samples`` pictures, drawn anew.
        samples: pictures an epoch.
        sizes: sides in pixels that are trained at, one after the other. Small pictures cost a
            fraction of large ones and teach most of it; the last size is that of the model.
            Multiples of 32, so that the backbone pads them all alike.
        size_shares: the share of the epochs that each size gets.
        batch: pictures a step.
        learning_rate: peak; reached after one epoch, then falling to zero along a cosine.
        weight_decay: of AdamW.
        weight_average: the weights that are kept are an average over the steps, the last one
            counting for 1 minus this (an exponential moving average); 0 keeps the last weights.
        smoking_share: how many of the drawn pictures are of the class Smoking.
        blanks: share of pictures that show nothing: black, one colour, a gradient, noise.
        mixup: the parameter of the Beta distribution of mixup (Zhang and others, 2018), which
            half of the batches get; 0 for none.
        label_smoothing: labels are drawn this far towards 1/2.
        action_weight: weight of a second task, learnt beside the first and thrown away: to tell
            the actions apart in a data set that has a folder for each; 0 for none.
        false_alarms: share of NotSmoking validation pictures that the decision may get wrong.
        seed: of everything random.
    """

    unfreeze_from: str = "block_3_expand"
    epochs: int = 34
    samples: int = 2400
    sizes: tuple[int, ...] = (224,)
    size_shares: tuple[float, ...] = (1.0,)
    batch: int = 32
    learning_rate: float = 1.5e-4
    weight_decay: float = 0.02
    weight_average: float = 0.0
    smoking_share: float = 0.45
    blanks: float = 0.0
    mixup: float = 0.0
    label_smoothing: float = 0.05
    action_weight: float = 0.0
    false_alarms: float = 0.03
    seed: int = 1

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return math.ceil(self.samples / self.batch)

    def size_at(self, epoch: int) -> int:
        """The side in pixels that an epoch, counted from 0, is trained at."""
        ends = itertools.accumulate(self.size_shares)
        progress = (epoch + 0.5) / self.epochs
        return next(
            (size for size, end in zip(self.sizes, ends, strict=True) if progress < end),
            self.sizes[-1],
        )
