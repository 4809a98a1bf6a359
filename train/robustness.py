"""What a camera, a bad lamp and a messenger do to pictures, to measure how much a model minds."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np


def _jpeg(pixels: np.ndarray) -> np.ndarray:
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 30])
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)


def _blur(pixels: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(pixels, (0, 0), 2.0)


def _dark(pixels: np.ndarray) -> np.ndarray:
    return (pixels * 0.5).astype(np.uint8)


def _webcam(pixels: np.ndarray) -> np.ndarray:
    """Sensor noise (sigma 12) at 640x480, then sent as JPEG of quality 80, then shrunk again."""
    rng = np.random.default_rng(int(pixels.sum()))
    large = cv2.resize(pixels, (640, 480)).astype(np.float32)
    noisy = (large + rng.normal(0, 12, large.shape)).clip(0, 255).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 80])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return cv2.resize(decoded, pixels.shape[1::-1], interpolation=cv2.INTER_AREA)


def _mirror(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels[:, ::-1])


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "JPEG of quality 30": _jpeg,
    "blur (sigma 2)": _blur,
    "half brightness": _dark,
    "webcam noise at 640x480": _webcam,
    "mirrored": _mirror,
}
"""Each takes and gives ``uint8[size, size, 3]``, RGB."""
