"""The command ``python -m train``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click

from train.boxes import read_boxes
from train.data import (
    TESTING,
    TRAINING,
    VALIDATION,
    DatasetError,
    Example,
    find_examples,
    load_pixels,
    names_in,
)
from train.recipe import Recipe


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: python3 run.py train --data smoker --data stanford40 --out smoking.keras",
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
    help="What to begin with: imagenet (downloaded by Keras), a .weights.h5 file of the backbone, "
    "or a .keras file of ours; where its folds' models lie beside it (--keep-folds), each fold "
    "begins at its own, and no picture is scored by what has seen it.",
)
@click.option(
    "--unseen",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV file whose column picture names what the .keras file of --weights was not trained "
    "on, as the .csv file beside it does; only these pictures are cross-validated. Without it, "
    "all are.",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="FILE.keras"
)
@click.option(
    "--recipe",
    "kind",
    type=click.Choice(["standard", "notebook"]),
    default="standard",
    show_default=True,
    help="notebook: the one this project began with, a frozen backbone on the first --data.",
)
@click.option(
    "--wrong-labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV file whose column picture names pictures that are not trained on.",
)
@click.option(
    "--boxes",
    "boxes_files",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A CSV file of boxes around what is smoked and around heads, see train/boxes.py; with it "
    "the model learns where to look, and close views are made of the pictures. May be given "
    "several times.",
)
@click.option(
    "--teacher",
    "teachers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A .keras file of ours, given twice or more, or with --vit: the model begins as the first "
    "and learns what they say together. Only pictures of --unseen are cross-validated, "
    "which none of them may have been trained on; for a teacher with the files of --keep-folds "
    "beside it, its folds' models count.",
)
@click.option(
    "--vit",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --teacher: an ONNX file of DINOv2 ViT-S/14, fine-tuned first and one more teacher, "
    "see train/vit.py.",
)
@click.option(
    "--keep-folds",
    is_flag=True,
    help="Also write the models of the cross-validation, as OUT_fold0.keras and so on.",
)
@click.option(
    "--fold",
    "only",
    type=click.IntRange(0),
    multiple=True,
    help="Train this fold (0, 1 ...) of the cross-validation and stop. Processes on cores of their "
    "own can so share the work, once one of them has made the views (with --vit: and the tokens); "
    "the same command without this goes on from there.",
)
@click.option(
    "--set",
    "changes",
    metavar="NAME=VALUE",
    multiple=True,
    help="Another number for the recipe, as steps=200; see train/recipe.py for their names.",
)
def main(
    folders: tuple[Path, ...],
    weights: str,
    unseen: Path | None,
    out: Path,
    kind: str,
    wrong_labels: Path | None,
    boxes_files: tuple[Path, ...],
    teachers: tuple[Path, ...],
    vit: Path | None,
    keep_folds: bool,
    only: tuple[int, ...],
    changes: tuple[str, ...],
) -> None:
    """Fine-tunes MobileNetV2 on folders of pictures and writes a .keras file.

    Cross-validates first: what its models say of pictures they have not seen gives the threshold,
    and is written to a .csv file beside the model. A run that was broken off goes on where it was
    when the same command is given again.
    """
    if out.suffix != ".keras":
        raise click.BadParameter(f"{out} does not end in .keras", param_hint="--out")
    if weights != "imagenet" and not Path(weights).is_file():
        raise click.BadParameter(f"{weights}: there is no such file", param_hint="--weights")
    if teachers and (len(teachers) + bool(vit) < 2 or not unseen):
        raise click.UsageError("--teacher is given twice or more, or with --vit; with --unseen.")
    if vit and not teachers:
        raise click.UsageError("--vit needs --teacher: the model to begin as.")
    recipe = _change(Recipe(), changes)
    try:
        found = [example for folder in folders for example in find_examples(folder)]
    except DatasetError as error:
        raise click.BadParameter(str(error), param_hint="--data") from None
    examples = list({example.path: example for example in found}.values())
    if len(examples) < len(found):
        click.echo(f"{len(found) - len(examples)} pictures are given twice, and taken once.")
    smoking_folders = {f"{e.dataset}/{e.group}" for e in examples if e.smoking}
    click.echo(f"Smoking: {', '.join(sorted(smoking_folders))}; every other folder is not")
    if kind == "notebook":
        _train_notebook(examples, weights, out, recipe.seed)
    else:
        wrong = _names(wrong_labels, "--wrong-labels")
        named = _names(unseen, "--unseen") if unseen else {e.name for e in examples}
        try:
            boxes = read_boxes(boxes_files)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--boxes") from None
        if vit:
            with contextlib.suppress(ModuleNotFoundError):  # what is missing is said later
                # Brings triton, which ends the process when it is loaded after TensorFlow.
                import torch._dynamo  # noqa: F401
        from train.run import Run, train
        from train.training import TrainingError

        trained_on = [e for e in examples if e.split != TESTING]
        run = Run(trained_on, weights, teachers, named, wrong, boxes, recipe, vit)
        try:
            train(run, out, keep_folds, only)
        except TrainingError as error:
            raise click.UsageError(str(error)) from None
        if only:
            return
    click.echo(f"Evaluate it with: python3 run.py evaluate {out} {' '.join(map(str, folders))}")


def _names(file: Path | None, option: str) -> set[str]:
    try:
        return names_in(file)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _train_notebook(examples: Sequence[Example], weights: str, out: Path, seed: int) -> None:
    from train.notebook import train_notebook
    from train.training import save

    first = [e for e in examples if e.dataset == examples[0].dataset]
    training = load_pixels([e for e in first if e.split == TRAINING])
    validation = load_pixels([e for e in first if e.split == VALIDATION])
    model, decision = train_notebook(training, validation, weights, seed)
    save(model, decision, out)
    click.echo(f"Wrote {out}.")


def _change(recipe: Recipe, changes: tuple[str, ...]) -> Recipe:
    kinds = {field.name: type(getattr(recipe, field.name)) for field in fields(recipe)}
    for change in changes:
        name, _, value = change.partition("=")
        try:
            number = kinds[name](value)
        except (KeyError, ValueError):
            raise click.BadParameter(
                f"{change}: expected NAME=VALUE with one of {', '.join(kinds)}", param_hint="--set"
            ) from None
        try:
            recipe = replace(recipe, **{name: number})
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--set") from None
    return recipe


if __name__ == "__main__":
    main(prog_name="python3 run.py train")
