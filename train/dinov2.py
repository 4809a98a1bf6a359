"""DINOv2's ViT-S/14 in PyTorch, in two halves, with heads of our own behind it.

It has ten times the weights of the model that it teaches, and saw 142 million pictures before
these (Oquab and others, "DINOv2: Learning Robust Visual Features without Supervision", 2023).
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import nn

from train.training import TrainingError
from train.views import CELLS

WIDTH, ATTENTION_HEADS, BLOCKS, PATCH = 384, 6, 12, 14
FROZEN = 6
"""Blocks that are not trained."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, RGB in [0, 1]: DINOv2 was trained with these."""
_PROJECTION = "embeddings.patch_embeddings.projection"


class Block(nn.Module):
    """A layer of a vision transformer, with DINOv2's scales. Tokens ``[n, tokens, WIDTH]``."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.attention = nn.MultiheadAttention(WIDTH, ATTENTION_HEADS, batch_first=True)
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
        self.register_buffer("mean", 255 * torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(IMAGENET_STD).view(3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = (pixels.permute(0, 3, 1, 2) - self.mean) / self.std
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
        self.attention_pool = nn.Linear(WIDTH, averages)
        self.project = nn.Linear(WIDTH, features)
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
        weights = self.attention_pool(patches).float().softmax(dim=1).to(patches.dtype)
        seen = weights.transpose(1, 2) @ nn.functional.gelu(self.project(patches))
        logits = self.smoking(self.dropout(torch.cat([whole, seen.flatten(1)], dim=1)))
        side = math.isqrt(patches.shape[1])
        cells = self.cell(patches).float().view(-1, 1, side, side)
        return logits[:, 0].float(), nn.functional.adaptive_max_pool2d(cells, CELLS)[:, 0]


def load(file: Path, size: int) -> tuple[Front, Back]:
    """Both parts, with the weights of an ONNX file that holds Hugging Face's ``Dinov2Model``.

    Args:
        file: as PyTorch's TorchScript exporter writes it, alone or with other layers behind it.
        size: of the pictures, in pixels: a multiple of PATCH.

    Raises:
        TrainingError: it is no such file.
    """
    try:
        graph = onnx.load(file, load_external_data=False).graph
    except DecodeError as error:
        raise TrainingError(f"--vit: {file} is not an ONNX file: {error}") from None
    try:
        weights = _named(graph)
        front, back = Front(size), Back()
        for number, block in enumerate([*front.blocks, *back.blocks]):
            block.load_state_dict(_block_state(weights, number))
        for part, name in ((front.patches, _PROJECTION), (back.norm, "layernorm")):
            part.load_state_dict({k: weights[f"{name}.{k}"] for k in ("weight", "bias")})
        front.class_token.data = weights["embeddings.cls_token"]
        front.positions.data = _positions(weights["positions"], size // PATCH)
    except (KeyError, RuntimeError, ValueError) as error:
        raise TrainingError(f"--vit: {file} is not a DINOv2 ViT-S/14: {error}") from None
    return front.eval(), back


def _named(graph: onnx.GraphProto) -> dict[str, torch.Tensor]:
    """The weights by ``Dinov2Model``'s names; an exporter gives some of them numbers instead.

    Raises:
        ValueError: it has registers, or its weights are in another file.
    """
    if any(i.data_location == onnx.TensorProto.EXTERNAL for i in graph.initializer):
        raise ValueError("its weights are in another file")
    given = {i.name: torch.tensor(numpy_helper.to_array(i)) for i in graph.initializer}
    ends = [name for name in given if name.endswith(f"{_PROJECTION}.weight")]
    if len(ends) != 1:
        raise ValueError(f"{len(ends)} of its weights are {_PROJECTION}.weight")
    model = ends[0].removesuffix(f"{_PROJECTION}.weight")
    weights = {n.removeprefix(model): v for n, v in given.items() if n.startswith(model)}
    if "embeddings.register_tokens" in weights:
        raise ValueError("it is one with registers")
    if "embeddings.position_embeddings" in weights:
        weights["positions"] = weights["embeddings.position_embeddings"]
    else:  # folded into two constants, the class token's first
        numbered = [v for n, v in given.items() if n.startswith("onnx::") and v.ndim == 3]
        both = [v for v in numbered if v.shape[::2] == (1, WIDTH)]
        of_class = next((v for v in both if v.shape[1] == 1), None)
        of_patches = next((v for v in both if v.shape[1] > 1), None)
        if of_class is not None and of_patches is not None:
            weights["positions"] = torch.cat([of_class, of_patches], dim=1)
    for node in graph.node:
        product = re.search(r"encoder/layer\.(\d+)/(.+)/MatMul$", node.name)
        if product and node.input[1] in given:  # as [in, out]; torch has [out, in]
            name = f"encoder.layer.{product[1]}.{product[2].replace('/', '.')}.weight"
            weights[name] = given[node.input[1]].T
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


def _positions(given: torch.Tensor, side: int) -> torch.Tensor:
    """Position embeddings for ``side`` x ``side`` patches, and the class token's before them.

    Args:
        given: ``[1, 1 + patches, WIDTH]``, for another number of patches.
        side: of the square that they are stretched to.
    """
    of_class, of_patches = given[:, :1], given[:, 1:]
    square = of_patches.reshape(1, math.isqrt(of_patches.shape[1]), -1, WIDTH).permute(0, 3, 1, 2)
    square = nn.functional.interpolate(square, size=(side, side), mode="bicubic")
    return torch.cat([of_class, square.flatten(2).mT], dim=1)
