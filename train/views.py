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
    folds: np.ndarray,
    pixels: np.ndarray,
    recipe: Recipe,
) -> np.ndarray:
    """Computes the features of all views, or goes on with those of a run that was broken off.

    Args:
        file: where they are kept, a ``.npy`` file; beside it, a ``.done`` file says how far.
        prefix: float32 ``[n, size, size, 3]`` in [0, 255] to the features at the cut.
        examples: the pictures; the recipe's blanks come behind them.
        folds: the fold of each example, ``int[n]``; views that show two pictures take both from
            the same fold and class, so that no fold learns what it is tested on.
        pixels: ``uint8[n, size, size, 3]``, RGB.
        recipe: its seed, views and blanks.

    Returns:
        ``float16[views + 1, n + blanks, rows, columns, channels]``, mapped from the file. The last
        view is the picture as it is.
    """
    count = len(examples) + recipe.blanks
    shape = (recipe.views + 1, count, *prefix.output.shape[1:])
    done_file = file.with_suffix(".done")
    wanted = _fingerprint(examples, folds, recipe)
    done = 0
    if file.exists() and done_file.exists():
        name, _, number = done_file.read_text().partition(" ")
        done = int(number) if name == wanted else 0
    mode = "r+" if done else "w+"
    views = np.lib.format.open_memmap(file, mode, np.float16, None if done else shape)
    companions = _companions(examples, folds)
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
    place: int, view: int, pixels: np.ndarray, companions: list[np.ndarray], recipe: Recipe
) -> np.ndarray:
    rng = np.random.default_rng([recipe.seed, view, place])
    if place >= len(companions):
        return blank(rng, pixels.shape[1])
    if view == recipe.views:
        return pixels[place]
    companion = pixels[rng.choice(companions[place])]
    return augment(pixels[place], rng, companion)


def _companions(examples: Sequence[Example], folds: np.ndarray) -> list[np.ndarray]:
    """For each example, the places of those of its own class and fold."""
    groups: dict[tuple[bool, int], list[int]] = {}
    for place, (example, fold) in enumerate(zip(examples, folds, strict=True)):
        groups.setdefault((example.smoking, int(fold)), []).append(place)
    arrays = {key: np.array(places) for key, places in groups.items()}
    return [arrays[e.smoking, int(fold)] for e, fold in zip(examples, folds, strict=True)]


def _fingerprint(examples: Sequence[Example], folds: np.ndarray, recipe: Recipe) -> str:
    digest = hashlib.sha256(repr((recipe.cut, recipe.views, recipe.blanks, recipe.seed)).encode())
    for example, fold in zip(examples, folds, strict=True):
        digest.update(f"{example.dataset}/{example.group}/{example.path.name} {fold}\n".encode())
    return digest.hexdigest()
