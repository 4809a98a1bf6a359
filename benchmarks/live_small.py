"""What looking twice does to the events of small, moving figures.

    python -m benchmarks.live_small --smoking DIR --other DIR --behind DIR

Pictures of people are pasted into pictures without people, at 15 to 80 % of the frame's
height, and moved across it for some seconds. Printed is in how many of these scenes an event
begins: for smokers it should, for others it should not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from PIL import Image

from edge_app import Classifier
from edge_app.decision import Decision
from edge_app.live import EventDetector, Rule
from edge_app.live.glance import Glance
from edge_app.looks import Looks

_SIZE = (1280, 720)
_FPS, _SECONDS = 3, 4
_HEIGHTS = (0.15, 0.25, 0.4, 0.6, 0.8)
_SEED = 5


def scene(figure: Path, behind: Path, height: float, seed: int) -> Iterator[np.ndarray]:
    """The frames of a scene: ``uint8[720, 1280, 3]``, BGR."""
    rng = np.random.default_rng(seed)
    back = Image.open(behind).convert("RGB").resize(_SIZE)
    person = Image.open(figure).convert("RGB")
    tall = round(height * _SIZE[1])
    person = person.resize((max(1, round(person.width * tall / person.height)), tall))
    room = np.maximum(np.subtract(_SIZE, person.size), 0)
    start, end = (rng.uniform(size=2) * room for _ in range(2))
    count = _FPS * _SECONDS
    for number in range(count):
        place = start + (end - start) * number / count
        frame = back.copy()
        frame.paste(person, (round(place[0]), round(place[1])))
        yield np.ascontiguousarray(np.asarray(frame)[..., ::-1])


def has_event(classifier: Classifier, frames: Iterator[np.ndarray]) -> bool:
    """Whether an event begins in a scene, with the defaults of ``live``."""
    detector, glance = EventDetector(Rule.of(classifier.info.decision)), Glance(all_looks=True)
    for number, pixels in enumerate(frames):
        prediction = glance.classify(classifier, pixels, number / _FPS)
        if detector.update(prediction.smoking, number / _FPS):
            return True
    return False


def _with_looks(classifier: Classifier) -> Decision:
    """The model's own decision; where it looks once, one with a second look and no calibration."""
    decision = classifier.info.decision
    if decision.looks is not None:
        return decision
    click.echo("The model looks once: tried with a second look at 0.7 that is not calibrated.")
    return Decision(
        decision.label, decision.threshold, uncertain=decision.uncertain, looks=Looks((0.7,), -16.0)
    )


@click.command()
@click.option("--smoking", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--other", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--behind", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--scenes", type=click.IntRange(1), default=40, show_default=True, help="Per row.")
def main(smoking: Path, other: Path, behind: Path, scenes: int) -> None:
    """Measure what looking twice does to the events of small, moving figures."""
    once = Classifier(looks=1)
    twice = Classifier(decision=_with_looks(Classifier()))
    rng = np.random.default_rng(_SEED)
    backs = rng.choice(sorted(behind.rglob("*.jpg")), scenes)  # the same in all rows
    click.echo(f"{once.info.metadata.name} {once.info.metadata.version}, {scenes} scenes per row\n")
    click.echo("| height of the figure | figure | one look | with looks |\n|---|---|--:|--:|")
    for height in _HEIGHTS:
        for name, folder in (("smoker", smoking), ("other", other)):
            figures = rng.choice(sorted(folder.rglob("*.jpg")), scenes)
            pairs = list(zip(figures, backs, strict=True))
            counts = [
                sum(
                    has_event(classifier, scene(*pair, height, seed))
                    for seed, pair in enumerate(pairs)
                )
                for classifier in (once, twice)
            ]
            click.echo(f"| {height:.0%} | {name} | {counts[0]} | {counts[1]} |")


if __name__ == "__main__":
    main()
