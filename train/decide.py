"""The command ``python3 run.py decide``: fits the decision of a model and chooses its looks."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np

from edge_app import ModelError
from edge_app.decision import Decision, replace_decision
from edge_app.files import whole_file
from edge_app.looks import Looks, combine_all
from train.data import SPLITS, VALIDATION, DatasetError, describe
from train.decision import DecisionError, DecisionRecipe, Sample, fit_decision, fit_first, fit_looks
from train.metrics import ALARMS, delong, highest, table
from train.recipe import SHIPPED, Recipe, find_data, part, read_recipe
from train.scoring import Scores, load_model, score

SIZES = (0.85, 0.7, 0.55)
"""Sizes of a further look that are tried, each alone and the first two together."""

LOWEST = (-4.0, -3.0, -2.0, -1.0, 0.0)
"""Logits of the first look, from which on a further look is tried."""

WORTH = 0.01
"""How much recall a further look has to bring."""

_EVERYWHERE = -16.0


@dataclass(frozen=True)
class Candidate:
    """A choice of looks and its figures.

    Attributes:
        name: for people.
        sizes: of the further looks; empty for one look.
        auc: over all pictures.
        recall: by family, at each share of false alarms of `train.metrics.ALARMS`.
        judged: mean over the families of the recall that the decision will have.
        again: share of the NotSmoking pictures of the limited families that is looked at again, by
            `LOWEST`.
        kept: ``judged`` where only these are looked at again.
        ms: time per picture of the model alone, if all are looked at again.
    """

    name: str
    sizes: tuple[float, ...]
    auc: float
    recall: dict[str, list[float]]
    judged: float
    again: list[float]
    kept: list[float]
    ms: float


def compare(sample: Sample, ms: float, recipe: DecisionRecipe) -> list[Candidate]:
    """Measures one look and every choice of further ones.

    Args:
        sample: calibrated by `fit_first`, with the columns of `SIZES` and the extra ones of
            `train.scoring.score`.
        ms: time of one inference.
        recipe: for the false alarms.
    """
    n = len(SIZES)
    choices = [("one look", (), [])]
    choices += [(f"+ {size:g}", (size,), [i]) for i, size in enumerate(SIZES, start=1)]
    choices.append((f"+ {SIZES[0]:g} + {SIZES[1]:g}", SIZES[:2], [1, 2]))
    if sample.logits.shape[1] > n + 1:
        choices.append(("+ 0.7 at two separate peaks", (), [2, n + 1]))
        choices.append(("+ mirrored", (), [n + 2]))
    found = []
    for name, sizes, columns in choices:
        again, kept = [], []
        for lowest in LOWEST if columns else ():
            values = _combined(sample, columns, lowest)
            negatives = np.concatenate(sample.negatives())
            again.append(float(np.mean(sample.logits[negatives, 0] >= lowest)))
            kept.append(_judge(values, sample, recipe.false_alarms))
        values = _combined(sample, columns, _EVERYWHERE)
        area = delong(values[sample.smoking], values[~sample.smoking])
        found.append(
            Candidate(
                name,
                sizes,
                area["value"] if area else math.nan,
                _recalls(values, sample),
                _judge(values, sample, recipe.false_alarms),
                again,
                kept,
                ms * (1 + len(columns)),
            )
        )
    return found


def choose(candidates: Sequence[Candidate]) -> tuple[tuple[float, ...], float]:
    """Sizes and lowest logit: each further look has to bring `WORTH`, and as few pictures as
    possible are looked at again without losing a fifth of that."""
    possible = [c for c in candidates if c.sizes or c.name == "one look"]
    best = max(possible, key=lambda c: c.judged - WORTH * len(c.sizes))
    if not best.sizes:
        return (), 0.0
    enough = best.judged - WORTH / 5
    lowest = [low for low, kept in zip(LOWEST, best.kept, strict=True) if kept >= enough]
    return best.sizes, max(lowest, default=LOWEST[0])


def describe_candidates(candidates: Sequence[Candidate]) -> str:
    """The table of all choices: AUC, recall by family, and who is looked at again."""
    families = list(candidates[0].recall)
    rows = []
    for c in candidates:
        at = [" / ".join(f"{100 * value:.0f}" for value in c.recall[name]) for name in families]
        bands = [f"{100 * s:.0f}: {100 * k:.1f}" for s, k in zip(c.again, c.kept, strict=True)]
        bands = bands or ["-"] * len(LOWEST)
        rows.append([c.name, f"{c.auc:.4f}", *at, f"{100 * c.judged:.1f}", *bands, f"{c.ms:.0f}"])
    limits = "/".join(f"{100 * limit:g}" for limit in ALARMS)
    head = ["looks", "AUC", *(f"{name}: recall at {limits} %" for name in families)]
    head += ["mean recall at the decision", *(f"from {low:g}" for low in LOWEST), "ms"]
    note = (
        "\nThe columns `from`: share of NotSmoking pictures looked at again (%), and the mean "
        "recall then (%). ms: the model alone, if every picture is looked at again."
    )
    return table(head, rows) + note


def decide(
    model: Path, scores: Scores, recipe: Recipe, out: Path | None, sizes=None, lowest=None
) -> Decision:
    """Fits everything for a model and prints how.

    Args:
        model: its file; a ``.keras`` file with a dense layer at its end is calibrated itself.
        scores: of its Validation pictures, with the looks of `SIZES` and the extra ones.
        recipe: the numbers.
        out: a copy of the model with the decision, or None.
        sizes, lowest: of the looks, or None for those of the recipe.

    Raises:
        DecisionError: the scores allow none.
        ValueError: the recipe makes no sense.
    """
    numbers = part(DecisionRecipe, recipe.decision, "decision")
    raw = Sample.of(scores, recipe)
    scale, bias = fit_first(raw, numbers.false_alarms)
    sample = replace(raw, logits=scale * raw.logits + bias)
    usable = not np.isnan(raw.logits[:, 1:]).all()
    candidates = compare(sample, scores.ms, numbers) if usable else []
    if candidates:
        click.echo(describe_candidates(candidates))
    if numbers.looks == "choose":
        chosen, low = choose(candidates) if candidates else ((), 0.0)
    else:
        chosen, low = (tuple(numbers.looks) if usable else ()), numbers.looks_from
    sizes, lowest = (chosen if sizes is None else sizes), (low if lowest is None else lowest)
    columns = [0, *(1 + SIZES.index(size) for size in sizes)]
    if sizes and not _enough(sample, columns, lowest):
        click.echo("Too few of these pictures can be looked at again; the decision has one look.")
        sizes, columns = (), [0]
    if model.suffix == ".tflite":  # its weights stay as they are; the threshold moves instead
        sample, move = raw, -bias / scale
    else:
        move = 0.0
    fitted, values = fit_decision(
        replace(sample, logits=(sample.logits - move)[:, columns]), numbers, sizes, lowest
    )
    decision = _moved(fitted, move)
    click.echo(f"Calibration: {scale:.3f} * logit {bias:+.3f}.\n{decision.to_json()}")
    click.echo(_summary(values, replace(sample, logits=sample.logits[:, columns])))
    if out:
        with whole_file(out) as partial:
            partial.write_bytes(model.read_bytes())
            if model.suffix != ".tflite":
                _fold_in(model, partial, scale, bias)
            replace_decision(partial, decision)
        click.echo(f"Wrote {out}.")
    return decision


def _moved(decision: Decision, move: float) -> Decision:
    """The same decision for logits that are larger by ``move``."""
    if not move:
        return decision

    def moved(value: float) -> float:
        if value in (0, 1):
            return value
        return 1 / (1 + math.exp(-(math.log(value / (1 - value)) + move)))

    looks = decision.looks
    if looks:
        bias = looks.bias + move - looks.scale * move
        looks = replace(looks, lowest=looks.lowest + move, bias=bias)
    low, high = decision.uncertain or (0.5, 0.5)
    return replace(decision, threshold=moved(0.5), uncertain=(moved(low), moved(high)), looks=looks)


def _fold_in(model: Path, out: Path, scale: float, bias: float) -> None:
    """Puts the calibration into the last dense layer, so that the file itself is calibrated."""
    import keras

    network = keras.models.load_model(model, compile=False)
    head = network.layers[-1]
    if not isinstance(head, keras.layers.Dense) or not head.use_bias:
        raise DecisionError(f"{model}: does not end in a dense layer with a bias")
    kernel, start = head.get_weights()
    shift = [bias] if len(start) == 1 else [-bias / 2, bias / 2]
    head.set_weights([scale * kernel, scale * start + np.array(shift, np.float32)])
    network.save(out)


def _enough(sample: Sample, columns: Sequence[int], lowest: float) -> bool:
    """Whether pictures of both labels are looked at again."""
    again = (sample.logits[:, 0] >= lowest) & ~np.isnan(sample.logits[:, columns[1:]]).all(axis=1)
    return len(np.unique(sample.smoking[again])) == 2


def _combined(sample: Sample, columns: Sequence[int], lowest: float) -> np.ndarray:
    """Combined logits, fitted where there are further looks."""
    logits = sample.logits[:, [0, *columns]]
    if not columns:
        return logits[:, 0]
    looks = Looks((0.5,) * len(columns), lowest)
    try:
        fitted = fit_looks(sample, columns, looks, 0.02)
    except DecisionError:  # too few pictures are left to look at again
        return logits[:, 0]
    return combine_all(logits, fitted)


def _judge(values: np.ndarray, sample: Sample, false_alarms: float) -> float:
    """Mean over families with 20 Smoking pictures or more of the recall at the threshold."""
    threshold = max(highest(values[places], false_alarms) for places in sample.negatives())
    hits = values > threshold
    recalls = [
        hits[of].mean()
        for name in np.unique(sample.families)
        if (of := sample.smoking & (sample.families == name)).sum() >= 20
    ]
    return float(np.mean(recalls or [hits[sample.smoking].mean()]))


def _recalls(values: np.ndarray, sample: Sample) -> dict[str, list[float]]:
    """By family, against its own NotSmoking pictures, or all where it has fewer than 50."""
    found = {}
    for name in np.unique(sample.families):
        of_family = sample.families == name
        positive, own = values[of_family & sample.smoking], values[of_family & ~sample.smoking]
        negative = own if len(own) >= 50 else values[~sample.smoking]
        if len(positive):
            found[str(name)] = [
                float(np.mean(positive > highest(negative, limit))) for limit in ALARMS
            ]
    return found


def _summary(scores: np.ndarray, sample: Sample) -> str:
    rows = []
    for name in np.unique(sample.families):
        for label, of in (("Smoking", sample.smoking), ("NotSmoking", ~sample.smoking)):
            chosen = scores[of & (sample.families == name)]
            if len(chosen):
                found = f"{int((chosen >= 0.5).sum())} of {len(chosen)}"
                rows.append([f"{name}, {label}", found, f"{100 * np.mean(chosen >= 0.5):.1f} %"])
    return table(["at this decision", "called Smoking", "share"], rows)


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: python3 run.py decide model.keras --data DATA --out decided.keras",
)
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--data",
    "folders",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    help="A folder of labelled pictures, as for train; repeat it for several.",
)
@click.option("--split", type=click.Choice([*SPLITS, "all"]), default=VALIDATION, show_default=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a copy of MODEL with the decision; without it, only print.",
)
@click.option(
    "--looks",
    metavar="SIZES",
    help="Sizes of the further looks, such as 0.7 or 0.85,0.7, or none.  [default: as the recipe]",
)
@click.option(
    "--from", "lowest", type=float, help="Look again from this logit.  [default: as the recipe]"
)
@click.option("--positive", multiple=True, metavar="FOLDER", help="Pictures in FOLDER are Smoking.")
@click.option(
    "--negative", multiple=True, metavar="FOLDER", help="Pictures in FOLDER are NotSmoking."
)
@click.option(
    "--recipe",
    "recipe_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=SHIPPED,
    help="A recipe file with other numbers.  [default: train/recipe.toml]",
)
def main(
    model: Path,
    folders: tuple[Path, ...],
    split: str,
    out: Path | None,
    looks: str | None,
    lowest: float | None,
    positive: tuple[str, ...],
    negative: tuple[str, ...],
    recipe_file: Path,
) -> None:
    """Fit calibration, threshold, uncertain band and looks of a model to labelled pictures.

    MODEL is a .keras or .tflite file. The weights of a .tflite file stay as they are.
    """
    try:
        sizes = None if looks is None else _sizes(looks)
        if out and out.suffix != model.suffix:
            raise ValueError(f"--out: expected a {model.suffix} file, got {out}")
        recipe = read_recipe(recipe_file)
        found = find_data(recipe, folders, positive, negative, assign=split != "all")
        examples = [e for e in found.examples if split in ("all", e.split)]
        if not examples:
            raise DatasetError(f"there are no {split} pictures in {', '.join(map(str, folders))}")
        click.echo(describe(examples))
        upscale = part(DecisionRecipe, recipe.decision, "decision").upscale
        scores = score(load_model(model), examples, SIZES, upscale, extra=True)
        decide(model, scores, recipe, out, sizes, lowest)
    except (ModelError, ValueError) as error:
        raise click.ClickException(str(error)) from None


def _sizes(text: str) -> tuple[float, ...]:
    if text == "none":
        return ()
    allowed = [
        ",".join(f"{s:g}" for s in c) for n in (1, 2) for c in itertools.combinations(SIZES, n)
    ]
    if text not in allowed:
        raise ValueError(f"--looks: expected none or one of {'; '.join(allowed)}, got {text}")
    return tuple(float(size) for size in text.split(","))


if __name__ == "__main__":
    main(prog_name="python3 run.py decide")
