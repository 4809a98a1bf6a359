"""Fresh random views of training pictures (data augmentation); no view is made twice.

Both labels get the same changes of look, so that black and white, film bars, print or blur say
nothing about the label. A view of a Smoking picture keeps what is smoked where boxes tell where it
is. Everything follows from the seed and the number of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import keras
import numpy as np
from numpy.random import Generator
from PIL import Image

from edge_app.parallel import count_cores
from train.data import Example
from train.recipe import Recipe

cv2.setNumThreads(1)

SIZE = 224  # pixels, side of a view
Odds = dict[str, float]  # probability of each change by its name in the recipe

_WORDS = [
    *("SALE", "NEW", "the", "of", "and", "FILM", "1954", "smoking", "no", "open", "best", "cafe"),
    *("tonight", "STARRING", "price", "total", "12.50", "please", "news", "a", "story"),
]
_GREY = np.float32([0.299, 0.587, 0.114])  # of red, green, blue in the luma of ITU-R BT.601


class Views(keras.utils.PyDataset):
    """Batches of views and labels.

    Item ``i`` is batch ``first + i`` of the training: ``float32[batch, SIZE, SIZE, 3]``, RGB in
    [0, 255], and labels ``float32[batch, 1]``.
    """

    def __init__(
        self,
        pictures: Sequence[tuple[Example, np.ndarray]],
        weights: np.ndarray,
        recipe: Recipe,
        first: int,
        steps: int,
    ):
        """Prepares views.

        Args:
            pictures: each with ``uint8[height, width, 3]``, RGB.
            weights: how often each is drawn among those of its label, ``float64[n]``.
            recipe: how views are made, the seed, and how many views are in a batch.
            first, steps: number of the first batch, and how many.
        """
        super().__init__(workers=count_cores(), max_queue_size=8)
        self._pictures, self._first, self._steps = pictures, first, steps
        self._odds, self._batch, self._seed = recipe.views, recipe.student.batch, recipe.seed
        smoking = np.array([e.smoking for e, _ in pictures])
        self._of = {label: np.flatnonzero(smoking == label) for label in (0, 1)}
        self._shares = {label: weights[of] / weights[of].sum() for label, of in self._of.items()}

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        odds, batch = self._odds, self._batch
        rng = np.random.default_rng([self._seed, self._first + index])
        labels = (np.arange(batch) < round(odds["smoking"] * batch)).astype(np.float32)
        pixels = np.stack([self._view(rng, int(label)) for label in labels]).astype(np.float32)
        if rng.random() < odds["mixup"]:
            share = np.float32(rng.beta(odds["mixup_alpha"], odds["mixup_alpha"]))
            other = rng.permutation(batch)
            pixels = share * pixels + (1 - share) * pixels[other]
            labels = share * labels + (1 - share) * labels[other]
        smoothing = odds["label_smoothing"]
        return pixels, (labels * (1 - smoothing) + smoothing / 2)[:, None]

    def _view(self, rng: Generator, label: int) -> np.ndarray:
        odds = self._odds
        if not label and rng.random() < odds["blank"]:
            return blank(rng)
        if rng.random() < odds["mosaic"]:
            parts = [self._draw(rng, label)] + [self._draw(rng, 0) for _ in range(3)]
            rng.shuffle(parts)
            view = self._mosaic(parts, rng)
        else:
            view = self._cut(self._draw(rng, label), (SIZE, SIZE), rng)
        return change_look(view, odds, rng)

    def _draw(self, rng: Generator, label: int) -> int:
        return rng.choice(self._of[label], p=self._shares[label])

    def _cut(self, place: int, size: tuple[int, int], rng: Generator) -> np.ndarray:
        example, picture = self._pictures[place]
        height, width = picture.shape[:2]
        boxes = np.array(example.boxes).reshape(-1, 4)
        box = crop_box((width, height), boxes, example.smoking, self._odds, rng)
        image = Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR, box=box)
        view = np.asarray(image)
        return view[:, ::-1] if rng.random() < 0.5 else view

    def _mosaic(self, places: Sequence[int], rng: Generator) -> np.ndarray:
        middle_x, middle_y = (int(rng.uniform(0.35, 0.65) * SIZE) for _ in range(2))
        view = np.empty((SIZE, SIZE, 3), np.uint8)
        columns, rows = ((0, middle_x), (middle_x, SIZE)), ((0, middle_y), (middle_y, SIZE))
        cells = [(x, y) for y in rows for x in columns]
        for ((x0, x1), (y0, y1)), place in zip(cells, places, strict=True):
            view[y0:y1, x0:x1] = self._cut(place, (x1 - x0, y1 - y0), rng)
        return view


def crop_box(
    size: tuple[int, int], boxes: np.ndarray, smoking: bool, odds: Odds, rng: Generator
) -> tuple[float, float, float, float]:
    """A random part of a picture that keeps its label: left, top, right, bottom in pixels.

    ``size`` is its width and height in pixels, ``boxes`` are shares of them, ``float64[n, 4]``.
    """
    width, height = size
    if rng.random() < odds["whole"]:
        return 0, 0, width, height
    unboxed = smoking and not len(boxes)
    smallest = odds["smallest_area_unboxed"] if unboxed else odds["smallest_area"]
    for _ in range(12):
        area, ratio = rng.uniform(smallest, 1), np.exp(rng.uniform(-0.3, 0.3))
        across = min(width, width * np.sqrt(area * ratio))
        down = min(height, height * np.sqrt(area / ratio))
        if rng.random() < odds["square"]:
            across = down = min(width, height) * rng.uniform(0.45, 1)
        x, y = rng.uniform(0, width - across), rng.uniform(0, height - down)
        if not smoking or not len(boxes):
            return x, y, x + across, y + down
        left, top, right, bottom = (boxes * [width, height, width, height]).T
        seen_x = np.clip(np.minimum(right, x + across) - np.maximum(left, x), 0, None)
        seen_y = np.clip(np.minimum(bottom, y + down) - np.maximum(top, y), 0, None)
        if (seen_x * seen_y >= odds["box_inside"] * (right - left) * (bottom - top)).any():
            return x, y, x + across, y + down
    return 0, 0, width, height


def change_look(view: np.ndarray, odds: Odds, rng: Generator) -> np.ndarray:
    """Changes colour, look and wear of a view ``uint8[SIZE, SIZE, 3]``, whatever its label."""
    view = _print_on(view, odds, rng)
    if rng.random() < odds["turned"]:
        turn = cv2.getRotationMatrix2D((SIZE // 2,) * 2, rng.uniform(-12, 12), 1)
        view = cv2.warpAffine(
            np.ascontiguousarray(view), turn, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT_101
        )
    values = _recolour(view.astype(np.float32), odds, rng)
    values = _wear(values, odds, rng)
    view = np.clip(values, 0, 255).astype(np.uint8)
    if rng.random() < odds["jpeg"]:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))]
        view = cv2.imdecode(cv2.imencode(".jpg", view, quality)[1], 1)
    if rng.random() < odds["erased"]:
        across, down = rng.integers(20, 70, 2)
        x, y = rng.integers(0, SIZE - across), rng.integers(0, SIZE - down)
        view = view.copy()
        view[y : y + down, x : x + across] = rng.integers(0, 256, 3)
    return view


def _print_on(view: np.ndarray, odds: Odds, rng: Generator) -> np.ndarray:
    """Words over the picture, or the picture on a page."""
    if rng.random() < odds["words"]:
        view = _write(view, rng)
    if rng.random() < odds["page"]:
        top, bottom, left, right = rng.integers(8, 40, 4)
        page = np.full((SIZE, SIZE, 3), rng.integers(200, 256), np.uint8)
        inner = (SIZE - right - left, SIZE - bottom - top)
        small = cv2.resize(view, inner, interpolation=cv2.INTER_AREA)
        page[top : SIZE - bottom, left : SIZE - right] = small
        view = _write(page, rng) if rng.random() < 0.7 else page
    return view


def _write(view: np.ndarray, rng: Generator) -> np.ndarray:
    view = view.copy()
    plain = rng.random() < 0.7
    colour = rng.choice([0, 255], 1).repeat(3) if plain else rng.integers(0, 256, 3)
    ink = tuple(int(value) for value in colour)
    for _ in range(rng.integers(1, 4)):
        text = " ".join(rng.choice(_WORDS, rng.integers(1, 5)))
        y = int(rng.choice([rng.integers(12, 50), rng.integers(175, 222)]))
        at = (int(rng.integers(-5, 90)), y)
        font, scale = int(rng.integers(0, 8)), rng.uniform(0.3, 1.1)
        cv2.putText(view, text, at, font, scale, ink, int(rng.integers(1, 3)), cv2.LINE_AA)
    return view


def _recolour(values: np.ndarray, odds: Odds, rng: Generator) -> np.ndarray:
    if rng.random() < odds["grey"]:
        values = np.repeat((values @ _GREY)[..., None], 3, 2)
    elif rng.random() < odds["tinted"]:
        values = values * rng.uniform(0.85, 1.15, 3).astype(np.float32)
    elif rng.random() < odds["saturated"]:
        grey = values.mean(2, keepdims=True)
        values = grey + (values - grey) * rng.uniform(0.2, 1.6)
    if rng.random() < odds["dark"]:
        values = 255 * (np.clip(values, 0, 255) / 255) ** rng.uniform(1.3, 3)
    return (values - 127.5) * rng.uniform(0.65, 1.35) + 127.5 + rng.uniform(-35, 35)


def _wear(values: np.ndarray, odds: Odds, rng: Generator) -> np.ndarray:
    """What lenses, sensors and film do."""
    if rng.random() < odds["vignette"]:
        y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j].astype(np.float32)
        values = values * (1 - rng.uniform(0.2, 0.6) * (x * x + y * y) / 2)[..., None]
    if rng.random() < odds["blurred"]:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.5, 2.5))
    if rng.random() < odds["coarse"]:
        side = int(rng.integers(64, 160))
        small = cv2.resize(values, (side, side), interpolation=cv2.INTER_AREA)
        values = cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    if rng.random() < odds["noisy"]:
        values = values + rng.normal(0, rng.uniform(2, 14), values.shape).astype(np.float32)
    if rng.random() < odds["bars"]:
        bar = int(rng.integers(8, 38))
        values = values.copy()
        rows = values if rng.random() < 0.8 else values.transpose(1, 0, 2)
        rows[:bar] = rows[-bar:] = 0
    return values


def blank(rng: Generator) -> np.ndarray:
    """A picture that shows nothing: one colour, a gradient or noise, ``uint8[SIZE, SIZE, 3]``."""
    coloured = rng.random() < 0.6
    start, end = rng.uniform(0, rng.choice([12, 255]), (2, 3)) if coloured else np.zeros((2, 3))
    along = np.linspace(0, 1, SIZE)[:, None, None]
    along = along if rng.random() < 0.5 else along.transpose(1, 0, 2)
    values = np.broadcast_to(start + along * (end - start), (SIZE, SIZE, 3))
    if rng.random() < 0.5:
        values = values + rng.normal(0, rng.uniform(1, 25), (SIZE, SIZE, 3))
    return np.clip(values, 0, 255).astype(np.uint8)
