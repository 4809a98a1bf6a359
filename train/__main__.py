"""The command ``python3 run.py train``: a recipe and labelled pictures to a ``.keras`` file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from edge_app.files import whole_file
from edge_app.invocation import invocation
from train.data import TRAINING, VALIDATION, describe, draw_weights, load_pictures, load_pixels
from train.data import write_table as write_splits
from train.recipe import FILE, FOLDER, NEW_FILE, Data, Recipe, command, data_option


@command("python3 run.py train --data mine --positive smoker --out mine.keras")
@data_option
@click.option("--out", type=NEW_FILE, required=True, help="FILE.keras")
@click.option(
    "--state",
    type=FOLDER,
    help="Keep checkpoints in this folder; run the same command again to resume.  "
    "[default: OUT without .keras + -training]",
)
@click.option(
    "--splits",
    type=FILE,
    help="Read labels, groups and splits from this table instead of folder names.",
)
@click.option(
    "--start", type=FILE, help="Start at this file instead of the one that the recipe names."
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Make views in so many processes.",
)
@click.option(
    "--show", is_flag=True, help="Only print what was understood, and write the splits to OUT.csv."
)
@click.option("--baseline", is_flag=True, help="Train the notebook that this project began as.")
def main(
    recipe: Recipe,
    find: Callable[..., Data],
    folders: tuple[Path, ...],
    out: Path,
    state: Path | None,
    splits: Path | None,
    start: Path | None,
    workers: int,
    show: bool,
    baseline: bool,
) -> None:
    """Train a MobileNetV2 on labelled pictures and write a .keras file with its decision.

    The folders may be one that holds the sets of train/splits.csv, or sets of your own with one
    folder per label. What was understood is printed before the training begins.
    """
    if out.suffix != ".keras":
        raise click.BadParameter(f"{out} does not end in .keras", param_hint="--out")
    data = find(folders, splits=splits)
    click.echo(describe(data.examples))
    if show:
        write_splits(out.with_suffix(".csv"), data.examples)
        click.echo(f"Wrote {out.with_suffix('.csv')}.")
        return
    if baseline:
        _train_baseline(data, str(start or "imagenet"), out, recipe.seed)
    else:
        state = state or out.with_suffix("").with_name(f"{out.stem}-training")
        _train(recipe, data, out, state, start, workers)
    where = " ".join(f'"{folder}"' for folder in folders)
    stated = click.get_current_context().params
    where += "".join(f" --{name} {x}" for name in ("positive", "negative") for x in stated[name])
    by_run = invocation().endswith("run.py")
    evaluate = f"{invocation()} evaluate" if by_run else "python -m train.evaluate"
    click.echo(f"Evaluate it: {evaluate} {out} {where} --split {VALIDATION}")


def _train(
    recipe: Recipe, data: Data, out: Path, folder: Path, start: Path | None, workers: int
) -> None:
    # Checked before anything is read or downloaded.
    training, validation, boxes = data.of(TRAINING), data.of(VALIDATION), data.boxes(recipe)
    weights = draw_weights(training, recipe.shares if data.known else {})
    from train.decide import SIZES, decide
    from train.scoring import load_model, score
    from train.student import build_student, fit, open_folder, start_weights
    from train.views import Views

    open_folder(folder, {"recipe": recipe.sha256, "pictures": len(data.examples)})
    write_splits(folder / "splits.csv", data.examples)
    click.echo(f"Checkpoints: {folder}. Stop at any time; run the same command again to resume.")
    file = start_weights(recipe.start, folder, start)
    readable, pictures = load_pictures(training)
    odds = dict(zip((e.name for e in training), weights, strict=True))
    none = np.empty((0, 4))
    boxes_of = [boxes.get(e.name, none) if e.smoking else none for e in readable]
    click.echo(f"{len(readable)} pictures, {sum(map(bool, map(len, boxes_of)))} with boxes")

    def batches(first: int, steps: int) -> Views:
        return Views(
            pictures,
            boxes_of,
            np.array([e.smoking for e in readable], int),
            np.array([odds[e.name] for e in readable]),
            recipe.views,
            first=first,
            steps=steps,
            batch=recipe.student.batch,
            seed=recipe.seed,
            workers=workers,
            use_multiprocessing=workers > 1,
            max_queue_size=8,
        )

    state = folder / "state.keras"
    model = fit(
        lambda: build_student(file), batches, state, recipe.student, recipe.seed, click.echo
    )
    trained = folder / "trained.keras"
    with whole_file(trained) as partial:
        model.save(partial)
    click.echo("Fitting the decision on Validation.")
    scores = score(load_model(trained), validation, SIZES, recipe.decision.upscale)
    decide(trained, scores, recipe, out)


def _train_baseline(data: Data, weights: str, out: Path, seed: int) -> None:
    from edge_app.decision import Decision, replace_decision
    from train.notebook import train_notebook
    from train.views import SIZE

    def arrays(split: str) -> tuple[np.ndarray, np.ndarray]:
        examples, pixels = load_pixels(data.of(split), SIZE)
        return pixels, np.array([[e.smoking] for e in examples], np.float32)

    model = train_notebook(arrays(TRAINING), arrays(VALIDATION), weights, seed)
    with whole_file(out) as partial:
        model.save(partial)
        replace_decision(partial, Decision(chosen="0.5, as in the notebook"))
    click.echo(f"Wrote {out}.")


if __name__ == "__main__":
    main(prog_name="python3 run.py train")
