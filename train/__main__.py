"""The command ``python3 run.py train``: a recipe and labelled pictures to a ``.keras`` file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import numpy as np

from edge_app.files import whole_file
from train.data import TRAINING, VALIDATION, describe, draw_weights, load_picture, read_pictures
from train.data import write_table as write_splits
from train.recipe import FOLDER, NEW_FILE, Data, Recipe, command, data_option


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
    "--show", is_flag=True, help="Only print what was understood, and write the splits to OUT.csv."
)
@click.option("--baseline", is_flag=True, help="Train the notebook that this project began as.")
def main(
    recipe: Recipe,
    find: Callable[..., Data],
    folders: tuple[Path, ...],
    out: Path,
    state: Path | None,
    show: bool,
    baseline: bool,
) -> None:
    """Train a MobileNetV2 on labelled pictures and write a .keras file with its decision.

    The folders may be one that holds the sets of train/splits.csv, or sets of your own with one
    folder per label. What was understood is printed before the training begins.
    """
    if out.suffix != ".keras":
        raise click.BadParameter(f"{out} does not end in .keras", param_hint="--out")
    data = find(folders)
    click.echo(describe(data.examples))
    if show:
        write_splits(out.with_suffix(".csv"), data.examples)
        click.echo(f"Wrote {out.with_suffix('.csv')}.")
    elif baseline:
        _train_baseline(data, out, recipe.seed)
    else:
        state = state or out.with_suffix("").with_name(f"{out.stem}-training")
        _train(recipe, data, out, state)


def _train(recipe: Recipe, data: Data, out: Path, folder: Path) -> None:
    # Checked before anything is read or downloaded.
    training, validation = data.of(TRAINING), data.of(VALIDATION)
    shares = recipe.shares if data.known else {}
    draw_weights(training, shares)
    from train.decision import decide
    from train.student import build_student, fit, open_folder, start_weights
    from train.views import Views

    open_folder(folder, {"recipe": recipe.sha256, "pictures": len(data.examples)})
    write_splits(folder / "splits.csv", data.examples)
    click.echo(f"Checkpoints: {folder}. Stop at any time; run the same command again to resume.")
    file = start_weights(recipe.start, folder)
    pictures = list(read_pictures(training, load_picture))
    examples = [e for e, _ in pictures]
    click.echo(f"{len(examples)} pictures, {sum(bool(e.boxes) for e in examples)} with boxes")
    batches = partial(Views, pictures, draw_weights(examples, shares), recipe)
    state = folder / "state.keras"
    fit(lambda: build_student(file), batches, state, recipe, click.echo)
    click.echo("Fitting the decision on Validation.")
    decide(state, validation, recipe, out)


def _train_baseline(data: Data, out: Path, seed: int) -> None:
    from edge_app.decision import Decision, replace_decision
    from edge_app.imaging import read_pixels
    from train.notebook import train_notebook
    from train.views import SIZE

    def arrays(split: str) -> tuple[np.ndarray, np.ndarray]:
        pairs = read_pictures(data.of(split), lambda path: read_pixels(path, SIZE))
        examples, pixels = zip(*pairs, strict=True)
        return np.stack(pixels), np.array([[e.smoking] for e in examples], np.float32)

    model = train_notebook(arrays(TRAINING), arrays(VALIDATION), seed)
    with whole_file(out) as partial:
        model.save(partial)
        replace_decision(partial, Decision(chosen="0.5, as in the notebook"))
    click.echo(f"Wrote {out}.")


if __name__ == "__main__":
    main(prog_name="python3 run.py train")
