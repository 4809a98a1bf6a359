"""The numbers of a training run, in one place."""

from __future__ import annotations

from dataclasses import dataclass

_SHARES = (
    *("pairs", "decay", "ema_momentum", "dropout", "smoking_share", "label_smoothing"),
    *("teacher_weight", "vit_ema_momentum"),
)


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training run; the defaults take an hour and a half on two cores.

    Attributes:
        cut: name of the backbone layer up to which nothing is trained. What it gives is computed
            once for every view, which leaves training with less than half of its arithmetic.
        views: random views of each picture.
        blanks: how many pictures that show nothing (black, one colour, a gradient, noise) are
            added as NotSmoking, each in as many views.
        pairs: share of the views that are made of two pictures, see `train.augment`.
        folds: parts of the cross-validation.
        scored_folds: how many of them are scored, each by a model of its own; fewer save time.
        steps: batches of each fold's training.
        final_steps: batches of the training on all pictures, which begins at the average of the
            folds' weights. With teachers, but no transformer among them: of each fold's too, and
            all begin as the first teacher.
        batch: pictures a batch.
        warmup: steps in which the learning rate rises, from a twentieth.
        learning_rate: what it rises to, and stays at until it falls.
        decay: share of the steps, at the end, in which it falls to a twentieth; in the training on
            all pictures too.
        final_learning_rate: as ``learning_rate``, of the training on all pictures.
        ema_momentum: of the exponential moving average of the weights that a training ends with:
            0.998 looks back over some 500 steps; 0 takes the last step's.
        weight_decay: of AdamW.
        dropout: share of the features that the last layer does not see in training.
        smoking_share: how many of the drawn pictures are of the class Smoking; a view of one may
            leave out the smoker.
        label_smoothing: labels are drawn this far towards 1/2.
        cell_weight: of what is learnt beside the label: which cells of the last feature map show
            what is smoked, where boxes tell.
        teacher_weight: how much of the label of a view is what the teachers say of it, where there
            are any.
        hint_weight: of what is learnt beside the label from a transformer's features, see
            `train.hints`.
        vit_steps: batches of the training of each fold's transformer, where one teaches.
        vit_learning_rate: of its last block; it falls to a twentieth.
        vit_ema_momentum: as ``ema_momentum``.
        false_alarms: share of the NotSmoking pictures that the decision may get wrong in
            cross-validation.
        seed: of everything random.

    Raises:
        ValueError: a number makes no sense.
    """

    cut: str = "block_2_add"
    views: int = 16
    blanks: int = 64
    pairs: float = 0.4
    folds: int = 5
    scored_folds: int = 5
    steps: int = 2000
    final_steps: int = 400
    batch: int = 32
    warmup: int = 250
    learning_rate: float = 1.5e-4
    decay: float = 0.0
    final_learning_rate: float = 7e-5
    ema_momentum: float = 0.998
    weight_decay: float = 0.02
    dropout: float = 0.3
    smoking_share: float = 0.5
    label_smoothing: float = 0.05
    cell_weight: float = 0.1
    teacher_weight: float = 0.7
    hint_weight: float = 1.0
    vit_steps: int = 600
    vit_learning_rate: float = 1e-4
    vit_ema_momentum: float = 0.99
    false_alarms: float = 0.025
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("views", "steps", "final_steps", "batch", "scored_folds", "vit_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more")
        if self.folds < 2:
            raise ValueError("folds: expected 2 or more")
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a share, from 0 to 1")
        if not 0 < self.false_alarms < 1:
            raise ValueError("false_alarms: expected a share above 0 and below 1, as 0.025")
