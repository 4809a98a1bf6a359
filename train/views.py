"""Augmented views of pictures, as the frozen first layers of the backbone see them.

The layers up to the cut are not trained, so what they give for a view is computed once and kept
in a file, and every fold and every pass over the pictures reads it from there. What a view shows
is kept beside it: a view may leave out the smoker of its picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from edge_app.files import whole_file
from edge_app.parallel import map_ahead
from train.augment import augment, blank
from train.recipe import Recipe
from train.scene import Scene

CELLS = 7
"""Rows and columns of the backbone's last feature map."""
_BATCH = 64


@dataclass(frozen=True)
class Views:
    """Views of all pictures, the blanks behind them; the last view is the picture as it is.

    Attributes:
        features: at the cut, mapped from a file,
            ``float16[views + 1, n, rows, columns, channels]``.
        cells: whether each cell of the last feature map shows something that is smoked: 1, 0, or
            NaN where that is not known, ``float16[views + 1, n, CELLS, CELLS]``.
        smoking: whether the view does, ``float16[views + 1, n]``.
        pixels: ``uint8[views + 1, n, size, size, 3]``, RGB, where they are asked for.
    """

    features: np.ndarray
    cells: np.ndarray
    smoking: np.ndarray
    pixels: np.ndarray | None = None


class Filling:
    """Arrays in files, of all views and pictures, that are filled batch by batch.

    A run that was broken off goes on with them. Not for two processes at once.

    Attributes:
        rest: what is still to be filled: which view, and which of its pictures.
    """

    def __init__(self, done_file: Path, views: int, count: int, batch: int) -> None:
        """Begins, or goes on.

        Args:
            done_file: where it is written how many batches are done.
            views: how many there are.
            count: of pictures and blanks.
            batch: how many of them are filled at once.
        """
        self._file = done_file
        self._shape = views, count
        self._done = int(done_file.read_text()) if done_file.exists() else 0
        self._arrays: list[np.ndarray] = []
        starts = range(0, count, batch)
        everything = [(v, slice(s, min(s + batch, count))) for v in range(views) for s in starts]
        self._total = len(everything)
        self.rest = everything[self._done :]

    def array(self, file: Path, *shape: int, dtype: type = np.float16) -> np.ndarray:
        """One of the arrays, ``dtype[views, count, *shape]``, mapped from a file."""
        given = ("r+", dtype) if self._done else ("w+", dtype, (*self._shape, *shape))
        self._arrays.append(np.lib.format.open_memmap(file, *given))
        return self._arrays[-1]

    def batches(self, name: str) -> Iterator[tuple[int, slice]]:
        """Gives each of `rest`, with a progress bar; one is done when the next is asked for."""
        bar = tqdm(total=self._total, initial=self._done, desc=name, unit="batch", disable=None)
        with bar:
            for batch in self.rest:
                yield batch
                self._done += 1
                bar.update()
                if self._done % 50 == 0 or self._done == self._total:
                    for array in self._arrays:
                        array.flush()
                    with whole_file(self._file) as partial:
                        partial.write_text(str(self._done))


def make_views(
    folder: Path,
    prefix: keras.Model,
    scenes: Sequence[Scene],
    as_served: np.ndarray,
    companions: np.ndarray,
    recipe: Recipe,
    keep_pixels: bool = False,
) -> Views:
    """Computes the features of all views, or goes on with those of a run that was broken off.

    Args:
        folder: of this run alone, where they are kept.
        prefix: float32 ``[n, size, size, 3]`` in [0, 255] to the features at the cut.
        scenes: the pictures; the recipe's blanks come behind them.
        as_served: the same pictures as the app reads them, ``uint8[n, size, size, 3]``, RGB.
        companions: from `choose_companions`.
        recipe: its seed, views and blanks.
        keep_pixels: whether what a view looks like is kept beside its features.
    """
    count = len(scenes) + recipe.blanks
    filling = Filling(folder / "views.done", recipe.views + 1, count, _BATCH)
    views = Views(
        filling.array(folder / "views.npy", *prefix.output.shape[1:]),
        filling.array(folder / "cells.npy", CELLS, CELLS),
        filling.array(folder / "smoking.npy"),
        filling.array(folder / "pixels.npy", *as_served.shape[1:], dtype=np.uint8)
        if keep_pixels
        else None,
    )
    with ThreadPoolExecutor(2) as pool:

        def render(work: tuple[int, slice]) -> list[Scene]:
            view, part = work
            places = range(part.start, part.stop)
            return [_render(p, view, scenes, as_served, companions, recipe) for p in places]

        rendered = map_ahead(pool, render, filling.rest, ahead=4)
        for place, shown in zip(filling.batches("Views"), rendered, strict=True):
            pixels = np.stack([scene.pixels for scene in shown]).astype(np.float32)
            views.features[place] = keras.ops.convert_to_numpy(prefix.predict_on_batch(pixels))
            views.cells[place] = [scene.cells(CELLS) for scene in shown]
            views.smoking[place] = [scene.shows_smoking() for scene in shown]
            if views.pixels is not None:
                views.pixels[place] = pixels
    return views


def _render(
    place: int,
    view: int,
    scenes: Sequence[Scene],
    as_served: np.ndarray,
    companions: np.ndarray,
    recipe: Recipe,
) -> Scene:
    rng = np.random.default_rng([recipe.seed, view, place])
    size = as_served.shape[1]
    if place >= len(scenes):
        return Scene.of(blank(rng, size), smoking=False)
    if view == recipe.views:
        scale = size / len(scenes[place].pixels)
        whole = scenes[place].warped(np.array([[scale, 0, 0], [0, scale, 0]]), size, border=0)
        return replace(whole, pixels=as_served[place])
    companion = companions[view, place]
    return augment(scenes[place], rng, size, scenes[companion] if companion >= 0 else None)


def choose_companions(
    folds: np.ndarray, smoking: np.ndarray, usable: np.ndarray, recipe: Recipe
) -> np.ndarray:
    """Decides which views are made of two pictures: side by side, or one's people in the other.

    Both come from the same fold, so that no fold learns what it is tested on; the second is of
    either class as often as not. A scene alone, or the kind of a data set, then says less about
    the class, and a smoker has to be found among others.

    Args:
        folds: the fold of each picture, ``int[n]``.
        smoking: their labels, ``bool[n]``.
        usable: which of them have a label that can be relied on, ``bool[n]``; others are nobody's
            companion.
        recipe: its seed, views, blanks and share of pairs.

    Returns:
        The place of the second picture, ``int[views + 1, n + blanks]``; -1 where there is none.
    """
    rng = np.random.default_rng(recipe.seed)
    companions = np.full((recipe.views + 1, len(folds) + recipe.blanks), -1)
    for fold in np.unique(folds):
        places = np.flatnonzero(folds == fold)
        others = places[usable[places]]
        if len(others):
            shape = recipe.views, len(places)
            of_class = [others[smoking[others] == kind] for kind in (False, True)]
            chosen = np.where(
                rng.random(shape) < 0.5,
                *(rng.choice(part if len(part) else others, shape) for part in of_class),
            )
            paired = rng.random(chosen.shape) < recipe.pairs
            companions[:-1, places] = np.where(paired, chosen, -1)
    return companions
