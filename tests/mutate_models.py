"""Damages a model file in many ways; none may do more than be refused in one line.

    python -m tests.mutate_models --count 400

Words of the file's structure (not its weights) are replaced: by small and large numbers, and by
other words of the file. Each result is loaded and, if that works, classifies one picture.
"""

from __future__ import annotations

import argparse
import random
import struct
import tempfile
from collections import Counter
from pathlib import Path

from edge_app import Classifier, ModelError
from edge_app.classifier import DEFAULT_MODEL
from edge_app.metadata import _root

_PICTURE = Path(__file__).parent.parent / "samples" / "coffee.jpg"
_VALUES = (0, 1, 2, 7, 127, 255, 65_535, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FC00000, 0x7F800000)


def structure(model: bytes) -> list[int]:
    """Where the words are that are no weights."""
    weights = []
    for buffer in _root(model).tables(4):
        start, length = buffer._vector(0)
        if length > 256:
            weights.append(range(start, start + length))
    places = set(range(8, len(model) - 4, 4))
    for span in weights:
        places -= set(span)
    return sorted(places)


def mutate(model: bytes, places: list[int], chance: random.Random) -> bytes:
    """The model with one to three of its words replaced."""
    mutated = bytearray(model)
    for _ in range(chance.randint(1, 3)):
        place = chance.choice(places)
        other = chance.choice(places)
        word = chance.choice((struct.pack("<I", chance.choice(_VALUES)), model[other : other + 4]))
        mutated[place : place + 4] = word
    return bytes(mutated)


def try_all(count: int, seed: int, folder: Path, model: bytes | None = None) -> Counter[str]:
    """What became of so many damaged models; a traceback or a crash comes through."""
    model = model or DEFAULT_MODEL.read_bytes()
    chance, places = random.Random(seed), structure(model)
    outcomes: Counter[str] = Counter()
    path = folder / "mutated.tflite"
    for _ in range(count):
        path.write_bytes(mutate(model, places, chance))
        try:
            prediction = Classifier(path).classify(_PICTURE)
        except ModelError as error:
            text = str(error)
            assert "\n" not in text and len(text) < 600, text
            kind = "crash contained" if "crashes the runtime" in text else "refused"
            outcomes[kind] += 1
        else:
            assert 0 <= prediction.smoking <= 1
            outcomes["used"] += 1
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = try_all(options.count, options.seed, Path(folder))
    print(f"{options.count} damaged models: {dict(outcomes)}; no crash, no traceback")


if __name__ == "__main__":
    main()
