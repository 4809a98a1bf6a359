"""Which names say that somebody smokes, and how label files are read."""

import pytest

from edge_app.labels import (
    choose_positive,
    labels_beside,
    parse_labels,
    rest_of,
    says_smoking,
    split_labels,
)

SMOKING = (
    *("smoking", "Smoker", "is_smoking", "isSmoking", "smoking_person", "SMOKING", "cigarette"),
    *("Raucher", "rauchend", "fumador", "fumando", "fumeur", "fumatore", "fumante", "merokok"),
    *("perokok", "roker", "rökare", "ryger", "røyker", "palący", "palacz", "курит", "курящий"),
    *("sigara içen", "tupakoi", "吸烟", "抽烟", "喫煙", "흡연", "धूम्रपान", "تدخين", "hút thuốc"),
    *("สูบบุหรี่", "orang merokok"),
)
OTHERWISE = (
    *("NotSmoking", "non-smoker", "no smoking", "nonsmoking", "NOTSMOKING", "Not Smoker"),
    *("isn't smoking", "ex-smoker", "without smoking", "NoSmoking", "smoking free", "quit smoking"),
    *("Nichtraucher", "nicht rauchend", "kein Raucher", "no fumador", "no fumando", "non-fumeur"),
    *("ne fume pas", "non fumatore", "não fumante", "nao_fumando", "tidak merokok"),
    *("bukan perokok", "niet-roker", "nietroker", "icke-rökare", "ickerökare", "ikke-ryger"),
    *("niepalący", "nie pali", "не курит", "некурящий", "sigara içmeyen", "tupakoimaton"),
    *("不吸烟", "未吸烟", "禁烟", "非喫煙", "비흡연", "금연", "धूम्रपान नहीं", "غير مدخن"),
    *("لا تدخين", "không hút thuốc", "ไม่สูบบุหรี่", "no_cigarette"),
    *("smoke", "fire", "drinking", "perfume", "With Mask", "1"),
)


@pytest.mark.parametrize("label", SMOKING)
def test_a_name_that_says_smoking_is_looked_for(label):
    assert says_smoking(label)


@pytest.mark.parametrize("label", OTHERWISE)
def test_a_negation_or_another_name_is_not(label):
    assert not says_smoking(label)


def test_the_positive_label_is_chosen_by_its_name_in_either_order():
    assert choose_positive(["smoking", "non-smoking"]) == "smoking"
    assert choose_positive(["tidak merokok", "merokok"]) == "merokok"
    assert choose_positive(["drinking", "phone", "smoking"]) == "smoking"


def test_a_choice_overrules_the_name_whatever_its_case():
    assert choose_positive(["With Mask", "Without Mask"], "with_mask") == "With Mask"
    assert choose_positive(["smoking", "NotSmoking"], "notsmoking") == "NotSmoking"


@pytest.mark.parametrize(
    ("labels", "positive", "reason"),
    [
        (["With Mask", "Without Mask"], None, "--positive"),
        (["smoker", "smoking"], None, "--positive"),
        (["A", "B"], "C", "none of the labels: A, B"),
    ],
)
def test_what_cannot_be_chosen_names_the_option(labels, positive, reason):
    with pytest.raises(ValueError, match=reason):
        choose_positive(labels, positive)


def test_the_rest_has_the_other_name_or_says_not():
    assert rest_of(["A", "B"], "B") == "A"
    assert rest_of(["A", "B", "C"], "B") == "not B"


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("0 With Mask\n1 Without Mask\n", ("With Mask", "Without Mask")),
        ("0: A\r\n1: B", ("A", "B")),
        ("cat\ndog", ("cat", "dog")),
        ("2 fingers\n3 fingers", ("2 fingers", "3 fingers")),
    ],
)
def test_label_files_of_teachable_machine_and_plain_ones(text, labels):
    assert parse_labels(text) == labels


def test_numbered_labels_are_teachable_machines_beside_a_model_of_its_names_alone(tmp_path):
    (tmp_path / "labels.txt").write_text("0 no\n1 yes\n")
    for name in ("keras_model.h5", "keras_Model.h5", "model_unquant.tflite", "model.savedmodel"):
        assert labels_beside(tmp_path / name) == (("no", "yes"), True)
    for name in ("model.tflite", "mine.keras"):
        assert labels_beside(tmp_path / name) == (("no", "yes"), False)
    (tmp_path / "labels.txt").write_text("no\nyes\n")
    assert labels_beside(tmp_path / "keras_model.h5") == (("no", "yes"), False)


def test_the_option_takes_names_or_a_file(tmp_path):
    (tmp_path / "labels.txt").write_text("0 A\n1 B\n2 C\n")
    assert split_labels(str(tmp_path / "labels.txt")) == ("A", "B", "C")
    assert split_labels(" no , yes ") == ("no", "yes")
    (tmp_path / "windows.txt").write_text("Käse\nBrot\n", encoding="utf-16")
    assert split_labels(str(tmp_path / "windows.txt")) == ("Käse", "Brot")
    for missing in ("labels.txt", str(tmp_path / "missing")):
        with pytest.raises(ValueError, match=f"{missing}: there is no such label file"):
            split_labels(missing)
    for wrong in ("A", "A,", "A,A", ""):
        with pytest.raises(ValueError, match="--labels no,yes"):
            split_labels(wrong)
