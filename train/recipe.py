"""The numbers of a training run, in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training run; the defaults are those of the shipped model.

    Attributes:
        unfreeze_from: name of the first layer of the backbone that is trained.
        epochs: passes; one is ``samples`` pictures, drawn anew.
        samples: pictures an epoch.
        batch: pictures a step.
        learning_rate: peak; reached after one epoch, then falling to zero along a cosine.
        weight_decay: of AdamW.
        smoking_share: how many of the drawn pictures are of the class Smoking.
        label_smoothing: labels are drawn this far towards 1/2.
        false_alarms: share of NotSmoking validation pictures that the decision may get wrong.
        seed: of everything random.
    """

    unfreeze_from: str = "block_3_expand"
    epochs: int = 34
    samples: int = 2400
    batch: int = 32
    learning_rate: float = 1.5e-4
    weight_decay: float = 0.02
    smoking_share: float = 0.45
    label_smoothing: float = 0.05
    false_alarms: float = 0.03
    seed: int = 1

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return math.ceil(self.samples / self.batch)
