"""Data layouts, sampling, and a whole training run on a small set."""

import dataclasses
import json
import os
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT, make_dataset, run_module

from edge_app.decision import Decision
from train.augment import _exchanged, _styled, augment
from train.boxes import Boxes, read_boxes
from train.calibration import calibrate, tail_threshold, uncertain_band
from train.crossvalidation import CrossValidation, training_set
from train.data import (
    TRAINING,
    VALIDATION,
    DatasetError,
    Example,
    assign_folds,
    find_examples,
    load_pixels,
    names_in,
)
from train.metrics import expected_calibration_error, measure, wilson
from train.model import build_model, cut_model
from train.recipe import Recipe
from train.robustness import CHANGES
from train.run import Run, _check_disk
from train.scene import Scene
from train.teachers import fold_file, folds_of, start_student
from train.training import (
    SHARPNESS,
    Schedule,
    Start,
    TrainingError,
    cell_loss,
    fit,
    predict_logits,
    sampling_weights,
    teacher,
)
from train.unseen import read_unseen, write_unseen
from train.views import choose_companions, make_views


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = make_dataset(tmp_path_factory.mktemp("data") / "halves", count=16)
    for path in list(folder.glob("Validation/*/*")):
        path.rename(path.with_name(f"v{path.name}"))  # no name twice in what is trained on
    return folder


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_set_with_splits_keeps_them(dataset):
    examples = find_examples(dataset)
    counts = Counter((e.split, e.smoking) for e in examples)
    assert set(counts.values()) == {16}
    assert len(counts) == 6
    assert {e.dataset for e in examples} == {"halves"}


def test_a_set_without_splits_is_for_training(tmp_path):
    for action in ("smoking", "drinking", "phoning"):
        touch(tmp_path, *(f"{action}/{n}.jpg" for n in range(20)))
    examples = find_examples(tmp_path)
    assert {e.group for e in examples if e.smoking} == {"smoking"}
    assert {e.split for e in examples} == {TRAINING}
    assert Counter(e.group for e in examples) == dict.fromkeys(
        ("smoking", "drinking", "phoning"), 20
    )


def test_every_folder_is_dealt_out_evenly_to_the_folds(tmp_path):
    for action in ("smoking", "drinking"):
        touch(tmp_path, *(f"{action}/{n}.jpg" for n in range(5)))
    examples = find_examples(tmp_path)
    folds = assign_folds(examples, 4)
    dealt = Counter((e.group, fold) for e, fold in zip(examples, folds, strict=True))
    assert sorted(dealt.values()) == [1, 1, 1, 1, 1, 1, 2, 2]
    again = dict(zip(reversed(examples), assign_folds(examples[::-1], 4), strict=True))
    assert [again[e] for e in examples] == folds.tolist()


@pytest.mark.parametrize(
    ("name", "smoking"), [("smoking_wild", True), ("Not Smoking", False), ("not-smoking", False)]
)
def test_a_lone_folder_is_one_class_by_its_name(tmp_path, name, smoking):
    touch(tmp_path / name, *(f"{n}.png" for n in range(20)))
    assert {e.smoking for e in find_examples(tmp_path / name)} == {smoking}


def test_what_is_no_data_set_is_refused_with_what_was_expected(tmp_path):
    touch(tmp_path / "holiday", "1.jpg")
    for folder in ("holiday", "missing"):
        with pytest.raises(DatasetError, match=folder):
            find_examples(tmp_path / folder)
    with pytest.raises(DatasetError, match="one folder a class"):
        find_examples(tmp_path / "holiday")


def test_the_real_sets_work_as_they_are(real_data):
    smoker = find_examples(real_data / "smoker")
    assert Counter((e.split, e.smoking) for e in smoker) == {
        ("Training", True): 358,
        ("Training", False): 358,
        ("Validation", True): 90,
        ("Validation", False): 90,
        ("Testing", True): 112,
        ("Testing", False): 112,
    }
    stanford = find_examples(real_data / "stanford40")
    assert len(stanford) == 2760
    assert sum(e.smoking for e in stanford) == 100
    assert all(e.smoking for e in find_examples(real_data / "smoking_wild"))


def test_unreadable_pictures_are_left_out(tmp_path):
    examples = find_examples(make_dataset(tmp_path / "own", count=2))[:4]
    examples[1].path.write_bytes(b"")
    readable, pixels = load_pixels(examples, size=32)
    assert readable == [examples[0], *examples[2:]]
    assert pixels.shape == (3, 32, 32, 3)


def test_classes_and_sets_are_balanced(tmp_path):
    touch(tmp_path / "a", *(f"smoking/{n}.jpg" for n in range(100)))
    touch(tmp_path / "a", *(f"other/{n}.jpg" for n in range(900)))
    touch(tmp_path / "b", *(f"smoking/{n}.jpg" for n in range(400)))
    examples = find_examples(tmp_path / "a") + find_examples(tmp_path / "b")
    weights = sampling_weights(examples, smoking_share=0.5)
    assert weights.sum() == pytest.approx(1)
    share = Counter()
    for example, weight in zip(examples, weights, strict=True):
        share[example.dataset, example.smoking] += weight
    # Square roots of 100 and 400: the larger set is drawn twice as often, not four times.
    assert share["b", True] == pytest.approx(2 * share["a", True])
    assert share["a", False] == pytest.approx(0.5)


def test_augmentation_changes_the_picture_and_depends_on_its_seed_only(samples):
    from edge_app.imaging import read_pixels

    scene = Scene.of(read_pixels(samples / "astronaut.jpg"), smoking=True)
    views = [augment(scene, np.random.default_rng(seed), 224) for seed in (1, 1, 2)]
    first, again, other = (view.pixels for view in views)
    assert first.shape == (224, 224, 3)
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert (first != other).any()
    assert (first != scene.pixels).any()
    # Where it is not known where somebody smokes, a view cannot be said to leave it out.
    assert all(view.shows_smoking() for view in views)
    assert np.isnan(views[0].cells(7)).all()


RED = (255, 0, 0)


def red_square(boxed=True):
    """A grey picture in which a red square is smoked, by somebody whose head is far above it."""
    pixels = np.full((320, 320, 3), 128, np.uint8)
    pixels[220:252, 260:292] = RED
    boxes = Boxes(np.array([[260, 220, 292, 252]]) / 320, np.array([[20, 20, 100, 100]]) / 320)
    return Scene.of(pixels, smoking=True, boxes=boxes if boxed else None)


def test_boxes_move_with_what_they_are_around(monkeypatch):
    import train.augment as augmentation

    scene = red_square()
    for name in ("_colour", "_wear"):
        monkeypatch.setattr(augmentation, name, lambda pixels, rng: pixels)
    monkeypatch.setattr(augmentation, "_styled", lambda scene, rng: scene.pixels)
    shown = Counter()
    for seed in range(200):
        view = augment(scene, np.random.default_rng(seed), 224)
        red = (view.pixels[..., 0] > 200) & (view.pixels[..., 1] < 60)
        shown[view.shows_smoking()] += 1
        assert view.shows_smoking() is not None
        if view.shows_smoking():
            ((left, top, right, bottom, _),) = view.smoked
            y, x = np.nonzero(red)
            # A turned square fills half of its box at the least; two pixels for the edges.
            assert left - 2 <= x.min() and x.max() <= right + 2
            assert top - 2 <= y.min() and y.max() <= bottom + 2
            assert red.sum() > 0.4 * (right - left) * (bottom - top)
            rows, columns = np.nonzero(view.cells(7) == 1)
            assert red[rows[0] * 32 : rows[-1] * 32 + 32, columns.min() * 32 :].any()
        else:
            assert red.sum() < 100
            assert not (view.cells(7) == 1).any()
    assert shown[True] > 140
    assert shown[False] > 10


def test_a_view_never_cuts_in_two_what_decides_its_label():
    pixels = np.full((320, 320, 3), 128, np.uint8)
    hidden = 0.29  # just enough of it is to be seen, as long as nothing is turned
    scene = Scene(pixels, True, np.array([[0, 0, 320, 320, 1 - hidden]]), np.empty((0, 4)))
    for seed in range(20):
        assert augment(scene, np.random.default_rng(seed), 224).shows_smoking() is not None


def test_the_middle_of_a_box_is_a_cell_that_shows_it_and_its_neighbours_are_left_open():
    scene = red_square().warped(np.array([[0.7, 0, 0], [0, 0.7, 0]]), 224, 0)
    cells = scene.cells(7)
    # 182 to 204.4 across, 154 to 176.4 down, in cells of 32 pixels; half a cell around is open.
    assert list(zip(*np.nonzero(cells == 1), strict=True)) == [(5, 5), (5, 6)]
    assert list(zip(*np.nonzero(np.isnan(cells)), strict=True)) == [
        (r, c) for r in (4, 6) for c in (5, 6)
    ]
    assert not (Scene.of(scene.pixels, smoking=False).cells(7) != 0).any()


def test_a_picture_beside_another_keeps_its_boxes():
    scene, other = red_square(), Scene.of(np.zeros((320, 320, 3), np.uint8), smoking=False)
    for pair, middle in ((scene.beside(other), 138), (other.beside(scene), 298)):
        ((left, top, right, bottom, seen),) = pair.smoked
        assert (left + right) / 2 == middle
        assert (top, bottom, seen) == (220, 252, 1)
        assert (pair.pixels[236, middle] == RED).all()
        assert pair.shows_smoking() is True
    # One smoker whose place is not known leaves the places in the pair unknown.
    assert not scene.beside(red_square(boxed=False)).located


def test_boxes_are_read_and_wrong_ones_named(tmp_path):
    file = tmp_path / "boxes.csv"
    head = "picture,kind,left,top,right,bottom\n"
    file.write_text(head + "a/b/c.jpg,smoked,0.1,0.2,0.3,0.4\na/b/c.jpg,head,0,0,1,0.5\n")
    (boxes,) = read_boxes([file]).values()
    assert boxes.smoked.tolist() == [[0.1, 0.2, 0.3, 0.4]]
    assert boxes.heads.tolist() == [[0, 0, 1, 0.5]]
    assert read_boxes([]) == {}
    for line, message in (
        ("a,smoked,0.3,0.2,0.1,0.4", "line 2: expected 0 <= left < right <= 1"),
        ("a,smoked,0,0,1,1.5", "line 2: expected 0 <= left"),
        ("a,hand,0,0,1,1", "line 2: expected smoked or head"),
        ("a,head,0,0,1,wide", "line 2: expected four numbers"),
    ):
        file.write_text(head + line + "\n")
        with pytest.raises(ValueError, match=message):
            read_boxes([file])


def test_the_committed_boxes_are_of_pictures_that_are_there(real_data):
    boxes = read_boxes([ROOT / "train" / "boxes.csv", ROOT / "train" / "heads.csv"])
    sets = [find_examples(real_data / name) for name in ("smoker", "stanford40", "smoking_wild")]
    examples = {e.name: e for of_set in sets for e in of_set}
    assert boxes.keys() <= examples.keys()
    assert not any(examples[name].split == "Testing" for name in boxes)
    smoked = {name for name, of_picture in boxes.items() if len(of_picture.smoked)}
    assert all(examples[name].smoking for name in smoked)
    assert len(smoked) > 1050


def test_cell_loss_counts_known_cells_only():
    logits = np.float32([[[2.0, -1.0], [0.5, 3.0]]])
    targets = np.float32([[[1, 0], [-1, 0]]])
    p = 1 / (1 + np.exp(-logits))
    expected = -(np.log(p[0, 0, 0]) + np.log(1 - p[0, 0, 1]) + np.log(1 - p[0, 1, 1]))
    assert float(cell_loss(targets, logits)[0]) == pytest.approx(expected, rel=1e-5)


def test_the_figures_are_those_of_their_definitions():
    smoking = np.array([True] * 6 + [False] * 4)
    scores = np.array([0.9, 0.9, 0.9, 0.8, 0.6, 0.2, 0.7, 0.1, 0.1, 0.1])
    figures = measure(smoking, scores, threshold=0.5)
    assert figures["confusion_matrix"] == [[3, 1], [1, 5]]
    assert figures["accuracy"] == pytest.approx(0.8)
    assert figures["classes"]["Smoking"]["recall"] == pytest.approx(5 / 6)
    assert figures["classes"]["NotSmoking"]["precision"] == pytest.approx(3 / 4)
    assert figures["roc_auc"] == pytest.approx(22 / 24)
    assert measure(smoking[:6], scores[:6], 0.5)["roc_auc"] is None


def test_wilson_and_calibration_error_are_those_of_their_definitions():
    low, high = wilson(8, 10)
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # Wilson (1927)
    assert wilson(0, 0) is None
    scores = np.array([0.05] * 10 + [0.95] * 10)
    smoking = np.array([False] * 10 + [True] * 8 + [False] * 2)
    assert expected_calibration_error(scores, smoking) == pytest.approx((0.05 + 0.15) / 2)


def test_calibration_finds_temperature_threshold_and_band():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 3, 20000)
    smoking = rng.random(20000) < 1 / (1 + np.exp(-truth))
    calibration = calibrate(2 * truth + 1, smoking, false_alarms=0.1)
    assert calibration.slope == pytest.approx(0.5, abs=0.02)
    scores = calibration.scores(2 * truth + 1)
    assert np.mean(scores[~smoking] >= 0.5) == pytest.approx(0.1, abs=0.001)
    low, high = calibration.decision.uncertain
    assert low < 0.5 <= high
    # With both classes alike and no shift, 1 in 4 is wrong at odds of 3 to 1.
    low, high = uncertain_band(1 / (1 + np.exp(-truth)), smoking)
    assert (low, high) == pytest.approx((0.25, 0.75), abs=0.05)

    model = build_model(None)
    before = model.layers[-1].get_weights()
    calibration.apply(model)
    kernel, bias = model.layers[-1].get_weights()
    assert kernel == pytest.approx(calibration.slope * before[0])
    assert bias == pytest.approx(calibration.slope * (before[1] - calibration.middle))


def test_calibration_is_finite_where_all_pictures_are_told_apart():
    """With Platt's targets; without them it would be as steep as the optimizer has patience."""
    smoking = np.arange(40) >= 20
    calibration = calibrate(np.where(smoking, 3.0, -3.0) + np.arange(40) / 100, smoking, 0.025)
    scores = calibration.scores(np.array([-3.0, 3.0]))
    # Odds of 21 to 1 are what twenty of twenty are worth, some 3 from the middle.
    assert calibration.slope == pytest.approx(np.log(21) / 3.1, abs=0.05)
    assert scores[0] < 0.5 < scores[1]


def test_the_band_ends_where_scores_can_be_taken_at_their_word_again():
    smoking = np.repeat([False, True], 200)
    scores = np.linspace(0, 1, 400)
    scores[200:240] = np.linspace(0.55, 0.6, 40)  # of both classes from here ...
    smoking[200:240] = np.arange(40) % 2
    low, high = uncertain_band(scores, smoking)
    assert (low, high) == pytest.approx((0.5, 0.61), abs=0.06)
    assert not Decision(uncertain=(low, high)).is_uncertain(high)


@pytest.mark.parametrize(
    "change",
    ["false_alarms=0", "false_alarms=2.5", "steps=0", "dropout=30", "folds=1", "step=3", "views=x"],
)
def test_a_recipe_without_sense_is_refused_before_anything_is_read(dataset, change, tmp_path):
    refused = run_module("train", "--data", dataset, "--out", tmp_path / "m.keras", "--set", change)
    assert refused.returncode == 2
    assert "--set" in refused.stderr
    assert not list(tmp_path.glob("m.*"))


def test_names_that_are_not_utf8_are_written_and_read(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    example = Example(tmp_path / "halves" / "Smoking" / name, True, "halves", "Smoking", "Training")
    write_unseen(tmp_path / "a.csv", [example], np.array([0]), np.array([0.5]))
    (read,) = read_unseen(tmp_path / "a.csv")
    assert read.name == example.name
    assert names_in(tmp_path / "a.csv") == {example.name}


def test_the_threshold_of_a_few_hundred_pictures_is_steadier_than_their_quantile():
    rng = np.random.default_rng(0)
    sets = rng.normal(-3, 2, (400, 300))
    for false_alarms, true in ((0.025, -3 + 2 * 1.960), (0.05, -3 + 2 * 1.645)):
        estimated = np.array([tail_threshold(logits, false_alarms) for logits in sets])
        assert estimated.mean() == pytest.approx(true, abs=0.1)
        assert estimated.std() < 0.9 * np.quantile(sets, 1 - false_alarms, axis=1).std()
    assert tail_threshold(sets[0], 0.2) == np.quantile(sets[0], 0.8)
    assert np.isfinite(tail_threshold(sets[0][:10], 0.025))


def test_changed_pictures_keep_shape_and_differ(samples):
    from edge_app.imaging import read_pixels

    pixels = read_pixels(samples / "astronaut.jpg")
    for name, change in CHANGES.items():
        changed = change(pixels)
        assert (changed.shape, changed.dtype) == (pixels.shape, pixels.dtype)
        distance = np.abs(changed.astype(int) - pixels).mean()
        assert distance > 1, name
        if name not in ("half brightness", "mirrored"):
            assert distance < 15, name


def person(head, smoked, colour):
    """Somebody with a head of one colour in a grey picture, with or without a red square."""
    pixels = np.full((320, 320, 3), 128, np.uint8)
    boxes = []
    for box, paint in ((head, colour), (smoked, RED)):
        if box:
            left, top, right, bottom = box
            pixels[top:bottom, left:right] = paint
        boxes.append(np.array([box] if box else []).reshape(-1, 4) / 320)
    return Scene.of(pixels, smoked is not None, Boxes(smoked=boxes[1], heads=boxes[0]))


def test_somebody_of_another_picture_brings_along_what_they_smoke():
    green, blue = (0, 255, 0), (0, 0, 255)
    smoker = person((100, 60, 160, 130), (160, 110, 190, 130), green)
    other = person((180, 150, 260, 240), None, blue)
    seen = Counter()
    for seed in range(40):
        for scene, companion in ((other, smoker), (smoker, other)):
            both = _exchanged(scene, companion, np.random.default_rng(seed))
            red = (both.pixels[..., 0] > 200) & (both.pixels[..., 1] < 90)
            shown = both.shows_smoking()
            seen[companion.smoking, shown] += 1
            if shown:
                left, top, right, bottom = np.rint(both.smoked[both.smoked[:, 4] > 0.7][0, :4])
                y, x = np.nonzero(red)
                assert left - 2 <= x.min() and x.max() <= right + 2
                assert top - 2 <= y.min() and y.max() <= bottom + 2
                assert red.sum() > 0.5 * (right - left) * (bottom - top)
            elif shown is False:
                assert red.sum() < 20
    # The one who smokes, with the cigarette, has taken the other's place; or the other theirs.
    assert seen[True, True] == 40
    assert seen[False, False] > 30


def test_nobody_is_exchanged_where_heads_are_not_known_or_too_different():
    smoker = person((100, 60, 160, 130), (160, 110, 190, 130), RED)
    rng = np.random.default_rng(0)
    assert _exchanged(red_square(boxed=False), smoker, rng) is None
    assert _exchanged(person(None, None, RED), smoker, rng) is None
    assert _exchanged(person((10, 10, 20, 20), None, RED), smoker, rng) is None


def test_train_convert_and_evaluate_in_one_line(dataset, tmp_path):
    """The three commands one after the other, on a set that a few steps can learn."""
    model, integer = tmp_path / "model.keras", tmp_path / "model.tflite"
    weights = tmp_path / "backbone.weights.h5"
    keras.utils.set_random_seed(1)
    keras.applications.MobileNetV2(
        include_top=False, input_shape=(224, 224, 3), weights=None
    ).save_weights(weights)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("picture,why\nhalves/Smoking/3.png,blurred\n")
    command = [
        *("train", "--data", dataset, "--weights", weights, "--out", model),
        *("--wrong-labels", wrong, "--set", "steps=2", "--set", "final_steps=20"),
        *("--set", "views=1", "--set", "blanks=2", "--set", "folds=2"),
    ]
    left = model.with_suffix(".training")
    left.mkdir()
    (left / "run.sha256").write_text("of another run")
    refused = run_module(*command)
    assert refused.returncode == 2
    assert f"{left} is what a run of other data" in refused.stderr
    (left / "run.sha256").unlink()
    part = run_module(*command, "--keep-folds", "--fold", "1")
    assert part.returncode == 0, part.stderr
    assert {file.name for file in left.glob("*.npz")} == {"fold1.npz"}
    assert not model.exists()
    with np.load(left / "fold1.npz") as saved:
        arrays = dict(saved)
    kernel, bias = (arrays[f"arr_{len(arrays) - place}"] for place in (3, 2))
    bias += 1  # to see that it is not trained again
    np.savez(left / "fold1.npz", **arrays)
    trained = run_module(*command, "--keep-folds")
    assert trained.returncode == 0, trained.stderr
    fold = keras.models.load_model(fold_file(model, 1), compile=False)
    kernel_there, bias_there = fold.get_weights()[-2:]
    slope = np.sum(kernel_there * kernel) / np.sum(kernel**2)
    assert kernel_there == pytest.approx(slope * kernel)
    # On the scale of the last model, which it stands in for: as the scores of the .csv file are.
    scores = np.sort([p.score for p in read_unseen(model.with_suffix(".csv")) if p.fold == 1])
    calibrated = slope * (np.sort(arrays["logits"]) - bias) + bias_there
    assert scores == pytest.approx(1 / (1 + np.exp(-calibrated)), abs=1e-5)
    assert "32 pictures Smoking, 32 NotSmoking" in trained.stdout
    assert model.stat().st_size < 12e6
    assert not left.exists()
    with zipfile.ZipFile(model) as members:
        decision = json.loads(members.read("decision.json"))
    assert decision["threshold"] == 0.5
    assert "cross-validation" in decision["chosen"]
    unseen = read_unseen(model.with_suffix(".csv"))
    assert Counter(picture.fold for picture in unseen) == {0: 32, 1: 32}
    assert model.with_suffix(".log.csv").read_text().startswith("step,loss,")

    converted = run_module("convert", model, "--calibration", dataset, "--out", integer)
    assert converted.returncode == 0, converted.stderr
    from edge_app import Classifier

    assert Classifier(integer).info.decision.chosen == decision["chosen"]

    for path in (model, integer):
        out = path.with_name(f"{path.stem}_{path.suffix[1:]}_evaluation")  # one each by itself
        measured = run_module(
            *("train.evaluate", path, dataset, "--robustness"),
            *("--unseen", model.with_suffix(".csv"), "--wrong-labels", wrong, "--keras", model),
        )
        assert measured.returncode == 0, measured.stderr
        report = json.loads((out / "evaluation.json").read_text())
        assert report["datasets"]["halves"]["pictures"] == 32
        crossed = report["datasets"]["halves, cross-validated"]
        assert crossed["pictures"] == 63
        assert len(crossed["accuracy_by_fold"]) == 2
        assert report["robustness"].keys() == {"as they are", *CHANGES}
        assert report["against_keras"]["pictures"] == 32
        document = out.with_name(f"{out.name.upper()}.md").read_text()
        for plot in ("confusion_matrix", "scores", "curves", "reliability"):
            assert (out / "halves_unseen" / f"{plot}.png").stat().st_size > 5000
            assert f"({out.name}/halves_unseen/{plot}.png)" in document

    # Going on from a model that has seen all but fourteen pictures of each class.
    names = {f"halves/{group}/{i}.png" for group in ("Smoking", "NotSmoking") for i in range(14)}
    part = tmp_path / "part.csv"
    part.write_text("picture\n" + "\n".join(sorted(names)) + "\n")
    further = tmp_path / "further.keras"
    alone = tmp_path / "alone.keras"
    shutil.copy(model, alone)
    command[4:7] = [alone, "--out", further]
    trained = run_module(*command, "--unseen", part, "--set", "final_steps=2")
    assert trained.returncode == 0, trained.stderr
    crossed = read_unseen(further.with_suffix(".csv"))
    assert {picture.name for picture in crossed} == names
    assert Counter(picture.fold for picture in crossed) == {0: 14, 1: 14}
    assert all(0 <= picture.score <= 1 for picture in crossed)

    # Going on from a model with its folds beside it: each goes on from its own, on all pictures.
    longer = tmp_path / "longer.keras"
    command[4:7] = [model, "--out", longer]
    trained = run_module(*command, "--set", "final_steps=2")
    assert trained.returncode == 0, trained.stderr
    folds = {picture.name: picture.fold for picture in unseen}
    assert {p.name: p.fold for p in read_unseen(longer.with_suffix(".csv"))} == folds

    # One model of two: the folds of the first stand in for it, the other has not seen these.
    student = tmp_path / "student.keras"
    command[3:7] = ["--out", student]
    taught = run_module(
        *command,
        *("--teacher", model, "--teacher", further),
        *("--unseen", part, "--set", "final_steps=2"),
    )
    assert taught.returncode == 0, taught.stderr
    crossed = read_unseen(student.with_suffix(".csv"))
    assert {picture.name for picture in crossed} == names
    assert all(picture.fold == folds[picture.name] for picture in crossed)
    assert all(0 <= picture.score <= 1 for picture in crossed)

    whole = tmp_path / "smoking_wild"  # a set without Testing pictures
    shutil.copytree(dataset / "Training" / "Smoking", whole)
    alone = ("train.evaluate", model, whole, "--out", tmp_path / "alone" / "evaluation")
    refused = run_module(*alone)
    assert refused.returncode == 2
    assert "--unseen FILE shows" in " ".join(refused.stderr.split())
    shown = run_module(*alone, "--unseen", model.with_suffix(".csv"), "--keras", model)
    assert shown.returncode == 0, shown.stderr
    report = json.loads((tmp_path / "alone" / "evaluation" / "evaluation.json").read_text())
    assert report["datasets"].keys() == {"halves, cross-validated"}


def test_the_notebook_recipe_still_runs(dataset, tmp_path, monkeypatch):
    import train.notebook as notebook

    monkeypatch.setattr(notebook, "EPOCHS", 1)
    readable = load_pixels([e for e in find_examples(dataset) if e.split == TRAINING])
    model, decision = notebook.train_notebook(readable, ([], readable[1][:0]), None, seed=1)
    assert decision.threshold == 0.5
    names = [type(layer).__name__ for layer in model.layers]
    assert names[1:3] == ["Sequential", "Rescaling"]
    assert names[-3:] == ["Dense", "Dropout", "Dense"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "model.h5"], "does not end in .keras"),
        (["--weights", "missing.h5"], "missing.h5: there is no such file"),
        (["--data", "missing"], "there is no such folder"),
        (["--set", "epochs=3"], "expected NAME=VALUE with one of cut, views"),
        (["--wrong-labels", ROOT / "LICENSE"], "expected a column picture"),
        (["--fold", "7"], "--fold: this cross-validation has the folds [0, 1, 2, 3, 4]"),
        (["--teacher", ROOT / "LICENSE"], "--teacher is given twice or more, or with --vit"),
        (["--vit", ROOT / "LICENSE"], "--vit needs --teacher: the model to begin as"),
        (["--boxes", ROOT / "LICENSE"], "expected the columns picture, kind, left"),
        (
            ["--unseen", ROOT / "train" / "wrong_labels.csv"],
            "--unseen names 0 of the pictures Smoking and 0 NotSmoking",
        ),
    ],
)
def test_wrong_usage_is_one_clear_message(dataset, tmp_path, arguments, message):
    result = run_module("train", "--data", dataset, "--out", tmp_path / "model.keras", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture(scope="module")
def tiny():
    """A recipe of seconds, with all that can be switched on, and data for it."""
    recipe = Recipe(views=2, blanks=3, folds=2, pairs=0.3, batch=8)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (24, 224, 224, 3), np.uint8)
    groups = ["smoking", "drinking", "phoning"]
    examples = [
        Example(Path(f"{i}.jpg"), i % 3 == 0, "actions", groups[i % 3], VALIDATION)
        for i in range(24)
    ]
    box = Boxes(np.array([[0.4, 0.4, 0.5, 0.5]]), np.array([[0.3, 0.1, 0.6, 0.45]]))
    scenes = [Scene.of(p, e.smoking, box) for p, e in zip(pixels, examples, strict=True)]
    return recipe, examples, pixels, scenes


def views_of(tiny, folder, keep_pixels=False):
    recipe, _, pixels, scenes = tiny
    folder.mkdir(exist_ok=True)
    prefix, _ = cut_model(build_model(None), recipe.cut)
    return make_views(folder, prefix, scenes, pixels, companions_of(tiny), recipe, keep_pixels)


def companions_of(tiny):
    recipe, examples, *_ = tiny
    smoking = np.array([e.smoking for e in examples])
    return choose_companions(assign_folds(examples, 2), smoking, np.ones(24, bool), recipe)


def test_a_cut_model_is_the_model(tiny):
    keras.utils.set_random_seed(0)
    model = build_model(None)
    head = model.get_layer("smoking")
    head.set_weights([np.random.default_rng(0).normal(0, 1, (1280, 1)), np.ones(1)])
    prefix, suffix = cut_model(model, tiny[0].cut)
    pixels = tiny[2][:2].astype(np.float32)
    expected = model.predict(pixels, verbose=0)
    features = prefix.predict(pixels, verbose=0)
    given = suffix.predict(features, verbose=0)
    assert given["smoking"] == pytest.approx(expected, abs=1e-6)
    assert not prefix.trainable_variables
    logits = predict_logits(suffix, features)
    assert 1 / (1 + np.exp(-logits)) == pytest.approx(expected[:, 0], abs=1e-5)


def test_a_model_that_knows_nothing_begins_at_even_odds_and_at_few_cells(tiny):
    prefix, suffix = cut_model(build_model(None), tiny[0].cut)
    given = suffix.predict(prefix.predict(tiny[2][:2].astype(np.float32), verbose=0), verbose=0)
    assert given["smoking"] == pytest.approx(0.5, abs=1e-5)
    assert np.exp(given["cells"]).sum(axis=(1, 2)) == pytest.approx(1, abs=1e-5)


def arrays(views):
    return [np.array(a) for a in (views.features, views.cells, views.smoking, views.pixels)]


def test_views_that_were_broken_off_go_on(tiny, tmp_path, monkeypatch):
    import train.views as views

    monkeypatch.setattr(views, "_BATCH", 9)
    keras.utils.set_random_seed(0)
    expected = arrays(views_of(tiny, tmp_path / "whole", keep_pixels=True))
    assert expected[0].shape == (3, 27, 56, 56, 24)
    assert (expected[0][0] != expected[0][1]).any()
    assert expected[1].shape == (3, 27, 7, 7)
    assert (expected[3][2, :24] == tiny[2]).all()
    # The last view is the picture as it is.
    assert (expected[2][2] == [*(e.smoking for e in tiny[1]), 0, 0, 0]).all()
    part = tmp_path / "part"
    keras.utils.set_random_seed(0)
    views_of(tiny, part, keep_pixels=True)
    for name in ("views", "cells", "smoking", "pixels"):
        np.lib.format.open_memmap(part / f"{name}.npy", "r+")[1:] = 0
    (part / "views.done").write_text("3")  # the first view, in three batches
    keras.utils.set_random_seed(0)
    for array, again in zip(expected, arrays(views_of(tiny, part, keep_pixels=True)), strict=True):
        assert np.array_equal(array, again, equal_nan=True)


def test_a_run_that_was_broken_off_ends_where_it_would_have(tiny, tmp_path, monkeypatch):
    import train.training as training

    recipe, examples, *_ = tiny
    recipe = dataclasses.replace(recipe, steps=5)
    views = views_of(tiny, tmp_path / "views")
    chosen = training_set(examples, views, np.arange(24), recipe)
    checkpoint = tmp_path / "run.checkpoint.npz"
    draw = training.TrainingSet.batch

    def run(checkpoint, recipe=recipe):
        keras.utils.set_random_seed(0)
        model = build_model(None)
        _, suffix = cut_model(model, recipe.cut)
        fit(suffix, chosen, recipe, log=tmp_path / "log.csv", checkpoint=checkpoint)
        return np.concatenate([weights.ravel() for weights in model.get_weights()])

    def stop_at_three(self, recipe, step):
        if step == 3:
            raise KeyboardInterrupt
        return draw(self, recipe, step)

    monkeypatch.setattr(training, "CHECKPOINT_STEPS", 2)
    expected = run(None)
    with monkeypatch.context() as patch:
        patch.setattr(training.TrainingSet, "batch", stop_at_three)
        with pytest.raises(KeyboardInterrupt):
            run(checkpoint)
    assert checkpoint.exists()
    with pytest.raises(TrainingError, match="delete it to begin anew"):
        run(checkpoint, dataclasses.replace(recipe, seed=2))
    assert run(checkpoint) == pytest.approx(expected, abs=1e-5)
    assert not checkpoint.exists()


def test_training_ends_with_the_average_of_its_weights(tiny, tmp_path):
    recipe, examples, *_ = tiny
    views = views_of(tiny, tmp_path / "views")
    chosen = training_set(examples, views, np.arange(24), recipe)

    def head_after(steps, momentum):
        keras.utils.set_random_seed(0)
        model = build_model(None)
        _, suffix = cut_model(model, recipe.cut)
        fit(suffix, chosen, dataclasses.replace(recipe, steps=steps, ema_momentum=momentum))
        return model.get_layer("smoking").get_weights()[0]

    first, second = head_after(1, 0.0), head_after(2, 0.0)
    assert (first != second).any()
    assert head_after(2, 0.75) == pytest.approx(0.75 * first + 0.25 * second, abs=1e-6)


def test_cross_validation_scores_every_picture_and_averages_its_models(tiny, tmp_path):
    recipe, examples, *_ = tiny
    recipe = dataclasses.replace(recipe, steps=2)
    views, folds = views_of(tiny, tmp_path / "views"), assign_folds(examples, 3)
    weights = tmp_path / "start.keras"
    begun = build_model(None)
    begun.save(weights)
    given = (lambda fold: Start(weights), examples, np.ones(24, bool), views, folds, recipe)
    logits, average = CrossValidation(*given, tmp_path).run()
    assert np.isfinite(logits).all()
    model = build_model(None)
    model.set_weights(average)
    trained = []
    for fold in range(3):
        with np.load(tmp_path / f"fold{fold}.npz") as saved:
            trained.append([saved[f"arr_{i}"] for i in range(len(average))])
    head = [weights[-2] for weights in trained]
    assert (head[0] != head[1]).any()
    assert model.get_layer("smoking").get_weights()[0] == pytest.approx(sum(head) / 3)
    frozen, same = (cut_model(m, recipe.cut)[0].get_weights() for m in (begun, model))
    assert all(map(np.array_equal, frozen, same))
    again, _ = CrossValidation(*given, tmp_path).run()  # from what is kept
    assert (again == logits).all()


def test_a_batch_is_balanced_and_depends_on_its_step_only(tiny, tmp_path):
    recipe, examples, *_ = tiny
    views = views_of(tiny, tmp_path / "views")
    chosen = training_set(examples, views, np.arange(0, 24, 2), recipe)
    assert set(chosen.places) == {*range(0, 24, 2), 24, 25, 26}
    features, targets = chosen.batch(recipe, 0)
    assert features.shape == (8, 56, 56, 24)
    assert targets["smoking"].shape == (8, 1)
    assert targets["cells"].shape == (8, 7, 7)
    assert set(np.unique(targets["cells"])) <= {-1, 0, 1}
    again, _ = chosen.batch(recipe, 0)
    other, _ = chosen.batch(recipe, 1)
    assert (features == again).all()
    assert (features != other).any()
    share = chosen.weights[views.smoking[-1, chosen.places] == 1].sum()
    assert share == pytest.approx(recipe.smoking_share)


def test_teachers_say_together_what_a_student_learns(tiny, tmp_path):
    recipe, examples, *_ = tiny
    views = views_of(tiny, tmp_path / "views")
    suffixes = []
    for bias in (-1.0, 3.0):
        model = build_model(None)
        model.layers[-1].set_weights([np.zeros((1280, 1)), np.array([bias])])
        suffixes.append(cut_model(model, recipe.cut)[1])
    chosen = training_set(examples, views, np.arange(24), recipe)
    features, own = chosen.batch(recipe, 0)
    _, taught = dataclasses.replace(chosen, teach=teacher(suffixes)).batch(recipe, 0)
    together = 1 / (1 + np.exp(-SHARPNESS * (-1.0 + 3.0) / 2))
    which = np.zeros((2, 8), int)
    assert teacher(suffixes)(features, *which) == pytest.approx(together, abs=1e-5)
    share = recipe.teacher_weight
    expected = share * together + (1 - share) * own["smoking"]
    assert taught["smoking"] == pytest.approx(expected, abs=1e-5)


def test_what_teachers_say_of_a_view_is_remembered():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3, 10, 4, 4, 2)).astype(np.float16)
    given = keras.Input((4, 4, 2))
    dense = keras.layers.Dense(1, activation="sigmoid")
    smoking = dense(keras.layers.GlobalAveragePooling2D()(given))
    suffix = keras.Model(given, {"smoking": smoking})
    dense.set_weights([np.array([[3.0], [-2.0]]), np.array([0.5])])
    said = np.random.default_rng(1).normal(size=features.shape[:2])
    teach = teacher([suffix], said)
    views = np.array([0, 1, 1, 0, 2, 2, 0, 1, 2, 0, 1]), np.array([3, 1, 3, 0, 7, 3, 9, 9, 0, 3, 4])
    own = predict_logits(suffix, features[views])
    assert np.ptp(own) > 0.01
    expected = 1 / (1 + np.exp(-SHARPNESS * (own + said[views]) / 2))
    for rows in (slice(0, 5), slice(2, 11), slice(None)):  # more and more of them are known
        asked = views[0][rows], views[1][rows]
        given = teach(features[asked].astype(np.float32), *asked)
        assert given[:, 0] == pytest.approx(expected[rows], abs=1e-5)
    again = teach(np.zeros((11, 4, 4, 2), np.float32), *views)
    assert again[:, 0] == pytest.approx(expected, abs=1e-5)


def test_the_learning_rate_rises_stays_and_falls():
    recipe = Recipe(steps=100, warmup=10, decay=0.4, learning_rate=1.0)
    rates = {step: float(Schedule(recipe)(step)) for step in (0, 5, 10, 60, 80, 100)}
    assert rates == pytest.approx({0: 0.05, 5: 0.525, 10: 1, 60: 1, 80: 0.525, 100: 0.05})
    assert float(Schedule(dataclasses.replace(recipe, decay=0.0))(100)) == 1
    # Where both overlap, the lower counts.
    short = dataclasses.replace(recipe, steps=12)
    assert float(Schedule(short)(9)) == pytest.approx(0.05 + 0.95 * 3 / 4.8)


def test_a_disk_that_is_too_small_is_found_out_before(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    _check_disk(tmp_path, free // 2)
    with pytest.raises(TrainingError, match=r"would need .* GB, and .* GB are free there"):
        _check_disk(tmp_path, 2 * free)


def test_the_folds_of_a_teacher_stand_in_for_it(tiny, tmp_path):
    recipe, examples, *_ = tiny
    files = [tmp_path / name for name in ("a.keras", "a_fold0.keras", "a_fold1.keras", "b.keras")]
    for file, bias in zip(files, (1.0, 2.0, 3.0, 5.0), strict=True):
        keras.utils.set_random_seed(0)
        model = build_model(None)
        model.layers[-1].set_weights([np.zeros((1280, 1)), np.array([bias])])
        model.save(file)
    teachers = files[0], files[3]
    with pytest.raises(ValueError, match=r"a\.csv is missing"):
        folds_of(teachers)
    folds = assign_folds(examples, 2)
    write_unseen(tmp_path / "a.csv", examples, folds, np.full(24, 0.5))
    assert folds_of(teachers) == {e.name: f for e, f in zip(examples, folds, strict=True)}
    assert folds_of(files[3:]) is None
    twice = [*examples, dataclasses.replace(examples[0], split=TRAINING)]  # in another fold
    write_unseen(tmp_path / "a.csv", twice, [*folds, 1 - folds[0]], np.full(25, 0.5))
    assert folds_of(teachers).keys() == {e.name for e in examples[1:]}
    for fold, first in ((None, 1.0), (0, 2.0), (1, 3.0)):
        start = start_student(teachers, recipe, fold)
        assert start.arrays[-1] == pytest.approx([first])
        said = start.teach(np.zeros((1, 56, 56, 24), np.float32), *np.zeros((2, 1), int))
        together = SHARPNESS * (first + 5.0) / 2
        assert said == pytest.approx(1 / (1 + np.exp(-together)), abs=1e-5)
    keras.utils.set_random_seed(1)
    build_model(None).save(files[3])  # of other first layers
    with pytest.raises(ValueError, match=r"differs from .* before block_2_add"):
        start_student(teachers, recipe, None)
    files[2].unlink()
    with pytest.raises(ValueError, match=r"a_fold1\.keras is missing"):
        folds_of(teachers)


def test_a_run_goes_on_from_the_models_of_its_folds(tmp_path):
    files = [tmp_path / name for name in ("a.keras", "a_fold1.keras", "b.weights.h5")]
    for file in files:
        file.touch()
    starts = [Run([], file, [], set(), set(), {}, Recipe()).start for file in files[::2]]
    assert starts[0](1).weights == files[1]
    assert starts[0](0).weights == files[0]
    assert starts[0](None).weights == files[0]
    assert starts[1](1).weights == files[2]


def test_bars_end_before_what_is_smoked():
    white = np.full((100, 100, 3), 255, np.uint8)
    smoked = np.array([[5, 4, 20, 8]]) / 100
    shown = {True: [], False: []}
    for seed in range(200):
        for smoking in shown:
            boxes = Boxes(smoked if smoking else np.empty((0, 4)), np.empty((0, 4)))
            scene = Scene.of(white, smoking, boxes)
            styled = _styled(scene, np.random.default_rng(seed))
            shown[smoking].append(styled[4:8, 5:20].any())
    assert all(shown[True])
    assert not all(shown[False])


def test_companions_are_of_the_same_fold_and_decide_the_label(tiny):
    recipe, examples, _, scenes = tiny
    recipe = dataclasses.replace(recipe, pairs=0.5, views=40)
    folds, usable = assign_folds(examples, 2), np.arange(24) != 5
    smoking = np.array([e.smoking for e in examples])
    companions = choose_companions(folds, smoking, usable, recipe)
    assert (companions == choose_companions(folds, smoking, usable, recipe)).all()
    paired = companions >= 0
    assert paired[:-1, :24].mean() == pytest.approx(recipe.pairs, abs=0.05)
    assert not paired[-1].any()  # the pictures as they are
    assert not paired[:, 24:].any()  # blanks
    assert 5 not in companions
    view, place = np.nonzero(paired)
    assert (folds[companions[view, place]] == folds[place]).all()
    assert smoking[companions[view, place]].mean() == pytest.approx(0.5, abs=0.1)
    one, two = next(s for s in scenes if s.smoking), next(s for s in scenes if not s.smoking)
    labels = [
        augment(two, np.random.default_rng(seed), 224, companion).shows_smoking()
        for companion in (one, two)
        for seed in range(20)
    ]
    assert sum(labels[:20]) > 10
    assert not any(labels[20:])
