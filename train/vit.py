"""A vision transformer as one more teacher: DINOv2's ViT-S/14, fine-tuned on the same views.

It has ten times the weights of the model that it teaches, and saw 142 million pictures before
these (Oquab and others, "DINOv2: Learning Robust Visual Features without Supervision", 2023). Its
first half is not trained: the tokens that it gives for each view are computed once and kept, as
`train.views` does for our own. Needs what ``requirements-vit.txt`` names.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import nn
from tqdm import tqdm

from edge_app.files import whole_file
from train.crossvalidation import training_set
from train.data import Example
from train.hints import Hints
from train.recipe import Recipe
from train.training import TrainingError, TrainingSet
from train.views import CELLS, Views

WIDTH, HEADS, BLOCKS, PATCH = 384, 6, 12, 14
FROZEN = 6
"""Blocks that are not trained."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, RGB in [0, 1]: DINOv2 was trained with these."""
WEIGHT_DECAY = 0.05
LAYER_DECAY = 0.75
"""Each block learns this much slower than the one behind it (Bao and others, "BEiT", 2021)."""
HEAD_RATE = 10
"""The heads, which are new, learn this much faster than the last block."""
LONGEST_GRADIENT = 3.0
CHECKPOINT_STEPS = 100
_BATCH = 32


class Block(nn.Module):
    """A layer of a vision transformer, with DINOv2's scales. Tokens ``[n, tokens, WIDTH]``."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.scale1 = nn.Parameter(torch.ones(WIDTH))
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )
        self.scale2 = nn.Parameter(torch.ones(WIDTH))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.norm1(tokens)
        tokens = tokens + self.scale1 * self.attention(x, x, x, need_weights=False)[0]
        return tokens + self.scale2 * self.mlp(self.norm2(tokens))


class Front(nn.Module):
    """What is not trained: pixels ``float32[n, size, size, 3]``, RGB in [0, 255], to tokens."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.class_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.zeros(1, 1 + (size // PATCH) ** 2, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(FROZEN)))
        self.register_buffer("mean", 255 * torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("deviation", 255 * torch.tensor(DEVIATION).view(3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = (pixels.permute(0, 3, 1, 2) - self.mean) / self.deviation
        patches = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), patches], dim=1)
        return self.blocks(tokens + self.positions)


class Back(nn.Module):
    """What is trained: tokens to a logit ``[n]`` and to logits of the cells ``[n, CELLS, CELLS]``.

    Beside the token that sums up the picture, the head sees four averages of its patches, each
    weighted as it learns: what is smoked is in one of them or two.
    """

    def __init__(self) -> None:
        super().__init__()
        averages, features = 4, 128
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS - FROZEN)))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.look = nn.Linear(WIDTH, averages)
        self.see = nn.Linear(WIDTH, features)
        self.dropout = nn.Dropout(0.2)
        self.smoking = nn.Linear(WIDTH + averages * features, 1)
        self.cell = nn.Linear(WIDTH, 1)
        nn.init.zeros_(self.smoking.weight)
        nn.init.constant_(self.cell.bias, -math.log(CELLS * CELLS))  # as in `train.model`

    def encode(self, tokens: torch.Tensor) -> torch.Tensor:
        """The last tokens, from those of the frozen half; both ``[n, 1 + patches, WIDTH]``."""
        return self.norm(self.blocks(tokens))

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.decide(self.encode(tokens))

    def decide(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the heads make of the last tokens, as `forward` returns it."""
        whole, patches = x[:, 0], x[:, 1:]
        weights = self.look(patches).float().softmax(dim=1).to(patches.dtype)
        seen = weights.transpose(1, 2) @ nn.functional.gelu(self.see(patches))
        logits = self.smoking(self.dropout(torch.cat([whole, seen.flatten(1)], dim=1)))
        side = math.isqrt(patches.shape[1])
        cells = self.cell(patches).float().view(-1, 1, side, side)
        return logits[:, 0].float(), nn.functional.adaptive_max_pool2d(cells, CELLS)[:, 0]


def load(file: Path, size: int) -> tuple[Front, Back]:
    """Both parts, with the weights of an ONNX file that holds Hugging Face's ``Dinov2Model``.

    Args:
        file: as PyTorch exports it, with whatever comes behind the backbone.
        size: of the pictures, in pixels: a multiple of PATCH.

    Raises:
        TrainingError: it is no such file.
    """
    try:
        graph = onnx.load(file).graph
    except DecodeError as error:
        raise TrainingError(f"--vit: {file} is not an ONNX file: {error}") from None
    weights = _named(graph)
    front, back = Front(size), Back()
    try:
        for number, block in enumerate([*front.blocks, *back.blocks]):
            block.load_state_dict(_block_state(weights, number))
        for part, name in (
            (front.patches, "embeddings.patch_embeddings.projection"),
            (back.norm, "layernorm"),
        ):
            part.load_state_dict({k: weights[f"{name}.{k}"] for k in ("weight", "bias")})
        front.class_token.data = weights["embeddings.cls_token"]
        front.positions.data = _positions(weights, size // PATCH)
    except (KeyError, RuntimeError) as error:
        raise TrainingError(f"--vit: {file} is not a DINOv2 ViT-S/14: {error}") from None
    return front.eval(), back


def _named(graph: onnx.GraphProto) -> dict[str, torch.Tensor]:
    """The weights by ``Dinov2Model``'s names; an exporter gives some of them numbers instead."""
    given = {i.name: torch.tensor(numpy_helper.to_array(i)) for i in graph.initializer}
    weights = {}
    for name, value in given.items():
        short = re.sub(r"^.*?(?=(embeddings|encoder\.layer|layernorm)\.)", "", name)
        if not short.startswith("onnx::"):
            weights[short] = value
        elif value.shape == (1, 1, WIDTH):
            weights["position of the class token"] = value
        elif value.ndim == 3 and value.shape[::2] == (1, WIDTH):
            weights["positions"] = value
    for node in graph.node:
        product = re.search(r"encoder/layer\.(\d+)/(.+)/MatMul$", node.name)
        if product and node.input[1] in given:  # as [in, out]; torch has [out, in]
            place = f"encoder.layer.{product[1]}.{product[2].replace('/', '.')}.weight"
            weights[place] = given[node.input[1]].T
    return weights


def _block_state(weights: dict[str, torch.Tensor], number: int) -> dict[str, torch.Tensor]:
    own = {
        "norm1": "norm1",
        "attention.out_proj": "attention.output.dense",
        "norm2": "norm2",
        "mlp.0": "mlp.fc1",
        "mlp.2": "mlp.fc2",
    }
    layer = f"encoder.layer.{number}"
    state = {
        f"{ours}.{kind}": weights[f"{layer}.{theirs}.{kind}"]
        for ours, theirs in own.items()
        for kind in ("weight", "bias")
    }
    for kind in ("weight", "bias"):
        parts = [
            weights[f"{layer}.attention.attention.{p}.{kind}"] for p in ("query", "key", "value")
        ]
        state[f"attention.in_proj_{kind}"] = torch.cat(parts)
    for place in (1, 2):
        state[f"scale{place}"] = weights[f"{layer}.layer_scale{place}.lambda1"]
    return state


def _positions(weights: dict[str, torch.Tensor], side: int) -> torch.Tensor:
    """Position embeddings for ``side`` x ``side`` patches, and the class token's before them."""
    given = weights["positions"]
    square = given.view(1, math.isqrt(given.shape[1]), -1, WIDTH).permute(0, 3, 1, 2)
    square = nn.functional.interpolate(square, size=(side, side), mode="bicubic")
    return torch.cat([weights["position of the class token"], square.flatten(2).mT], dim=1)


@dataclass(frozen=True)
class VitTeacher:
    """What the transformer says of all views, fine-tuned once for each fold, on the others.

    Attributes:
        weights: for `load`.
        views: with their pixels.
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
        """The logit of P(Smoking) of each view and blank, ``float32[views + 1, n]``.

        Args:
            fold: what a model says that was not trained on it; or None: the average of all of
                them, which have all been trained by then or are now.
        """
        if fold is None:
            return np.mean([self.says(f) for f in np.unique(self.folds[self.folds >= 0])], axis=0)
        self._train(fold)
        return np.load(self.folder / f"vit{fold}.npy")

    def hints(self, fold: int | None) -> Hints:
        """What it gives for the whole of each view and for each cell of our last feature map.

        Args:
            fold: as in `says`.
        """
        folds = np.unique(self.folds[self.folds >= 0]) if fold is None else [fold]
        for one in folds:
            self._train(one)
        return Hints([np.load(self.folder / f"hints{f}.npy", mmap_mode="r") for f in folds])

    def _train(self, fold: int) -> None:
        """Writes what the transformer of a fold says and gives, unless that is there."""
        kept = self.folder / f"vit{fold}.npy"
        if not kept.exists():
            places = np.flatnonzero((self.folds != fold) & self.usable)
            chosen = training_set(self.examples, self._tokens, places, self.recipe)
            _, back = load(self.weights, self.views.pixels.shape[2])
            back = _fine_tune(
                back, chosen, self.recipe, f"Transformer {fold}", self.folder / f"vit{fold}.pt"
            )
            with whole_file(self.folder / f"hints{fold}.npy") as partial:
                logits = self._predict(back, f"What transformer {fold} says", partial)
            with whole_file(kept) as partial, open(partial, "wb") as file:
                np.save(file, logits)

    @cached_property
    def _tokens(self) -> Views:
        """The views, with what the frozen half gives for each as their features."""
        kept = self.folder / "tokens.npy"
        if not kept.exists():
            front, _ = load(self.weights, self.views.pixels.shape[2])
            shape = *self.views.pixels.shape[:2], front.positions.shape[1], WIDTH
            with whole_file(kept) as partial:
                tokens = np.lib.format.open_memmap(partial, "w+", np.float16, shape)
                for view, part in self._batches("Tokens"):
                    pixels = torch.tensor(self.views.pixels[view, part]).float()
                    with torch.no_grad(), _bfloat16():
                        tokens[view, part] = front(pixels).float().numpy()
                tokens.flush()
        return replace(self.views, features=np.load(kept, mmap_mode="r"))

    def _predict(self, back: Back, name: str, hints_file: Path) -> np.ndarray:
        """Returns the logits, and writes the hints: the patches' tokens, averaged to cells."""
        lead = self.views.pixels.shape[:2]
        logits = np.empty(lead, np.float32)
        shape = *lead, 1 + CELLS * CELLS, WIDTH
        hints = np.lib.format.open_memmap(hints_file, "w+", np.float16, shape)
        back.eval()
        for view, part in self._batches(name):
            tokens = torch.tensor(self._tokens.features[view, part]).float()
            with torch.no_grad(), _bfloat16():
                last = back.encode(tokens)
                logits[view, part] = back.decide(last)[0].numpy()
            hints[view, part, 0] = last[:, 0].float().numpy()
            hints[view, part, 1:] = _to_cells(last[:, 1:].float()).numpy()
        hints.flush()
        return logits

    def _batches(self, name: str):
        views, count = self.views.pixels.shape[:2]
        places = [
            (view, slice(start, start + _BATCH))
            for view in range(views)
            for start in range(0, count, _BATCH)
        ]
        return tqdm(places, name, unit="batch", disable=None)


def _to_cells(patches: torch.Tensor) -> torch.Tensor:
    """Averages ``[n, patches, WIDTH]`` to ``[n, CELLS * CELLS, WIDTH]``."""
    side = math.isqrt(patches.shape[1])
    square = patches.mT.reshape(len(patches), -1, side, side)
    return nn.functional.adaptive_avg_pool2d(square, CELLS).flatten(2).mT


def _bfloat16() -> torch.autocast:
    """Matrices in bfloat16, which is several times as fast where the processor has AMX."""
    return torch.autocast("cpu", torch.bfloat16)


def _fine_tune(
    back: Back, training: TrainingSet, recipe: Recipe, name: str, checkpoint: Path
) -> Back:
    """Trains in place, and returns the moving average of the weights.

    A run that was broken off goes on from its checkpoint, with other numbers of the dropout.
    """
    torch.manual_seed(recipe.seed)
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
            with _bfloat16():
                logits, cells = back(torch.tensor(tokens))
            loss = _loss(logits, cells, *map(torch.tensor, targets.values()), recipe.cell_weight)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(back.parameters(), LONGEST_GRADIENT)
            optimizer.step()
            schedule.step()
            # Over the first steps it follows at once, so that it forgets where they began.
            momentum = min(recipe.vit_ema_momentum, (step + 1) / (step + 10))
            with torch.no_grad():
                for mean, now in zip(average.parameters(), back.parameters(), strict=True):
                    mean.lerp_(now, 1 - momentum)
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
            if (step + 1) % CHECKPOINT_STEPS == 0:
                state = {part: of.state_dict() for part, of in parts.items()}
                with whole_file(checkpoint) as partial:
                    torch.save({**state, "steps": step + 1}, partial)
    checkpoint.unlink(missing_ok=True)
    return average


def _loss(
    logits: torch.Tensor,
    cells: torch.Tensor,
    smoking: torch.Tensor,
    smoked: torch.Tensor,
    cell_weight: float,
) -> torch.Tensor:
    """The same as our own model's, see `train.training.cell_loss`."""
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
    heads = (back.look, back.see, back.smoking, back.cell)
    new = [p for head in heads for p in head.parameters()]
    groups = [*pretrained, {"params": new, "lr": HEAD_RATE * learning_rate}]
    return [{**group, "weight_decay": WEIGHT_DECAY} for group in groups]
