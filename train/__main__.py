"""The command ``python3 run.py train``: a recipe and labelled pictures to a ``.keras`` file."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np

from edge_app import ModelError
from edge_app.files import whole_file
from edge_app.invocation import invocation
from train.data import (
    TRAINING,
    VALIDATION,
    DatasetError,
    Example,
    describe,
    draw_weights,
    load_pictures,
    load_pixels,
    write_table,
)
from train.recipe import SHIPPED, Data, Recipe, find_data, part, read_recipe


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: python3 run.py train --data mine --positive smoker --out mine.keras",
)
@click.option(
    "--data",
    "folders",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    help="A folder of labelled pictures; repeat it for several sets.",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="FILE.keras"
)
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep checkpoints in this folder; run the same command again to resume.  "
    "[default: OUT without .keras + -training]",
)
@click.option("--positive", multiple=True, metavar="FOLDER", help="Pictures in FOLDER are Smoking.")
@click.option(
    "--negative", multiple=True, metavar="FOLDER", help="Pictures in FOLDER are NotSmoking."
)
@click.option(
    "--splits",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read labels, groups and splits from this table instead of folder names.",
)
@click.option(
    "--recipe",
    "recipe_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=SHIPPED,
    help="Use the seeds and numbers in this file.  [default: train/recipe.toml]",
)
@click.option(
    "--start",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Start at this file instead of the one that the recipe names.",
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
    folders: tuple[Path, ...],
    out: Path,
    state: Path | None,
    positive: tuple[str, ...],
    negative: tuple[str, ...],
    splits: Path | None,
    recipe_file: Path,
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
    try:
        recipe = read_recipe(recipe_file)
        data = find_data(recipe, folders, positive, negative, splits)
        click.echo(describe(data.examples))
        if show:
            write_table(out.with_suffix(".csv"), data.examples)
            click.echo(f"Wrote {out.with_suffix('.csv')}.")
            return
        if baseline:
            _train_baseline(data, str(start or "imagenet"), out, recipe.seed)
        else:
            _train(
                recipe,
                data,
                out,
                state or out.with_suffix("").with_name(f"{out.stem}-training"),
                start,
                workers,
            )
    except (ModelError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    where = " ".join(f'"{folder}"' for folder in folders)
    where += "".join(f" --positive {name}" for name in positive)
    where += "".join(f" --negative {name}" for name in negative)
    by_run = invocation().endswith("run.py")
    command = f"{invocation()} evaluate" if by_run else "python -m train.evaluate"
    click.echo(f"Evaluate it: {command} {out} {where} --split {VALIDATION}")


def _train(
    recipe: Recipe, data: Data, out: Path, folder: Path, start: Path | None, workers: int
) -> None:
    # Checked before anything is read or downloaded.
    from train.decide import SIZES, decide
    from train.decision import DecisionRecipe
    from train.scoring import load_model, score
    from train.student import (
        StudentRecipe,
        build_student,
        open_folder,
        start_weights,
        train_student,
    )
    from train.views import ViewRecipe

    student = part(StudentRecipe, recipe.student, "student")
    views = part(ViewRecipe, recipe.views, "views")
    decision = part(DecisionRecipe, recipe.decision, "decision")
    training = _of(data, TRAINING)
    validation = _of(data, VALIDATION)
    weights = draw_weights(training, recipe.shares if data.known else {})
    boxes = data.boxes(recipe)
    open_folder(folder, {"recipe": recipe.sha256, "pictures": len(data.examples)})
    write_table(folder / "splits.csv", data.examples)
    click.echo(f"Checkpoints: {folder}. Stop at any time; run the same command again to resume.")
    file = start_weights(recipe.start, folder, start)
    readable, pictures = load_pictures(training)
    kept = {e.name for e in readable}
    model = train_student(
        readable,
        pictures,
        boxes,
        weights[[e.name in kept for e in training]],
        folder,
        lambda: build_student(file),
        student,
        views,
        recipe.seed,
        workers=workers,
        say=click.echo,
    )
    trained = folder / "trained.keras"
    with whole_file(trained) as partial:
        model.save(partial)
    click.echo("Fitting the decision on Validation.")
    scores = score(load_model(trained), validation, SIZES, decision.upscale, extra=True)
    decide(trained, scores, recipe, out)


def _train_baseline(data: Data, weights: str, out: Path, seed: int) -> None:
    from edge_app.decision import Decision, replace_decision
    from train.notebook import train_notebook
    from train.views import SIZE

    def arrays(split: str) -> tuple[np.ndarray, np.ndarray]:
        examples, pixels = load_pixels(_of(data, split), SIZE)
        return pixels, np.array([e.smoking for e in examples])

    model = train_notebook(arrays(TRAINING), arrays(VALIDATION), weights, seed)
    with whole_file(out) as partial:
        model.save(partial)
        replace_decision(partial, Decision(chosen="0.5, as in the notebook"))
    click.echo(f"Wrote {out}.")


def _of(data: Data, split: str) -> list[Example]:
    """The pictures of a split.

    Raises:
        DatasetError: one of the labels is missing.
    """
    examples = [e for e in data.examples if e.split == split]
    if {e.smoking for e in examples} != {False, True}:
        raise DatasetError(
            f"expected {split} pictures of both labels, got {len(examples)} pictures of "
            f"{'one' if examples else 'none'}; more groups are needed, or a table: --splits FILE"
        )
    return examples


if __name__ == "__main__":
    main(prog_name="python3 run.py train")
