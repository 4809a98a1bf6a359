"""The command ``python -m train.shortcuts``: does a model see who smokes, or how the picture looks?

Where all pictures of one kind have the same label, that kind is learnt in place of what was meant
(Geirhos and others, "Shortcut Learning in Deep Neural Networks", 2020), and figures on more
pictures of that kind do not show it. Here everyday pictures are given the look of film stills,
and what is smoked is painted over in pictures of smoking.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import cv2
import numpy as np

from train.boxes import read_boxes
from train.data import DatasetError, find_examples, load_pixels, names_in
from train.evaluate import load_scorer
from train.unseen import Unseen, read_unseen

MARGIN = 2
"""Pixels around a box that are painted over as well: boxes are drawn by eye."""


def grey(pixels: np.ndarray) -> np.ndarray:
    """In black and white."""
    return np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def film_still(pixels: np.ndarray) -> np.ndarray:
    """In dark and hard black and white, with bars above and below."""
    values = grey(pixels).astype(np.float32)
    values = ((values - values.mean()) * 1.3 + 90).clip(0, 255)
    bar = len(pixels) // 8
    values[:bar] = values[-bar:] = 0
    return values.astype(np.uint8)


def lamplight(pixels: np.ndarray) -> np.ndarray:
    """Dark and warm, as in a bar at night."""
    return (pixels * np.float32([0.75, 0.55, 0.35])).astype(np.uint8)


LOOKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "black and white": grey,
    "film still": film_still,
    "lamplight": lamplight,
}
"""Each takes and gives ``uint8[size, size, 3]``, RGB."""


def paint_over(pixels: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Fills boxes with what is around them (Telea's fast marching, 2004).

    Args:
        pixels: ``uint8[size, size, 3]``.
        boxes: left, top, right, bottom as shares of the picture, ``float64[n, 4]``.
    """
    mask = np.zeros(pixels.shape[:2], np.uint8)
    for left, top, right, bottom in boxes * len(pixels):
        rows = slice(max(0, int(top) - MARGIN), int(bottom) + MARGIN + 1)
        mask[rows, max(0, int(left) - MARGIN) : int(right) + MARGIN + 1] = 255
    return cv2.inpaint(np.ascontiguousarray(pixels), mask, 5, cv2.INPAINT_TELEA)


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: python3 run.py shortcuts smoking.keras smoker stanford40 "
    "--unseen smoking.csv --boxes train/boxes.csv",
)
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--unseen",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The .csv file that training wrote. Each picture is scored by the model of its fold, "
    "where --keep-folds left those beside the model, else by the model itself.",
)
@click.option(
    "--boxes",
    "boxes_files",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    multiple=True,
    help="A CSV file of boxes around what is smoked, as for training.",
)
@click.option(
    "--wrong-labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV file whose column picture names what is set aside.",
)
@click.option(
    "--false-alarms",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.025,
    show_default=True,
    help="Share of the NotSmoking pictures, as they are, that the decision gets wrong.",
)
def main(
    model: Path,
    data: tuple[Path, ...],
    unseen: Path,
    boxes_files: tuple[Path, ...],
    wrong_labels: Path | None,
    false_alarms: float,
) -> None:
    """Shows what a .keras model takes for smoking when pictures look otherwise than they did.

    Prints the share of pictures called Smoking: of those without smoking (false alarms), as they
    are and with the look of film stills; of those with, as they are and with what is smoked painted
    over.
    """
    try:
        examples = [example for folder in data for example in find_examples(folder)]
        boxes = read_boxes(boxes_files)
        wrong = names_in(wrong_labels)
        known = {p.name: p for p in read_unseen(unseen) if p.name not in wrong}
    except (DatasetError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    examples, pixels = load_pixels([e for e in examples if e.name in known])
    pictures = [known[e.name] for e in examples]
    smoking = np.array([p.smoking for p in pictures], bool)
    located = np.array([p.name in boxes and len(boxes[p.name].smoked) > 0 for p in pictures], bool)
    if smoking.all() or not (smoking & located).any():
        raise click.UsageError(
            f"{unseen} names no pictures of both classes in {', '.join(map(str, data))} with boxes."
        )
    not_smoking, smokers = np.flatnonzero(~smoking), np.flatnonzero(smoking & located)
    over = [paint_over(pixels[i], boxes[pictures[i].name].smoked) for i in smokers]
    shown = {
        "as they are": (not_smoking, pixels[not_smoking]),
        **{
            name: (not_smoking, np.stack([look(pixels[i]) for i in not_smoking]))
            for name, look in LOOKS.items()
        },
        "smoking": (smokers, pixels[smokers]),
        "painted over": (smokers, np.stack(over)),
    }
    scores = _scores(model, pictures, shown)
    ordered = np.sort(scores["as they are"])
    threshold = ordered[-int(false_alarms * len(ordered)) - 1]
    called = {name: values > threshold for name, values in scores.items()}
    click.echo(f"{len(not_smoking)} pictures without smoking, called Smoking:")
    for name in ("as they are", *LOOKS):
        click.echo(f"  {name:<28}{called[name].mean():>8.1%}")
    for dataset in sorted({pictures[i].dataset for i in smokers}):
        of_set = np.array([pictures[i].dataset == dataset for i in smokers])
        click.echo(f"{of_set.sum()} pictures of {dataset} with smoking, called Smoking:")
        click.echo(f"  {'as they are':<28}{called['smoking'][of_set].mean():>8.1%}")
        click.echo(
            f"  {'what is smoked painted over':<28}{called['painted over'][of_set].mean():>8.1%}"
        )


def _scores(
    model: Path,
    pictures: Sequence[Unseen],
    shown: dict[str, tuple[np.ndarray, np.ndarray]],
) -> dict[str, np.ndarray]:
    """P(Smoking) by models that have not seen the pictures, ``float[n]`` for each name in shown.

    Args:
        model: the file; its folds' models are looked for beside it.
        pictures: all of them.
        shown: which of them, ``int[n]``, and how they look, ``uint8[n, size, size, 3]``.
    """
    from train.teachers import stand_in

    folds = np.array([picture.fold for picture in pictures])
    scores = {name: np.empty(len(places)) for name, (places, _) in shown.items()}
    for fold in np.unique(folds):
        _, score = load_scorer(stand_in(model, fold))
        for name, (places, pixels) in shown.items():
            of_fold = folds[places] == fold
            if of_fold.any():
                scores[name][of_fold] = score(pixels[of_fold])
    return scores


if __name__ == "__main__":
    main(prog_name="python3 run.py shortcuts")
