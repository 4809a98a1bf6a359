"""The command ``python3 run.py decide``: fits the decision of a model and chooses its looks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy.special import expit
from scipy.special import logit as log_odds

from edge_app.decision import Decision, replace_decision
from edge_app.files import whole_file
from edge_app.looks import Looks, combine_all
from train.data import SPLITS, VALIDATION, DatasetError, describe
from train.decision import DecisionError, Sample, fit_decision, fit_first, fit_looks
from train.metrics import ALARMS, measure, percent, table
from train.recipe import FILE, NEW_FILE, Data, DecisionRecipe, Recipe, command, data_option
from train.scoring import Scores, load_model, score

SIZES = (0.85, 0.7, 0.55)
"""Sizes of a further look that are tried, each alone and the first two together."""

LOWEST = (-4.0, -3.0, -2.0, -1.0, 0.0)
"""Logits of the first look, from which on a further look is tried."""

WORTH = 0.01
"""How much recall a further look has to bring."""


@dataclass(frozen=True)
class Candidate:
    """A choice of looks, and its figures.

    Attributes:
        sizes, lowest: as `edge_app.looks.Looks` has them; no sizes for one look.
        figures: `train.metrics.measure` of each family with smoking, and of ``all``.
        recall: mean over the families with 20 Smoking pictures or more, at the decision.
        again: share of the NotSmoking pictures of the limited families that is looked at again.
    """

    sizes: tuple[float, ...]
    lowest: float
    figures: dict[str, dict[str, Any]]
    recall: float
    again: float


def compare(sample: Sample, recipe: DecisionRecipe) -> list[Candidate]:
    """Measures one look and every choice of further ones, on a sample that is calibrated by
    `fit_first` and has the columns of `SIZES`."""
    negatives = np.concatenate(list(sample.negatives().values()))
    families = np.unique(sample.families[sample.smoking])
    groups = {"all": np.ones(len(sample.smoking), bool)}
    groups |= {str(family): sample.families == family for family in families}
    found = []
    for sizes in ((), *((size,) for size in SIZES), SIZES[:2]):
        for lowest in LOWEST if sizes else LOWEST[:1]:
            values = sample.logits[:, 0]
            if sizes:
                columns = [1 + SIZES.index(size) for size in sizes]
                try:
                    looks = fit_looks(sample, columns, Looks(sizes, lowest), recipe.false_alarms)
                except DecisionError:  # too few pictures are left to look at again
                    continue
                values = combine_all(sample.logits[:, [0, *columns]], looks)
            scores = expit(values)
            figures = {
                name: measure(sample.smoking[of], scores[of], 0.5, None, scores[~sample.smoking])
                for name, of in groups.items()
            }
            recalls = [f["recall"] for name, f in figures.items() if name != "all"]
            large = [r["value"] for r in recalls if r["of"] >= 20]
            recall = float(np.mean(large or figures["all"]["recall"]["value"]))
            again = float(np.mean(sample.logits[negatives, 0] >= lowest)) if sizes else 0.0
            found.append(Candidate(sizes, lowest, figures, recall, again))
    return found


def choose(candidates: Sequence[Candidate]) -> tuple[tuple[float, ...], float]:
    """Sizes and lowest logit: each further look has to bring `WORTH`, and as few pictures as
    possible are looked at again without losing a fifth of that."""
    worth = [c.recall - WORTH * len(c.sizes) for c in candidates]
    enough = [c for c, w in zip(candidates, worth, strict=True) if w >= max(worth) - WORTH / 5]
    best = min(enough, key=lambda c: c.again * len(c.sizes))
    return best.sizes, best.lowest


def describe_candidates(candidates: Sequence[Candidate], ms: float) -> str:
    """The table of all choices: AUC, recall by family, and who is looked at again."""
    rows = []
    for c in candidates:
        name = " ".join(f"+ {size:g}" for size in c.sizes) or "one look"
        at = [
            " / ".join(f"{100 * recall['value']:.0f}" for recall in f["recall_at"].values())
            for f in c.figures.values()
        ]
        lowest, time = (f"{c.lowest:g}", f"{ms * len(c.sizes):.0f}") if c.sizes else ("-", "-")
        auc = f"{c.figures['all']['auc']['value']:.4f}"
        rows.append([name, lowest, f"{c.again:.0%}", time, auc, *at, f"{c.recall:.1%}"])
    limits = "/".join(f"{100 * limit:g}" for limit in ALARMS)
    head = [f"{name}: recall at {limits} %" for name in candidates[0].figures]
    head = ["looks", "from", "again", "ms", "AUC", *head, "mean recall at the decision"]
    note = (
        "\nagain: share of the NotSmoking pictures that is looked at again from this logit on. "
        "ms: what that adds to such a picture, of the model alone."
    )
    return table(head, rows) + note


def decide(
    model: Path,
    scores: Scores,
    recipe: Recipe,
    out: Path | None,
    sizes: Sequence[float] | None = None,
    lowest: float | None = None,
) -> Decision:
    """Fits everything for a model and prints how.

    Args:
        model: its file; a ``.keras`` file with a dense layer at its end is calibrated itself.
        scores: of its Validation pictures, with the looks of `SIZES`.
        recipe: the numbers.
        out: a copy of the model with the decision, or None.
        sizes, lowest: of the looks, or None for those of the recipe.

    Raises:
        DecisionError: the scores allow none.
    """
    numbers = recipe.decision
    raw = Sample.of(scores, recipe)
    scale, bias = fit_first(raw, numbers.false_alarms)
    sample = replace(raw, logits=scale * raw.logits + bias)
    chosen: tuple[Sequence[float], float] = ((), 0.0)
    if not np.isnan(raw.logits[:, 1:]).all():
        candidates = compare(sample, numbers)
        click.echo(describe_candidates(candidates, scores.ms))
        by_hand = numbers.looks, numbers.looks_from
        chosen = choose(candidates) if numbers.looks == "choose" else by_hand
    sizes = chosen[0] if sizes is None else sizes
    lowest = chosen[1] if lowest is None else lowest
    columns = [0, *(1 + SIZES.index(size) for size in sizes)]
    taken = ~np.isnan(sample.logits[:, columns[1:]]).all(axis=1)
    again = taken & (sample.logits[:, 0] >= lowest)
    if sizes and len(np.unique(sample.smoking[again])) < 2:
        click.echo("Too few of these pictures can be looked at again; the decision has one look.")
        sizes, columns = (), [0]
    sample = replace(sample, logits=sample.logits[:, columns])
    move = 0.0
    if model.suffix == ".tflite":  # its weights stay as they are; the threshold moves instead
        move = -bias / scale
        sample = replace(raw, logits=raw.logits[:, columns] - move)
    fitted, values = fit_decision(sample, numbers, sizes, lowest)
    decision = moved(fitted, move)
    click.echo(f"Calibration: {scale:.3f} * logit {bias:+.3f}.\n{decision.to_json()}")
    rows = []
    for name in np.unique(sample.families):
        of = sample.families == name
        figures = measure(sample.smoking[of], values[of], 0.5)
        rows.append([name, percent(figures["recall"]), percent(figures["false_alarms"])])
    click.echo(table(["at this decision", "recall", "false alarms"], rows))
    if out:
        with whole_file(out) as partial:
            partial.write_bytes(model.read_bytes())
            if model.suffix != ".tflite":
                _fold_in(model, partial, scale, bias)
            replace_decision(partial, decision)
        click.echo(f"Wrote {out}.")
    return decision


def moved(decision: Decision, move: float) -> Decision:
    """The same decision for logits that are larger by ``move``."""

    def shifted(value: float) -> float:
        return float(expit(log_odds(value) + move)) if 0 < value < 1 else value

    looks = decision.looks
    if looks:
        bias = looks.bias + move - looks.scale * move
        looks = replace(looks, lowest=looks.lowest + move, bias=bias)
    threshold = shifted(decision.threshold)
    low, high = map(shifted, decision.uncertain or (threshold, threshold))
    return replace(decision, threshold=threshold, uncertain=(low, high), looks=looks)


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


@command("python3 run.py decide model.keras --data DATA --out decided.keras")
@click.argument("model", type=FILE)
@data_option
@click.option("--split", type=click.Choice([*SPLITS, "all"]), default=VALIDATION, show_default=True)
@click.option(
    "--out",
    type=NEW_FILE,
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
def main(
    recipe: Recipe,
    find: Callable[..., Data],
    model: Path,
    folders: tuple[Path, ...],
    split: str,
    out: Path | None,
    looks: str | None,
    lowest: float | None,
) -> None:
    """Fit calibration, threshold, uncertain band and looks of a model to labelled pictures.

    MODEL is a .keras or .tflite file. The weights of a .tflite file stay as they are.
    """
    sizes = None if looks is None else _sizes(looks)
    if out and out.suffix != model.suffix:
        raise ValueError(f"--out: expected a {model.suffix} file, got {out}")
    found = find(folders, assign=split != "all")
    examples = [e for e in found.examples if split in ("all", e.split)]
    if not examples:
        raise DatasetError(f"there are no {split} pictures in {', '.join(map(str, folders))}")
    click.echo(describe(examples))
    scores = score(load_model(model), examples, SIZES, recipe.decision.upscale)
    decide(model, scores, recipe, out, sizes, lowest)


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
