"""What a student learns from a transformer's features."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from train.crossvalidation import train_model, training_set
from train.data import VALIDATION, Example
from train.hints import WHOLE_WEIGHT, Hints, fit_heads, hint_loss
from train.model import build_model, cut_model
from train.recipe import Recipe
from train.training import Start, fit
from train.views import CELLS, Views

TOKENS, WIDTH = 1 + CELLS * CELLS, 3
RECIPE = Recipe(views=2, blanks=2, batch=8, steps=2, warmup=1)


@pytest.fixture(scope="module")
def pictures():
    """Eight pictures and two blanks, of noise; and what two teachers give for them."""
    rng = np.random.default_rng(0)
    examples = [Example(Path(f"{i}.jpg"), i % 2 == 0, "a", "b", VALIDATION) for i in range(8)]
    features = rng.normal(size=(3, 10, 56, 56, 24)).astype(np.float16)
    cells = np.zeros((3, 10, CELLS, CELLS), np.float16)
    smoking = np.tile(np.array([1, 0] * 4 + [0, 0], np.float16), (3, 1))
    tokens = [rng.normal(5, 2, (3, 10, TOKENS, WIDTH)).astype(np.float16) for _ in range(2)]
    tokens[0][:, :, 0] += 30  # the whole picture's numbers are of another size than the cells'
    return examples, Views(features, cells, smoking), tokens


def test_hints_of_several_teachers_are_averaged_and_standardized(pictures):
    *_, tokens = pictures
    hints = Hints(tokens)
    assert hints.width == WIDTH
    of_view, drawn = np.array([0, 1]), np.array([0, 3])
    given = hints.of(of_view, drawn)
    assert given.shape == (2, TOKENS, WIDTH)
    first = np.mean([t[0, ::7].astype(np.float32) for t in tokens], axis=0)
    raw = np.mean([t[of_view, drawn].astype(np.float32) for t in tokens], axis=0)
    for part in (slice(0, 1), slice(1, None)):
        mean, deviation = first[:, part].mean(axis=(0, 1)), first[:, part].std(axis=(0, 1))
        assert given[:, part] == pytest.approx((raw[:, part] - mean) / deviation, abs=1e-4)


def test_the_loss_is_the_mean_of_the_cells_and_a_part_of_the_whole():
    rng = np.random.default_rng(1)
    targets, given = rng.normal(size=(2, 4, TOKENS, WIDTH)).astype(np.float32)
    squares = (targets - given) ** 2
    expected = squares[:, 1:].mean(axis=(1, 2)) + WHOLE_WEIGHT * squares[:, 0].mean(axis=1)
    loss = keras.ops.convert_to_numpy(hint_loss(targets, given))
    assert loss == pytest.approx(expected, abs=1e-5)


def test_heads_begin_at_what_the_student_can_say_already(pictures):
    examples, views, _ = pictures
    keras.utils.set_random_seed(0)
    _, suffix = cut_model(build_model(None), RECIPE.cut, WIDTH)
    given = [
        suffix.get_layer("rest").predict_on_batch(v.astype(np.float32)) for v in views.features
    ]
    features = np.stack(given).reshape(3, 10, CELLS * CELLS, -1)
    # A teacher who says what is a linear function of the student's features.
    loud = np.argsort(features.std(axis=(0, 1, 2)))[-WIDTH:]
    cells = features[..., loud]
    tokens = np.concatenate([cells.mean(axis=2, keepdims=True), cells], axis=2)
    scale = 1 / tokens.std()
    hints = Hints([(tokens * scale).astype(np.float16)])
    chosen = training_set(examples, views, np.arange(8), RECIPE)
    chosen = dataclasses.replace(chosen, hints=hints)

    def error():
        everything = np.repeat([0, 1], 10), np.tile(np.arange(10), 2)
        said = suffix.predict_on_batch(views.features[everything].astype(np.float32))["hints"]
        return float(np.mean((hints.of(*everything) - keras.ops.convert_to_numpy(said)) ** 2))

    before = error()
    fit_heads(suffix, chosen, RECIPE)
    assert error() < 0.5 * before


def test_a_student_is_trained_by_hints_and_is_none_the_larger(pictures):
    examples, views, tokens = pictures
    keras.utils.set_random_seed(0)
    start = Start(arrays=build_model(None).get_weights(), hints=Hints(tokens))
    trained = []
    for weight in (0.0, 1.0, 1.0):
        keras.utils.set_random_seed(0)
        recipe = dataclasses.replace(RECIPE, hint_weight=weight)
        model, suffix = train_model(start, examples, views, np.arange(8), recipe)
        trained.append(model.get_weights())
        assert "hints" in suffix.output
    without, once, again = trained
    assert [w.shape for w in once] == [w.shape for w in start.arrays]
    assert all(map(np.array_equal, once, again))  # the same but for the weight of the hints
    assert any((a != b).any() for a, b in zip(without, once, strict=True))


def test_training_brings_the_student_nearer_to_the_hints(pictures):
    examples, views, tokens = pictures
    recipe = dataclasses.replace(RECIPE, steps=12, learning_rate=1e-3, ema_momentum=0)
    keras.utils.set_random_seed(0)
    _, suffix = cut_model(build_model(None), recipe.cut, WIDTH)
    chosen = training_set(examples, views, np.arange(8), recipe)
    chosen = dataclasses.replace(chosen, hints=Hints(tokens))
    features, targets = chosen.batch(recipe, 0)

    def loss():
        said = suffix.predict_on_batch(features)["hints"]
        return float(np.mean(keras.ops.convert_to_numpy(hint_loss(targets["hints"], said))))

    before = loss()
    fit(suffix, chosen, recipe)
    assert loss() < before
