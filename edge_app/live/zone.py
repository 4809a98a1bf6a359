"""Which part of the frames to look at: a rectangle or a polygon, without the parts to ignore."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_app.live.errors import SourceError
from edge_app.live.opencv import import_opencv

Point = tuple[int, int]
Region = tuple[int, int, int, int]
"""x, y, width, height in pixels of the frame."""

_GREY = 127  # what is left out of a polygon; 0 for the model, whose input is in [-1, 1]


@dataclass(frozen=True)
class Zone:
    """The part of a frame to look at, in pixels of the first frame.

    Attributes:
        region: corners of a polygon, or two opposite corners of a rectangle; empty for the whole
            frame.
        masks: polygons inside it to ignore.
    """

    region: tuple[Point, ...] = ()
    masks: tuple[tuple[Point, ...], ...] = ()

    @classmethod
    def parse(cls, region: str = "", masks: Sequence[str] = ()) -> Zone:
        """Reads what ``--region`` and ``--mask`` take.

        Args:
            region: ``x,y,width,height``, or a polygon as ``x,y x,y x,y``.
            masks: polygons, or rectangles written as ``x,y,width,height``.

        Raises:
            ValueError: it is neither.

        >>> Zone.parse("100,0,400,300").region
        ((100, 0), (500, 300))
        >>> Zone.parse("0,0 100,0 100,80").region
        ((0, 0), (100, 0), (100, 80))
        """
        polygons = tuple(_four_corners(corners(mask)) for mask in masks)
        return cls(corners(region) if region else (), polygons)

    def scaled(self, first: Point, size: Point) -> Zone:
        """The zone for frames of another size.

        Args:
            first: width and height of the first frame, which the zone is for.
            size: those of the frames now.

        >>> Zone.parse("100,0,400,300").scaled((1000, 600), (500, 300)).region
        ((50, 0), (250, 150))
        """
        scale = np.divide(size, first)

        def change(points: tuple[Point, ...]) -> tuple[Point, ...]:
            return tuple((round(x), round(y)) for x, y in (np.multiply(p, scale) for p in points))

        return Zone(change(self.region), tuple(change(mask) for mask in self.masks))

    def outline(self) -> tuple[Point, ...]:
        """The region as a polygon; empty for the whole frame."""
        return _four_corners(self.region)


def corners(text: str) -> tuple[Point, ...]:
    """Reads ``x,y,width,height`` (two opposite corners come back) or ``x,y x,y x,y``.

    Raises:
        ValueError: it is neither.
    """
    if re.fullmatch(r"\s*\d+(\s*,\s*\d+){3}\s*", text):
        x, y, width, height = (int(number) for number in text.split(","))
        if width and height:
            return (x, y), (x + width, y + height)
    elif re.fullmatch(r"\s*\d+,\d+([\s;]+\d+,\d+){2,}[\s;]*", text):
        points = [point.split(",") for point in re.split(r"[\s;]+", text.strip(" ;\t"))]
        return tuple((int(x), int(y)) for x, y in points)
    raise ValueError(
        "expected x,y,width,height in pixels, such as 100,0,400,400, or at least three corners, "
        f'such as "100,0 500,0 300,400"; got {text!r}'
    )


class Cutter:
    """Cuts a zone out of frames; where the camera changes its size, the zone changes with it."""

    def __init__(self, zone: Zone | None):
        self._zone = zone or Zone()
        self._first: Point | None = None  # width and height of the first frame
        self._size: Point | None = None  # those that the next two are made for
        self._box: Region = (0, 0, 0, 0)
        self._outside: np.ndarray | None = None

    def cut(self, pixels: np.ndarray) -> tuple[np.ndarray, Region | None]:
        """The part of a frame to look at.

        Args:
            pixels: ``uint8[height, width, 3]``, BGR.

        Returns:
            The part, grey outside a polygon, and where it lies; None for the whole frame.

        Raises:
            SourceError: the first frame is too small for the zone.
        """
        zone, size = self._zone, (pixels.shape[1], pixels.shape[0])
        if not zone.region and not zone.masks:
            return pixels, None
        if size != self._size:
            self._adapt(size)
        x, y, width, height = self._box
        part = pixels[y : y + height, x : x + width]
        if self._outside is not None:
            part = part.copy()
            part[self._outside] = _GREY
        return part, self._box if zone.region else None

    def _adapt(self, size: Point) -> None:
        if self._first is None:
            self._check(size)
            self._first = size
        zone = self._zone.scaled(self._first, size)
        region = np.array(zone.region or [(0, 0), size], np.int32)
        (left, top), (right, bottom) = region.min(0), np.maximum(region.max(0), region.min(0) + 1)
        self._box = (int(left), int(top), int(right - left), int(bottom - top))
        self._size, self._outside = size, None
        if len(zone.region) > 2 or zone.masks:
            fill = import_opencv().fillPoly
            inside = np.zeros(size[::-1], np.uint8)
            polygon = _four_corners([(int(x), int(y)) for x, y in region])
            fill(inside, [np.array(polygon, np.int32)], 1)
            for mask in zone.masks:
                fill(inside, [np.array(mask, np.int32)], 0)
            self._outside = inside[top:bottom, left:right] == 0

    def _check(self, size: Point) -> None:
        for name, points in (
            ("region", self._zone.region),
            *(("mask", m) for m in self._zone.masks),
        ):
            if points and (np.max(points, 0) > size).any():
                text = " ".join(f"{x},{y}" for x, y in points)
                if len(points) == 2:
                    (x, y), (right, bottom) = points
                    text = f"{x},{y},{right - x},{bottom - y}"
                raise SourceError(
                    f"{name} {text}: lies outside the frame, which is {size[0]} x {size[1]} pixels"
                )


def _four_corners(points: Sequence[Point]) -> tuple[Point, ...]:
    """A rectangle's two corners as a polygon of four; other polygons as they are."""
    if len(points) != 2:
        return tuple(points)
    (left, top), (right, bottom) = points
    return (left, top), (right, top), (right, bottom), (left, bottom)
