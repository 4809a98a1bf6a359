"""Sizes that a model's description claims, held against what its file holds.

Keras makes the weights that a description asks for before it reads those of the file, so a
description that is damaged, or made for it, takes all memory.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import h5py

from convert.containers import LARGEST, Found

_LARGE = 10_000
"""Sizes up to this are not looked at: no layer of them takes all memory."""
_SIZES = frozenset({"units", "filters", "input_dim", "output_dim", "key_dim", "num_heads"})
_SHAPES = frozenset({"batch_shape", "batch_input_shape"})


def problem_of_size(found: Found, config: object) -> str | None:
    """Why a description cannot be that of the weights in its file, else None."""
    large = set(_large_sizes(config))
    claimed = {size for size, is_input in large if not is_input}
    if inputs := [size for size, is_input in large if is_input]:
        return f"takes pictures with a side of {max(inputs)}, more than any; it is damaged"
    missing = claimed - _stored_sides(found) if claimed else set()
    if missing:
        return f"describes a layer of {max(missing)} units whose weights it lacks; it is damaged"
    return None


def _large_sizes(config: object) -> Iterator[tuple[int, bool]]:
    """Sizes of layers, and of inputs, that are large."""
    if isinstance(config, list):
        for part in config:
            yield from _large_sizes(part)
    elif isinstance(config, dict):
        for name, value in config.items():
            if name in _SIZES and isinstance(value, int) and value > _LARGE:
                yield value, False
            if name in _SHAPES and isinstance(value, list) and len(value) == 4:  # of pictures
                large = (side for side in value if isinstance(side, int) and side > _LARGE)
                yield from ((side, True) for side in large)
            yield from _large_sizes(value)


def _stored_sides(found: Found) -> set[int]:
    sides: set[int] = set()

    def note(_name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            sides.update(item.shape)

    if found.kind == "hdf5":
        with h5py.File(found.file) as file:
            file.visititems(note)
        return sides
    with zipfile.ZipFile(found.file) as members:
        for entry in members.infolist():
            if entry.filename.endswith(".h5") and entry.file_size <= LARGEST:
                with h5py.File(io.BytesIO(members.read(entry))) as file:
                    file.visititems(note)
    return sides
