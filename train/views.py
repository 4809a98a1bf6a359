"""Augmented views of pictures, as the frozen first layers of the backbone see them.

The layers up to the cut are not trained, so what they give for a view is computed once and kept
in a file, and every fold and every pass over the pictures reads it from there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from edge_app.files import whole_file
from edge_app.parallel import map_ahead
from train.augment import augment, blank
from train.data import Example
from train.recipe import Recipe

_BATCH = 64


def make_views(
    file: Path,
    prefix: keras.Model,
    examples: Sequence[Example],
    companions: np.ndarray,
    pixels: np.ndarray,
    recipe: Recipe,
) -> np.ndarray:
    """Computes the features of all views, or goes on with those of a run that was broken off.

    Args:
        file: where they are kept, a ``.npy`` file; beside it, a ``.done`` file says how far.
        prefix: float32 ``[n, size, size, 3]`` in [0, 255] to the features at the cut.
        examples: the pictures; the recipe's blanks come behind them.
        companions: from `choose_companions`.
        pixels: ``uint8[n, size, size, 3]``, RGB.
        recipe: its seed, views and blanks.

    Returns:
        ``float16[views + 1, n + blanks, rows, columns, channels]``, mapped from the file. The last
        view is the picture as it is.
    """
    count = len(examples) + recipe.blanks
    shape = (recipe.views + 1, count, *prefix.output.shape[1:])
    done_file = file.with_suffix(".done")
    wanted = _fingerprint(examples, companions, recipe)
    done = 0
    if file.exists() and done_file.exists():
        name, _, number = done_file.read_text().partition(" ")
        done = int(number) if name == wanted else 0
    mode = "r+" if done else "w+"
    views = np.lib.format.open_memmap(file, mode, np.float16, None if done else shape)
    batches = [
        (view, range(start, min(start + _BATCH, count)))
        for view in range(recipe.views + 1)
        for start in range(0, count, _BATCH)
    ]
    bar = tqdm(total=len(batches), initial=done, desc="Views", unit="batch", disable=None)
    with ThreadPoolExecutor(2) as pool, bar:

        def render(work: tuple[int, range]) -> np.ndarray:
            return np.stack(
                [_render(view_of, work[0], pixels, companions, recipe) for view_of in work[1]]
            )

        for (view, places), batch in zip(
            batches[done:], map_ahead(pool, render, batches[done:], ahead=4), strict=True
        ):
            given = prefix.predict_on_batch(batch.astype(np.float32))
            views[view, places.start : places.stop] = keras.ops.convert_to_numpy(given)
            done += 1
            bar.update()
            if done % 50 == 0 or done == len(batches):
                views.flush()
                with whole_file(done_file) as partial:
                    partial.write_text(f"{wanted} {done}")
    return views


def _render(
    place: int, view: int, pixels: np.ndarray, companions: np.ndarray, recipe: Recipe
) -> np.ndarray:
    rng = np.random.default_rng([recipe.seed, view, place])
    if place >= len(pixels):
        return blank(rng, pixels.shape[1])
    if view == recipe.views:
        return pixels[place]
    companion = companions[view, place]
    return augment(pixels[place], rng, pixels[companion] if companion >= 0 else None)


def choose_companions(folds: np.ndarray, usable: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Decides which views show two pictures side by side, as a picture of several people does.

    Both come from the same fold, so that no fold learns what it is tested on, and are of any
    class: such a view is Smoking where either is. A scene alone, or the kind of a data set, then
    says less about the class, and a smoker has to be found among others.

    Args:
        folds: the fold of each picture, ``int[n]``.
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
            chosen = rng.choice(others, (recipe.views, len(places)))
            paired = rng.random(chosen.shape) < recipe.pairs
            companions[:-1, places] = np.where(paired, chosen, -1)
    return companions


def _fingerprint(examples: Sequence[Example], companions: np.ndarray, recipe: Recipe) -> str:
    digest = hashlib.sha256(repr((recipe.cut, recipe.views, recipe.blanks, recipe.seed)).encode())
    digest.update(companions.tobytes())
    for example in examples:
        digest.update(f"{example.dataset}/{example.group}/{example.path.name}\n".encode())
    return digest.hexdigest()
