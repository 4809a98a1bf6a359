"""A picture together with what is known of where in it somebody smokes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from train.boxes import Boxes

IN_SIGHT = 0.7
"""Share of a box from which on what it holds is in the picture."""
OUT_OF_SIGHT = 0.1
"""Share of a box up to which it is not."""


@dataclass(frozen=True)
class Scene:
    """A picture and its boxes, which move with it.

    Attributes:
        pixels: ``uint8[side, side, 3]``, RGB.
        smoking: whether somebody smokes in the whole picture.
        smoked: around what is smoked, ``float64[n, 5]``: left, top, right, bottom in pixels, and
            the share of the box that is still inside the picture.
        heads: around heads, ``float64[m, 4]`` in pixels.
    """

    pixels: np.ndarray
    smoking: bool
    smoked: np.ndarray
    heads: np.ndarray

    @classmethod
    def of(cls, pixels: np.ndarray, smoking: bool, boxes: Boxes | None = None) -> Scene:
        """From a picture ``uint8[side, side, 3]`` and its boxes, if there are any."""
        boxes = boxes or Boxes()
        smoked = boxes.smoked * len(pixels)
        return cls(
            pixels,
            smoking,
            np.column_stack([smoked, np.ones(len(smoked))]),
            boxes.heads * len(pixels),
        )

    @property
    def located(self) -> bool:
        """Whether it is known where in it somebody smokes: everywhere that is not, nobody does."""
        return not self.smoking or len(self.smoked) > 0

    def shows_smoking(self) -> bool | None:
        """What this part of the picture shows; None where a box is cut in two."""
        if not self.located or not self.smoking:
            return self.smoking
        if (self.smoked[:, 4] >= IN_SIGHT).any():
            return True
        return False if (self.smoked[:, 4] <= OUT_OF_SIGHT).all() else None

    def warped(self, matrix: np.ndarray, size: int, border: int) -> Scene:
        """Moved by an affine transform.

        Args:
            matrix: from places in this picture to places in the new one, ``float64[2, 3]``.
            size: side of the new picture in pixels.
            border: grey level of what lies outside of this picture.
        """
        scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        pixels, to_new = self.pixels, matrix
        if scale < 0.75:  # bilinear interpolation would leave out pixels
            side = max(1, round(scale * len(pixels)))
            smaller = len(pixels) / side
            pixels = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
            to_new = matrix @ np.diag([smaller, smaller, 1])
        pixels = cv2.warpAffine(
            pixels,
            to_new,
            (size, size),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(border,) * 3,
        )
        smoked, seen = _warp_boxes(self.smoked[:, :4], matrix, size)
        heads, heads_seen = _warp_boxes(self.heads, matrix, size)
        return Scene(
            pixels,
            self.smoking,
            np.column_stack([smoked, self.smoked[:, 4] * seen]),
            heads[heads_seen > OUT_OF_SIGHT],
        )

    def beside(self, other: Scene) -> Scene:
        """This picture in the left half of a new one, another in its right half."""
        size = len(self.pixels)
        halves = [
            cv2.resize(half.pixels, (width, size), interpolation=cv2.INTER_AREA)
            for half, width in ((self, size // 2), (other, size - size // 2))
        ]
        squeeze, shift = np.array([0.5, 1, 0.5, 1]), np.array([size / 2, 0, size / 2, 0])
        smoked = [
            np.column_stack([s.smoked[:, :4] * squeeze + offset, s.smoked[:, 4]])
            for s, offset in ((self, 0), (other, shift))
        ]
        heads = [self.heads * squeeze, other.heads * squeeze + shift]
        # Of a smoker whose place is not known, the place in the new picture is not known either.
        located = self.located and other.located
        return Scene(
            np.concatenate(halves, axis=1),
            self.smoking or other.smoking,
            np.concatenate(smoked) if located else np.empty((0, 5)),
            np.concatenate(heads),
        )

    def with_part_of(
        self, other: Scene, matrix: np.ndarray, part: np.ndarray, feather: float
    ) -> Scene:
        """This picture with a part of another one laid over it.

        Args:
            other: the other picture; like this one, it has to be located.
            matrix: from places in it to places in this one, ``float64[2, 3]``.
            part: what of this picture it covers, ``float64[4]`` in pixels; as far as it reaches.
            feather: how softly it ends, in pixels.
        """
        size = len(self.pixels)
        laid = other.warped(matrix, size, border=0)
        reach, _ = _warp_boxes(
            np.array([[0, 0, len(other.pixels), len(other.pixels)]]), matrix, size
        )
        part = np.concatenate(
            [np.maximum(part[:2], reach[0, :2]), np.minimum(part[2:], reach[0, 2:])]
        )
        left, top, right, bottom = np.rint(part).astype(int)
        mask = np.zeros((size, size, 1), np.float32)
        mask[top:bottom, left:right] = 1
        if feather > 0:  # inwards only: there is nothing of the other picture outside
            soft = cv2.GaussianBlur(mask, (0, 0), feather)[..., None]
            mask *= np.clip(2 * soft - 1, 0, 1)
        mixed = self.pixels + mask * (laid.pixels.astype(np.float32) - self.pixels)
        here, there = _share_inside(self.smoked, part), _share_inside(laid.smoked, part)
        return Scene(
            mixed.astype(np.uint8),
            self.smoking or other.smoking,
            np.concatenate(
                [
                    np.column_stack([self.smoked[:, :4], self.smoked[:, 4] * (1 - here)]),
                    np.column_stack([laid.smoked[:, :4], laid.smoked[:, 4] * there]),
                ]
            ),
            np.concatenate(
                [
                    self.heads[_share_inside(self.heads, part) < 0.5],
                    laid.heads[_share_inside(laid.heads, part) > 0.5],
                ]
            ),
        )

    def cells(self, rows: int) -> np.ndarray:
        """What each cell of a grid over the picture shows.

        Returns:
            ``float32[rows, rows]``: 1 where something is smoked, 0 where nothing is, and NaN where
            that is not known or lies at the edge of a box.
        """
        if not self.located:
            return np.full((rows, rows), np.nan, np.float32)
        targets = np.zeros((rows, rows), np.float32)
        side = len(self.pixels) / rows
        starts = np.arange(rows) * side
        for left, top, right, bottom, seen in self.smoked:
            if seen <= 0:
                continue
            # Boxes are drawn by eye, and a neighbouring cell sees as much of a cigarette's end.
            across = _overlap(starts, side, left - side / 2, right + side / 2)
            down = _overlap(starts, side, top - side / 2, bottom + side / 2)
            near = np.outer(down, across) > 0
            targets[near & (targets == 0)] = np.nan
            if seen >= IN_SIGHT:
                wide, high = right - left, bottom - top
                # At least half of a cell counts, so that a small box has a cell of its own.
                middle = (left + right) / 2, (top + bottom) / 2
                half = max(wide, side / 2) / 2, max(high, side / 2) / 2
                across = _overlap(starts, side, middle[0] - half[0], middle[0] + half[0])
                down = _overlap(starts, side, middle[1] - half[1], middle[1] + half[1])
                share = np.outer(down / down.max(), across / across.max())
                targets[share >= 0.5] = 1
        return targets


def _overlap(starts: np.ndarray, side: float, low: float, high: float) -> np.ndarray:
    """How much of each cell lies between two places, ``float64[n]`` in pixels."""
    return np.clip(np.minimum(starts + side, high) - np.maximum(starts, low), 0, None)


def _share_inside(boxes: np.ndarray, part: np.ndarray) -> np.ndarray:
    """How much of each box lies in a part of the picture, ``float64[n]`` in [0, 1]."""
    corners = np.maximum(boxes[:, :2], part[:2]), np.minimum(boxes[:, 2:4], part[2:])
    inside = np.prod(np.clip(corners[1] - corners[0], 0, None), axis=1)
    return inside / np.maximum(np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1), 1e-9)


def _warp_boxes(boxes: np.ndarray, matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The upright boxes around moved ones, cut to the picture, and how much of each is inside."""
    x, y = boxes[:, [0, 2, 2, 0]], boxes[:, [1, 1, 3, 3]]
    moved = np.einsum("ij,jnk->ink", matrix, np.stack([x, y, np.ones_like(x)]))
    whole = np.concatenate([moved.min(axis=2), moved.max(axis=2)]).T
    inside = whole.clip(0, size)
    areas = [np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (inside, whole)]
    return inside, areas[0] / np.maximum(areas[1], 1e-9)
