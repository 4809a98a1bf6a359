"""A vision transformer as one more teacher: DINOv2's ViT-S/14, fine-tuned on the same views.

Its first half is not trained: the tokens that it gives for each view are computed once and kept,
as `train.views` does for our own. Needs what ``requirements-vit.txt`` names, and torch has to be
loaded before TensorFlow: the triton that it brings ends the process otherwise.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from edge_app.files import whole_file
from train.crossvalidation import training_set
from train.data import Example
from train.dinov2 import PATCH, WIDTH, Back, Front, load
from train.hints import Hints
from train.recipe import Recipe
from train.training import TrainingSet
from train.views import CELLS, Filling, Views

WEIGHT_DECAY = 0.05
LAYER_DECAY = 0.75
"""Each block learns this much slower than the one behind it (Bao and others, "BEiT", 2021)."""
HEAD_RATE = 10
"""The heads, which are new, learn this much faster than the last block."""
MAX_GRADIENT_NORM = 3.0
CHECKPOINT_STEPS = 100
_BATCH = 32


def vit_bytes(size: int, folds: int) -> int:
    """What is kept of each view of each picture: pixels, tokens, and hints of each fold."""
    tokens, hints = 1 + (size // PATCH) ** 2, folds * (1 + CELLS * CELLS)
    return 3 * size * size + 2 * WIDTH * (tokens + hints)


def make_tokens(folder: Path, front: Front, views: Views) -> Views:
    """Computes what the frozen half gives for all views, or goes on where that was broken off.

    Args:
        folder: of this run alone, where it is kept.
        front: from `train.dinov2.load`.
        views: with their pixels.

    Returns:
        The same views with the tokens, ``float16[views + 1, n, 1 + patches, WIDTH]``, as features.
    """
    filling = Filling(folder / "tokens.done", *views.pixels.shape[:2], _BATCH)
    tokens = filling.array(folder / "tokens.npy", front.positions.shape[1], WIDTH)
    for place in filling.batches("Tokens"):
        with torch.no_grad(), _precision():
            tokens[place] = front(torch.tensor(views.pixels[place]).float()).float().numpy()
    return replace(views, features=tokens)


@dataclass(frozen=True)
class VitTeacher:
    """What the transformer says of all views, fine-tuned once for each fold, on the others.

    Attributes:
        weights: for `train.dinov2.load`.
        views: from `make_tokens`.
        examples: the pictures.
        usable: which may be trained on, ``bool[n]``.
        folds: the fold of each, ``int[n]``, -1 where all are trained on it.
        recipe: the numbers.
        folder: of this run alone, for what is kept until all of it is done.
    """

    weights: Path
    views: Views
    examples: Sequence[Example]
    usable: np.ndarray
    folds: np.ndarray
    recipe: Recipe
    folder: Path

    def says(self, fold: int | None) -> np.ndarray:
        """The logit of P(Smoking) of each view and blank, ``float32[views + 1, n + blanks]``.

        Args:
            fold: what a model says that was not trained on it; or None: the average of all of
                them, which have all been trained by then or are now.
        """
        return np.mean([self._of_fold(f)[0] for f in self._or_all(fold)], axis=0)

    def hints(self, fold: int | None) -> Hints:
        """What it gives for the whole of each view and for each cell of our last feature map.

        Args:
            fold: as in `says`.
        """
        return Hints([self._of_fold(f)[1] for f in self._or_all(fold)])

    def _or_all(self, fold: int | None) -> list[int]:
        return np.unique(self.folds[self.folds >= 0]).tolist() if fold is None else [fold]

    def _of_fold(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """The logits of a fold's transformer and its hints, which it is trained for if need be."""
        filling = Filling(self.folder / f"vit{fold}.done", *self.views.smoking.shape, _BATCH)
        logits = filling.array(self.folder / f"vit{fold}.npy", dtype=np.float32)
        hints = filling.array(self.folder / f"hints{fold}.npy", 1 + CELLS * CELLS, WIDTH)
        if filling.rest:
            checkpoint = self.folder / f"vit{fold}.pt"
            back = self._train(fold, checkpoint).eval()
            for place in filling.batches(f"What transformer {fold} says"):
                tokens = torch.tensor(self.views.features[place]).float()
                with torch.no_grad(), _precision():
                    last = back.encode(tokens)
                    logits[place] = back.decide(last)[0].numpy()
                hints[place] = _to_cells(last.float()).numpy()
            checkpoint.unlink(missing_ok=True)
        return logits, hints

    def _train(self, fold: int, checkpoint: Path) -> Back:
        torch.manual_seed(self.recipe.seed)
        _, back = load(self.weights, self.views.pixels.shape[2])
        places = np.flatnonzero((self.folds != fold) & self.usable)
        chosen = training_set(self.examples, self.views, places, self.recipe)
        return _fine_tune(back, chosen, self.recipe, f"Transformer {fold}", checkpoint)


def _to_cells(tokens: torch.Tensor) -> torch.Tensor:
    """Averages patches to cells: ``[n, 1 + patches, WIDTH]`` to ``[n, 1 + CELLS², WIDTH]``."""
    patches = tokens[:, 1:]
    side = math.isqrt(patches.shape[1])
    square = patches.mT.reshape(len(patches), -1, side, side)
    cells = nn.functional.adaptive_avg_pool2d(square, CELLS).flatten(2).mT
    return torch.cat([tokens[:, :1], cells], dim=1)


def _precision() -> torch.autocast:
    """Matrices in bfloat16 where the processor multiplies such, which is several times as fast."""
    can = torch.cpu.get_capabilities()
    fast = any(can.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))
    return torch.autocast("cpu", torch.bfloat16, enabled=fast)


def _fine_tune(
    back: Back, training: TrainingSet, recipe: Recipe, name: str, checkpoint: Path
) -> Back:
    """Trains in place, and returns the moving average of the weights.

    A run that was broken off goes on from its checkpoint, which is there at the end too.
    """
    steps = recipe.vit_steps
    optimizer = torch.optim.AdamW(_groups(back, recipe.vit_learning_rate))
    warmup = max(1, steps // 10)

    def factor(step: int) -> float:
        rest = 0.5 + 0.5 * math.cos(math.pi * step / steps)
        return min(1, (step + 1) / warmup) * (0.05 + 0.95 * rest)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    average = copy.deepcopy(back)
    parts = {"back": back, "average": average, "optimizer": optimizer, "schedule": schedule}
    done = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        done = saved.pop("steps")
        for part, state in saved.items():
            parts[part].load_state_dict(state)
    back.train()
    with tqdm(range(done, steps), name, initial=done, total=steps, disable=None) as bar:
        for step in bar:
            tokens, targets = training.batch(recipe, step)
            torch.manual_seed(recipe.seed + step)  # of the dropout
            with _precision():
                logits, cells = back(torch.tensor(tokens))
            loss = _loss(logits, cells, *map(torch.tensor, targets.values()), recipe.cell_weight)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(back.parameters(), MAX_GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            # Over the first steps it follows at once, so that it forgets where they began.
            momentum = min(recipe.vit_ema_momentum, (step + 1) / (step + 10))
            with torch.no_grad():
                for mean, now in zip(average.parameters(), back.parameters(), strict=True):
                    mean.lerp_(now, 1 - momentum)
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
            if (step + 1) % CHECKPOINT_STEPS == 0 or step + 1 == steps:
                state = {part: of.state_dict() for part, of in parts.items()}
                with whole_file(checkpoint) as partial:
                    torch.save({**state, "steps": step + 1}, partial)
    return average


def _loss(
    logits: torch.Tensor,
    cells: torch.Tensor,
    smoking: torch.Tensor,
    smoked: torch.Tensor,
    cell_weight: float,
) -> torch.Tensor:
    """The same as our own model's, see `train.training.cell_loss`.

    Args:
        logits: ``[n]``.
        cells: logits ``[n, CELLS, CELLS]``.
        smoking: targets ``[n, 1]``.
        smoked: targets of the cells, -1 where one is not known.
        cell_weight: of the cells' part.
    """
    entropy = nn.functional.binary_cross_entropy_with_logits
    of_cells = entropy(cells, smoked.clamp(min=0), (smoked >= 0).float(), reduction="sum")
    return entropy(logits, smoking[:, 0]) + cell_weight * of_cells / len(logits)


def _groups(back: Back, learning_rate: float) -> list[dict]:
    """The parameters with their learning rates."""
    last = len(back.blocks) - 1
    pretrained = [
        {"params": block.parameters(), "lr": learning_rate * LAYER_DECAY ** (last - place)}
        for place, block in enumerate(back.blocks)
    ]
    pretrained.append({"params": back.norm.parameters(), "lr": learning_rate})
    heads = (back.attention_pool, back.project, back.smoking, back.cell)
    new = [p for head in heads for p in head.parameters()]
    groups = [*pretrained, {"params": new, "lr": HEAD_RATE * learning_rate}]
    return [{**group, "weight_decay": WEIGHT_DECAY} for group in groups]
