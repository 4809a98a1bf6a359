"""Random changes to training pictures, so that the model meets more than its data set holds.

One affine transform (a smoker can be small, off centre, tilted, mirrored), colour (pictures come
in black and white, under any lamp), and wear (blur, noise, JPEG, a small sensor). All of it
applies to both classes alike: what happens to one class only would be learnt as that class.
"""

from __future__ import annotations

import cv2
import numpy as np


def augment(
    pixels: np.ndarray, rng: np.random.Generator, companion: np.ndarray | None = None
) -> np.ndarray:
    """Returns a randomly changed copy of a picture.

    Args:
        pixels: ``uint8[side, side, 3]``, RGB.
        rng: the source of chance; the same state gives the same picture.
        companion: another picture of the same shape, to stand beside it.

    Returns:
        ``uint8[side, side, 3]``, RGB.
    """
    if companion is not None:
        pixels = _side_by_side(pixels, companion, rng)
    return _wear(_colour(_move(pixels, rng), rng), rng)


def blank(rng: np.random.Generator, size: int) -> np.ndarray:
    """A picture that shows nothing, as a covered, dark or blinded camera gives.

    Returns:
        ``uint8[size, size, 3]``: one colour or a gradient between two, black as often as not,
        with or without noise.
    """
    reach = rng.choice([12, 255])
    first, last = rng.uniform(0, reach, (2, 3)) if rng.random() < 0.5 else np.zeros((2, 3))
    if rng.random() < 0.5:
        last = first
    slope = np.linspace(0, 1, size)[:, None, None]
    slope = slope if rng.random() < 0.5 else slope.transpose(1, 0, 2)
    picture = np.broadcast_to(first + slope * (last - first), (size, size, 3))
    if rng.random() < 0.5:
        picture = picture + rng.normal(0, rng.uniform(1, 25), (size, size, 3))
    return picture.clip(0, 255).astype(np.uint8)


def _side_by_side(
    pixels: np.ndarray, companion: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Two pictures in one, each squeezed into half of it, or cut to its middle half."""
    size = len(pixels)
    halves = []
    for picture in (pixels, companion):
        if rng.random() < 0.5:
            picture = picture[:, size // 4 : size // 4 + size // 2]
        halves.append(cv2.resize(picture, (size // 2, size), interpolation=cv2.INTER_AREA))
    if rng.random() < 0.5:
        halves.reverse()
    joined = np.concatenate(halves, axis=1)
    return cv2.resize(joined, (size, size)) if joined.shape[1] != size else joined


def _move(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = len(pixels)
    angle = np.deg2rad(rng.normal(0, 6))
    zoom = np.exp(rng.uniform(np.log(0.65), np.log(1.4)))
    stretch = np.exp(rng.uniform(-0.15, 0.15))  # pictures of any shape are stretched to a square
    mirror = rng.choice([-1, 1])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([mirror * zoom * stretch, zoom / stretch])
    centre = np.full(2, (size - 1) / 2)
    shift = rng.uniform(-0.12, 0.12, 2) * size
    matrix = np.column_stack([linear, centre - linear @ centre + shift])
    return cv2.warpAffine(
        pixels, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )


def _colour(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    values = pixels.astype(np.float32)
    grey = values @ np.float32([0.299, 0.587, 0.114])  # ITU-R BT.601 luma
    saturation = 0.0 if rng.random() < 0.2 else rng.uniform(0.6, 1.4)
    values = grey[..., None] + saturation * (values - grey[..., None])
    if rng.random() < 0.2:  # a colour cast; on a grey picture, a sepia print
        values *= rng.uniform(0.85, 1.15, 3).astype(np.float32)
    contrast = rng.uniform(0.7, 1.3)
    brightness = rng.uniform(-35, 35)
    values = (values - grey.mean()) * contrast + grey.mean() + brightness
    gamma = np.exp(rng.uniform(-0.3, 0.3))
    return (255 * (values.clip(0, 255) / 255) ** gamma).astype(np.uint8)


def _wear(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = len(pixels)
    if rng.random() < 0.1:
        small = int(size * rng.uniform(0.5, 0.9))
        pixels = cv2.resize(
            cv2.resize(pixels, (small, small), interpolation=cv2.INTER_AREA), (size, size)
        )
    if rng.random() < 0.15:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.3, 2.0))
    if rng.random() < 0.15:
        noise = rng.normal(0, rng.uniform(2, 18), pixels.shape)
        pixels = (pixels + noise).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        quality = int(rng.integers(20, 90))
        _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        pixels = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    return pixels
