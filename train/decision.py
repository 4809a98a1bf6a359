"""The decision: calibration, threshold, uncertain band, and when to look again.

All of it is fitted on Validation. ``python3 run.py decide`` does it for an existing model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from edge_app.decision import Decision, replace_decision
from edge_app.files import whole_file
from edge_app.looks import Looks, combine_all
from train.data import SPLITS, VALIDATION, Example, describe
from train.metrics import highest
from train.recipe import FILE, NEW_FILE, Data, DecisionRecipe, Recipe, command, data_option
from train.scoring import load_model, score

TAIL = 0.1
"""Share of the NotSmoking pictures, with the highest scores, that the threshold follows from."""


@dataclass(frozen=True)
class Sample:
    """Scores of labelled pictures, ready for fitting.

    Attributes:
        logits: as `train.scoring.score` gives them.
        smoking: labels, ``bool[n]``.
        negatives: places of the NotSmoking pictures of each family on which false alarms are
            limited, or of all of them as ``all``.
        threshold: logit of the first look; 0 where it is calibrated by `fit_first`.
    """

    logits: np.ndarray
    smoking: np.ndarray
    negatives: dict[str, np.ndarray]
    threshold: float = 0.0

    @classmethod
    def of(cls, examples: Sequence[Example], logits: np.ndarray, recipe: Recipe) -> Sample:
        """Logits of pictures with the limited families of a recipe."""
        smoking = np.array([e.smoking for e in examples])
        families = np.array([recipe.family_of(e.dataset) for e in examples])
        limited = [f for f in recipe.decision.limited if f in families[~smoking]]
        of = {f: np.flatnonzero(~smoking & (families == f)) for f in limited}
        return cls(logits, smoking, of or {"all": np.flatnonzero(~smoking)})

    def limit(self, values: np.ndarray, false_alarms: float) -> float:
        """The value that at most a share of the NotSmoking pictures of each family reaches."""
        return max(limit(values[places], false_alarms) for places in self.negatives.values())


def platt(logits: np.ndarray, smoking: np.ndarray) -> float:
    """The slope of a logistic regression on logits, with the targets of Platt (1999).

    His targets are not quite 0 and 1, so there is a slope also where all pictures are told apart.

    Raises:
        ValueError: a label is missing, or higher scores do not mean Smoking more often.
    """
    others, count = int((~smoking).sum()), int(smoking.sum())
    if not others or not count:
        raise ValueError(
            f"expected pictures of both labels, got {others} NotSmoking and {count} Smoking"
        )
    targets = np.where(smoking, (count + 1) / (count + 2), 1 / (others + 2))
    regression = LogisticRegression(C=np.inf).fit(
        np.tile(logits, 2)[:, None],
        np.repeat([True, False], len(logits)),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    slope = float(regression.coef_[0, 0])
    if slope <= 0 or np.ptp(logits) == 0:
        raise ValueError(
            f"higher scores do not mean Smoking more often on these {len(logits)} pictures (slope "
            f"{slope:.3f}): the model is no better than chance here, or the labels are swapped. "
            "Nothing is calibrated"
        )
    return slope


def limit(logits: np.ndarray, false_alarms: float) -> float:
    """The logit that a share of the NotSmoking pictures reaches, from their logits ``float[n]``.

    Only a handful of a few hundred pictures have such a logit, and the quantile moves with the gaps
    between them. So it is read off an exponential distribution, fitted to how far the logits of the
    highest `TAIL` lie above the rest (peaks over a threshold: Pickands, "Statistical Inference
    Using Extreme Order Statistics", 1975, with a shape of zero). For a share from `TAIL` on, it is
    the quantile itself. In no case does more than the share of these pictures reach it.
    """
    ordered = np.sort(logits)[::-1]
    if false_alarms >= TAIL or len(logits) < 2:
        tail = np.quantile(logits, 1 - false_alarms)
    else:
        count = max(1, round(TAIL * len(ordered)))
        above = ordered[:count] - ordered[count]
        tail = ordered[count] + above.mean() * np.log(count / len(ordered) / false_alarms)
    return max(float(tail), highest(logits, false_alarms) + 1e-6)


def fit_first(sample: Sample, false_alarms: float) -> tuple[float, float]:
    """Scale and bias of the first look: calibrated, with the threshold at 0.

    There, at a score of 0.5, every standard runner decides the same, since the larger of the two
    scores is the label's.
    """
    first = sample.logits[:, 0]
    scale = platt(first, sample.smoking)
    return scale, -scale * sample.limit(first, false_alarms)


def fit_looks(sample: Sample, looks: Looks, false_alarms: float) -> Looks | None:
    """Fits scale and bias of the mean of the looks, with the sample's threshold.

    Args:
        sample: logits with one column for each of the looks.
        looks: sizes, lowest and upscale.
        false_alarms: the share that is allowed in each limited family.

    Returns:
        None where the pictures that can be looked at again lack a label.
    """
    logits, smoking = sample.logits, sample.smoking
    again = (logits[:, 0] >= looks.lowest) & ~np.isnan(logits[:, 1:]).all(axis=1)
    if len(np.unique(smoking[again])) < 2:
        return None
    mean = np.nanmean(logits, axis=1)
    scale = platt(mean[again], smoking[again])
    # What is not looked at again stays below the threshold, whatever the bias.
    floor = np.where(again, scale * mean, np.minimum(logits[:, 0], scale * mean[again].min()))
    bias = sample.threshold - sample.limit(floor, false_alarms)
    return replace(looks, scale=scale, bias=min(max(bias, -16.0), 16.0))


def uncertain_band(
    scores: np.ndarray, sample: Sample, recipe: DecisionRecipe
) -> tuple[float, float]:
    """The scores around 0.5, the threshold, at which the model is often wrong.

    How probable Smoking is at a score is read off an isotonic regression with both labels weighted
    alike. The lower end rises until no limited family has more uncertain NotSmoking pictures than
    the recipe allows.

    Args:
        scores: P(Smoking) of the sample, ``float[n]``.
        sample: labels and families.
        recipe: which share of wrong labels is often, and how many may be uncertain.

    Returns:
        The first uncertain score, and the first above it that is not.
    """
    smoking = sample.smoking
    weights = np.where(smoking, 0.5 / smoking.sum(), 0.5 / (~smoking).sum())
    curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    grid = np.linspace(0, 1, 201)
    probable = curve.fit(scores, smoking, sample_weight=weights).predict(grid)
    below = grid[(grid <= 0.5) & (probable >= recipe.uncertain_errors)]
    above = grid[(grid >= 0.5) & (probable > 1 - recipe.uncertain_errors)]
    low, high = float(below.min(initial=0.5)), float(above.min(initial=1.0))
    for places in sample.negatives.values():
        allowed = math.floor(recipe.uncertain_limit * len(places))
        inside = np.sort(scores[places][(scores[places] >= low) & (scores[places] < high)])
        if len(inside) > allowed:
            low = max(low, math.ceil(1000 * inside[len(inside) - allowed - 1] + 1e-9) / 1000)
    return min(low, 0.5), high


def fit_decision(sample: Sample, recipe: DecisionRecipe) -> Decision:
    """The decision for a sample with one column of logits for each of the recipe's looks."""
    looks, threshold = None, sample.threshold
    if recipe.looks:
        looks = Looks(tuple(recipe.looks), recipe.looks_from + threshold, recipe.upscale)
        looks = fit_looks(sample, looks, recipe.false_alarms)
    values = combine_all(sample.logits, looks)
    band = uncertain_band(expit(values - threshold), sample, recipe)
    middle, low, high = (float(expit(logit(score) + threshold)) for score in (0.5, *band))
    measured = ", ".join(f"{name} ({len(of)})" for name, of in sample.negatives.items())
    chosen = (
        f"at most {recipe.false_alarms:.1%} false alarms expected on each group of NotSmoking "
        f"Validation pictures: {measured}; estimated from the highest scores of each"
    )
    return Decision(threshold=middle, chosen=chosen, uncertain=(low, high), looks=looks)


def decide(model: Path, examples: Sequence[Example], recipe: Recipe, out: Path | None) -> None:
    """Fits the decision of a model and prints it.

    Args:
        model: its file; a ``.keras`` file with a dense layer at its end is calibrated itself, the
            weights of a ``.tflite`` file stay as they are.
        examples: its Validation pictures.
        recipe: the numbers.
        out: a copy of the model with the decision, or None.

    Raises:
        ValueError: the scores allow none.
    """
    numbers = recipe.decision
    scores = score(load_model(model), examples, numbers.looks, numbers.upscale)
    sample = Sample.of(*scores, recipe)
    scale, bias = fit_first(sample, numbers.false_alarms)
    if model.suffix == ".tflite":
        sample = replace(sample, threshold=-bias / scale)
    else:
        sample = replace(sample, logits=scale * sample.logits + bias)
    decision = fit_decision(sample, numbers)
    click.echo(f"Calibration: {scale:.3f} * logit {bias:+.3f}.\n{decision.to_json()}")
    if numbers.looks and not decision.looks:
        click.echo("Too few of these pictures can be looked at again; the decision has one look.")
    if out:
        with whole_file(out) as partial:
            partial.write_bytes(model.read_bytes())
            if model.suffix != ".tflite":
                _fold_in(model, partial, scale, bias)
            replace_decision(partial, decision)
        click.echo(f"Wrote {out}.")


def _fold_in(model: Path, out: Path, scale: float, bias: float) -> None:
    """Puts the calibration into the last dense layer, so that the file itself is calibrated."""
    import keras

    network = keras.models.load_model(model, compile=False)
    head = network.layers[-1]
    if not isinstance(head, keras.layers.Dense) or not head.use_bias:
        raise ValueError(f"{model}: does not end in a dense layer with a bias")
    kernel, start = head.get_weights()
    shift = [bias] if len(start) == 1 else [-bias / 2, bias / 2]
    head.set_weights([scale * kernel, scale * start + np.array(shift, np.float32)])
    network.save(out)


@command("python3 run.py decide model.keras --data DATA --out decided.keras")
@click.argument("model", type=FILE)
@data_option
@click.option("--split", type=click.Choice([*SPLITS, "all"]), default=VALIDATION, show_default=True)
@click.option("--out", type=NEW_FILE, help="Write a copy of MODEL with it; else only print it.")
def main(
    recipe: Recipe,
    find: Callable[..., Data],
    model: Path,
    folders: tuple[Path, ...],
    split: str,
    out: Path | None,
) -> None:
    """Fit calibration, threshold, uncertain band and looks of a model to labelled pictures.

    MODEL is a .tflite file, whose weights stay, or a .keras file that takes pixels from 0 to 255.
    """
    if out and out.suffix != model.suffix:
        raise ValueError(f"--out: expected a {model.suffix} file, got {out}")
    examples = find(folders, assign=split != "all").of(split)
    click.echo(describe(examples))
    decide(model, examples, recipe, out)


if __name__ == "__main__":
    main(prog_name="python3 run.py decide")
