"""The command ``python -m train``."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import numpy as np

from train.data import (
    SPLITS,
    TRAINING,
    VALIDATION,
    DatasetError,
    find_examples,
    load_pixels,
)
from train.recipe import Recipe


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: python -m train --data smoker --data stanford40 --out smoking.keras",
)
@click.option(
    "--data",
    "folders",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    help="A data set; give it several times for several. See train/data.py for the layouts.",
)
@click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    help="The backbone's weights: a .weights.h5 file, or imagenet (downloaded by Keras).",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="FILE.keras"
)
@click.option("--epochs", type=click.IntRange(1), default=Recipe.epochs, show_default=True)
@click.option(
    "--samples",
    type=click.IntRange(32),
    default=Recipe.samples,
    show_default=True,
    help="Pictures an epoch, drawn anew.",
)
@click.option(
    "--unfreeze-from",
    default=Recipe.unfreeze_from,
    show_default=True,
    help="First layer of the backbone that is trained.",
)
@click.option("--seed", default=Recipe.seed, show_default=True)
def main(
    folders: tuple[Path, ...],
    weights: str,
    out: Path,
    epochs: int,
    samples: int,
    unfreeze_from: str,
    seed: int,
) -> None:
    """Fine-tunes MobileNetV2 on folders of pictures and writes a .keras file.

    A run that was broken off goes on where it was when the same command is given again.
    """
    if out.suffix != ".keras":
        raise click.BadParameter(f"{out} does not end in .keras", param_hint="--out")
    if weights != "imagenet" and not Path(weights).is_file():
        raise click.BadParameter(f"{weights}: there is no such file", param_hint="--weights")
    try:
        examples = [example for folder in folders for example in find_examples(folder)]
    except DatasetError as error:
        raise click.BadParameter(str(error), param_hint="--data") from None
    smoking_folders = {f"{e.dataset}/{e.group}" for e in examples if e.smoking}
    click.echo(f"Smoking: {', '.join(sorted(smoking_folders))}; every other folder is not")
    for split in SPLITS:
        of_split = [e for e in examples if e.split == split]
        smoking = sum(e.smoking for e in of_split)
        click.echo(f"{split}: {smoking} Smoking, {len(of_split) - smoking} NotSmoking")
        if split != "Testing" and (smoking == 0 or smoking == len(of_split)):
            raise click.UsageError(f"{split} needs pictures of both classes; add another --data.")

    from train.model import build_model
    from train.training import CheckpointError, fit, save, set_decision

    recipe = Recipe(epochs=epochs, samples=samples, unfreeze_from=unfreeze_from, seed=seed)
    training = load_pixels([e for e in examples if e.split == TRAINING])
    validation = load_pixels([e for e in examples if e.split == VALIDATION])
    try:
        trained = build_model(weights, recipe.unfreeze_from, size=None)
    except ValueError as error:
        raise click.UsageError(f"The backbone could not be built: {error}") from None
    try:
        fit(
            trained,
            training,
            validation,
            recipe,
            log=out.with_suffix(".csv"),
            checkpoint=out.with_suffix(".checkpoint.npz"),
        )
    except CheckpointError as error:
        raise click.UsageError(str(error)) from None
    model = build_model(None, recipe.unfreeze_from)
    model.set_weights(trained.get_weights())

    scores = model.predict(validation[1], verbose=0)[:, 0]
    labels = np.array([example.smoking for example in validation[0]])
    decision = set_decision(model, scores, labels, recipe)
    save(model, decision, out)
    click.echo(f"Wrote {out}. Decision: {decision.chosen}.")
    click.echo(f"Evaluate it with: python -m train.evaluate {out} {' '.join(map(str, folders))}")


if __name__ == "__main__":
    main()
