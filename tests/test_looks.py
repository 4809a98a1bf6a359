"""Looking again: where, when, and what the looks say together."""

import dataclasses
import json
import math
import shutil
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import SHIPPED_INT8, SHIPPED_KERAS
from PIL import Image, ImageOps

from edge_app import Classifier, ModelError
from edge_app.cli import main
from edge_app.decision import Decision, read_decision, replace_decision
from edge_app.imaging import read_frame, read_picture, read_pixels, read_thumbnail
from edge_app.looks import Looks, combine_all, logit, probability, regions, square

ALL = Looks(sizes=(0.85, 0.7), lowest=-16.0)
"""Every picture is looked at again."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The shipped model, told to look at every picture again."""
    path = tmp_path_factory.mktemp("model") / "looks.tflite"
    shutil.copy(SHIPPED_INT8, path)
    decision = read_decision(str(path))
    replace_decision(path, dataclasses.replace(decision, looks=ALL))
    return path


@pytest.fixture(scope="module")
def looking(model):
    return Classifier(model)


@pytest.fixture
def photograph(samples):
    return Image.open(samples / "coffee.jpg").convert("RGB")


def test_looks_are_read_back_as_they_were_written():
    looks = Looks((0.85, 0.7), -2.0, 1.5, 1.03, -0.1)
    assert looks.to_dict() == {
        "sizes": [0.85, 0.7],
        "from": -2.0,
        "upscale": 1.5,
        "scale": 1.03,
        "bias": -0.1,
    }
    decision = Decision(uncertain=(0.2, 0.6), looks=looks)
    assert Decision.from_json(decision.to_json()) == decision
    assert "looks" not in json.loads(Decision().to_json())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sizes", []),
        ("sizes", [0.1]),
        ("sizes", [1.5]),
        ("sizes", ["0.7"]),
        ("sizes", [math.nan]),
        ("sizes", 0.7),
        ("sizes", [0.7] * 1000),
        ("from", None),
        ("from", math.nan),
        ("from", -1e300),
        ("upscale", 0),
        ("upscale", math.inf),
        ("scale", -1.0),
        ("scale", True),
        ("bias", "0"),
        ("weights", [1, 2]),
    ],
)
def test_hostile_looks_are_refused_in_one_line(tmp_path, key, value):
    values = {"sizes": [0.7], "from": -2.0, key: value}
    text = json.dumps({"label": "Smoking", "looks": values})
    with pytest.raises(ValueError, match="look") as error:
        Decision.from_json(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("looks", [[], "two", 2, {}, {"sizes": [0.7]}, {"from": 1}])
def test_looks_of_another_shape_are_refused(looks):
    with pytest.raises(ValueError, match="looks"):
        Decision.from_json(json.dumps({"looks": looks}))


def test_a_model_file_with_hostile_looks_is_named(tmp_path):
    path = tmp_path / "bad.tflite"
    shutil.copy(SHIPPED_INT8, path)
    text = Decision(looks=Looks((0.7,), -2.0)).to_json().replace("0.7", "7.0")
    replace_decision(path, SimpleNamespace(to_json=lambda: text))
    with pytest.raises(ModelError, match=r"bad\.tflite.*size of a look from 0\.4") as error:
        Classifier(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shipped", [SHIPPED_INT8, SHIPPED_KERAS])
def test_another_decision_leaves_the_rest_of_the_file_as_it_is(tmp_path, shipped):
    path = tmp_path / shipped.name
    shutil.copy(shipped, path)
    original = read_decision(str(path))
    replace_decision(path, dataclasses.replace(original, looks=ALL))
    assert read_decision(str(path)).looks == ALL
    with zipfile.ZipFile(path) as members, zipfile.ZipFile(shipped) as before:
        assert members.testzip() is None
        assert sorted(members.namelist()) == sorted(before.namelist())
    replace_decision(path, original)
    replace_decision(path, original)
    assert read_decision(str(path)) == original
    assert abs(path.stat().st_size - shipped.stat().st_size) < 2000


def test_a_square_is_centred_and_stays_inside():
    assert square((0.5, 0.5), 0.5, 400, 200) == (150, 50, 250, 150)
    assert square((0.0, 0.0), 0.5, 400, 200) == (0, 0, 100, 100)
    assert square((1.0, 1.0), 0.5, 400, 200) == (300, 100, 400, 200)
    assert square((0.5, 0.5), 0.5, 1, 1) == (0, 0, 1, 1)


def test_the_regions_lie_around_the_peak_of_the_evidence():
    evidence = np.full((7, 7), -1.0)
    evidence[2, 4] = 1.0
    (larger, smaller) = regions(evidence, 1400, 700, Looks((0.8, 0.6), -2.0))
    assert smaller == (690, 40, 1110, 460)  # around (4.5 / 7, 2.5 / 7)
    assert larger == (620, 0, 1180, 560)  # moved down to stay inside


def test_a_crop_with_too_few_pixels_of_its_own_is_left_out():
    evidence = np.eye(7)
    looks = Looks((0.85, 0.7), -2.0, upscale=1.5)
    assert len(regions(evidence, 1000, 220, looks)) == 2  # 154 pixels, enlarged 1.45 times
    assert len(regions(evidence, 1000, 200, looks)) == 1  # 140 pixels would be enlarged 1.6 times
    assert regions(evidence, 1000, 100, looks) == []
    assert regions(evidence, 1000, 100, dataclasses.replace(looks, upscale=4)) != []


def test_logits_are_averaged_and_calibrated_from_the_lower_end_on():
    looks = Looks((0.85, 0.7), -2.0, scale=1.5, bias=-0.5)
    assert looks.combine([-1.0, 2.0, 2.0]) == 1.0
    assert looks.combine([-2.0, 2.0, 3.0]) == 1.0
    assert looks.combine([-2.1, 2.0, 3.0]) == -2.1
    assert looks.combine([0.7]) == 0.7


def test_a_look_that_was_not_taken_does_not_count():
    looks = Looks((0.85, 0.7), -2.0, bias=1.0)
    rows = np.array([[0.0, 2.0, np.nan], [0.3, np.nan, np.nan], [-5.0, 9.0, 9.0]])
    assert combine_all(rows, looks).tolist() == [2.0, 0.3, -5.0]
    assert combine_all(rows, None).tolist() == [0.0, 0.3, -5.0]


def test_logit_and_probability_are_inverse():
    for value in (-16.0, -3.0, 0.0, 2.5):
        assert logit(probability(value)) == pytest.approx(value)
    assert (logit(0), logit(1)) == (-16, 16)
    assert probability(-1000) == 0
    assert probability(1000) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_crop_is_that_of_the_upright_picture(tmp_path, photograph, orientation, ending):
    path = tmp_path / f"turned.{ending}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    photograph.save(path, exif=exif, quality=95)
    upright = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    picture = read_picture(path)
    assert (picture.width, picture.height) == upright.size
    box = (30, 60, 230, 260)
    expected = np.asarray(upright.resize((224, 224), Image.Resampling.BILINEAR, box), int)
    assert np.abs(picture.crop(box) - expected).mean() < 1.5


def test_a_crop_of_a_reduced_decode_is_that_of_the_whole_one(tmp_path, photograph):
    path = tmp_path / "large.jpg"
    large = photograph.resize((photograph.width * 8, photograph.height * 8))
    large.save(path, quality=95)
    picture = read_picture(path)
    assert (picture.width, picture.height) == large.size
    box = square((0.3, 0.6), 0.7, *large.size)
    expected = np.asarray(large.resize((224, 224), Image.Resampling.BILINEAR, box), int)
    assert np.abs(picture.crop(box) - expected).mean() < 2


def test_a_camera_frame_is_cropped_as_the_same_picture(photograph):
    frame = np.asarray(photograph)[..., ::-1]
    box = (30, 60, 230, 260)
    assert (read_frame(frame).crop(box) == read_picture(photograph).crop(box)).all()
    mirrored = read_picture(photograph).crop(box, mirrored=True)
    assert (mirrored[:, ::-1] == read_picture(photograph).crop(box)).all()


def test_a_picture_is_looked_at_as_often_as_its_file_says(looking, classifier, samples):
    once = classifier.classify(samples / "coffee.jpg")
    twice = looking.classify(samples / "coffee.jpg")
    assert (once.looks, once.region) == (1, None)
    assert twice.looks == 3
    assert (twice.evidence == once.evidence).all()
    first, *others = looking.look(samples / "coffee.jpg")
    assert first == pytest.approx(logit(once.smoking))
    assert twice.smoking == pytest.approx(probability(np.mean([first, *others])))
    width, height = Image.open(samples / "coffee.jpg").size
    assert twice.region == regions(once.evidence, width, height, ALL)[1]


def test_every_kind_of_source_is_looked_at_alike(looking, samples):
    path = samples / "coffee.jpg"
    expected = looking.classify(path)
    assert looking.classify(path.read_bytes()) == expected
    pixels = np.asarray(Image.open(path).convert("RGB"))
    assert looking.classify_frame(pixels[..., ::-1]) == looking.classify(pixels)


def test_the_four_steps_give_what_classify_gives(looking, samples):
    picture = read_picture(samples / "coffee.jpg")
    first = looking.classify_pixels(picture.pixels)
    boxes = looking.regions(first, picture.width, picture.height)
    logits = [looking.look_at(picture, box) for box in boxes]
    assert looking.combine(first, logits, boxes) == looking.classify(samples / "coffee.jpg")
    assert looking.combine(first, [], []) == first


def test_one_look_can_be_forced(model, classifier, samples):
    once = Classifier(model, looks=1)
    assert once.info.decision.looks is None
    assert once.classify(samples / "coffee.jpg") == classifier.classify(samples / "coffee.jpg")
    assert Classifier(model, looks=2).classify(samples / "coffee.jpg").looks == 2
    assert Classifier(model, looks=9).info.decision.looks == ALL
    with pytest.raises(ValueError, match="at least 1"):
        Classifier(model, looks=0)


def test_below_the_band_one_look_is_enough(model, samples):
    score = Classifier(model, looks=1).classify(samples / "coffee.jpg").smoking
    for distance, looks in ((-0.01, 3), (0.01, 1)):
        lowest = logit(score) + distance
        decision = Decision(looks=dataclasses.replace(ALL, lowest=lowest))
        assert Classifier(model, decision=decision).classify(samples / "coffee.jpg").looks == looks


def test_a_small_picture_gets_one_look(looking, classifier, photograph):
    small = photograph.resize((120, 80))
    assert looking.classify(small) == classifier.classify(small)
    first, *others = looking.look(small)
    assert first == pytest.approx(logit(classifier.classify(small).smoking))
    assert np.isnan(others).all()


def test_candidates_can_be_tried_with_a_model_that_looks_once(samples):
    classifier = Classifier(looks=1)
    candidates = Looks((0.85, 0.7, 0.55), -16.0)
    logits = classifier.look(samples / "coffee.jpg", candidates)
    assert len(logits) == 4
    assert len(classifier.look(samples / "coffee.jpg")) == 1
    assert not np.isnan(logits).any()


def test_the_first_look_has_the_pixels_it_always_had(tmp_path, photograph):
    path = tmp_path / "large.jpg"
    photograph.resize((2400, 1600)).save(path)
    with Image.open(path) as image:
        image.draft("RGB", (560, 560))
        expected = np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR))
    assert (read_pixels(path) == expected).all()
    assert (read_picture(path).pixels == expected).all()


def test_classify_prints_what_each_look_said(model, samples):
    picture = samples / "coffee.jpg"
    arguments = ["classify", str(picture), "--model", str(model), "--format", "jsonl"]
    record = json.loads(CliRunner().invoke(main, arguments).output)
    prediction = Classifier(model).classify(picture)
    assert record["region"] == list(prediction.region)
    assert (record["looks"], record["uncertain"]) == (3, prediction.uncertain)
    once = json.loads(CliRunner().invoke(main, [*arguments, "--looks", "1"]).output)
    assert (once["looks"], once["region"]) == (1, None)


def test_info_shows_when_and_where_it_looks_again(tmp_path):
    path = tmp_path / "model.tflite"
    shutil.copy(SHIPPED_INT8, path)
    looks = Looks((0.85, 0.7), -2.0, scale=1.03, bias=-0.1)
    replace_decision(path, Decision(looks=looks))
    output = CliRunner().invoke(main, ["info", "--model", str(path)]).output
    (line,) = [line for line in output.splitlines() if line.startswith("looks")]
    for part in ("3 from a first score of 0.119", "0.85 and 0.7", "1.03 * mean logit - 0.1"):
        assert part in line
    once = CliRunner().invoke(main, ["info", "--model", str(path), "--looks", "1"]).output
    assert [line.split() for line in once.splitlines() if line.startswith("looks")] == [
        ["looks", "1"]
    ]


def test_a_thumbnail_shows_the_region(tmp_path, photograph):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph.resize((3000, 2000)).save(path, exif=exif)
    width, height = read_picture(path).width, read_picture(path).height
    assert (width, height) == (2000, 3000)
    plain = np.asarray(read_thumbnail(path, 192), int)
    drawn = np.asarray(read_thumbnail(path, 192, (500, 1500, 1500, 2500)), int)
    rows, columns = np.nonzero(np.abs(drawn - plain).sum(axis=2))
    edges = (columns.min(), rows.min(), columns.max(), rows.max())
    expected = np.array([500, 1500, 1500, 2500]) * 192 / height
    assert np.abs(np.array(edges) - expected).max() <= 1.5
