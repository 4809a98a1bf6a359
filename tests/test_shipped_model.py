"""What the shipped files have to hold, on the real data sets and in themselves."""

import hashlib
import json

import numpy as np
import pytest
from conftest import ROOT, SHIPPED_INT8, SHIPPED_KERAS

from train.data import TESTING, find_examples
from train.evaluate import score
from train.metrics import measure

EVALUATION = ROOT / "models" / "evaluation" / "evaluation.json"


@pytest.fixture(scope="module")
def testing(real_data, classifier):
    """Figures of the shipped integer model on the Testing pictures of each data set."""
    results = {}
    for name in ("smoker", "stanford40", "smoking_wild"):
        examples = [e for e in find_examples(real_data / name) if e.split == TESTING]
        examples, scores = score(SHIPPED_INT8, examples)
        smoking = np.array([e.smoking for e in examples])
        results[name] = measure(smoking, scores, classifier.info.decision.threshold)
    return results


def test_accuracy_on_the_smoker_testing_pictures(testing):
    assert testing["smoker"]["pictures"] == 224
    assert testing["smoker"]["accuracy"] >= 0.94


def test_false_alarms_on_everyday_pictures_that_training_never_saw(testing):
    not_smoking = testing["stanford40"]["classes"]["NotSmoking"]
    assert not_smoking["pictures"] == 399
    assert 1 - not_smoking["recall"] <= 0.05


def test_the_committed_evaluation_is_of_this_model(testing, classifier):
    report = json.loads(EVALUATION.read_text())
    assert report["model"] == SHIPPED_INT8.name
    assert report["sha256"] == classifier.info.sha256
    for name, result in testing.items():
        committed = report["datasets"][name]
        assert committed["confusion_matrix"] == result["confusion_matrix"]
        assert committed["roc_auc"] == pytest.approx(result["roc_auc"])


def test_the_integer_model_says_what_the_keras_model_says(real_data):
    examples = [e for e in find_examples(real_data / "smoker") if e.split == TESTING]
    _, integer = score(SHIPPED_INT8, examples)
    _, original = score(SHIPPED_KERAS, examples)
    assert np.abs(integer - original).mean() <= 0.01
    assert ((integer >= 0.5) != (original >= 0.5)).sum() <= 3  # of 224


def test_the_committed_proof_is_of_a_file_that_says_the_same():
    (proof,) = json.loads((EVALUATION.parent / "conversion.json").read_text())["files"]
    assert proof["size"] == SHIPPED_INT8.stat().st_size
    assert proof["unseen"]["flips"] == 0
    assert proof["unseen"]["mean_difference"] <= 0.005
    text = (ROOT / "models" / "README.md").read_text()
    assert f"difference of the score of {proof['unseen']['mean_difference']:.4f}" in text


def test_the_checksums_are_those_of_the_files():
    lines = (ROOT / "models" / "SHA256SUMS").read_text().splitlines()
    sums = dict(reversed(line.split(maxsplit=1)) for line in lines)
    assert sums.keys() == {SHIPPED_KERAS.name, SHIPPED_INT8.name}
    for name, checksum in sums.items():
        content = (ROOT / "models" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == checksum
        assert len(content) < 12e6


def test_both_files_carry_the_same_decision():
    from edge_app.decision import read_decision

    assert read_decision(str(SHIPPED_KERAS)) == read_decision(str(SHIPPED_INT8))


def test_readme_and_card_show_the_committed_figures():
    datasets = json.loads(EVALUATION.read_text())["datasets"]
    smoker, everyday = datasets["smoker"], datasets["stanford40"]["classes"]["NotSmoking"]
    for name in ("README.md", "models/README.md"):
        text = (ROOT / name).read_text()
        assert f"accuracy | {smoker['accuracy']:.2%}".replace("%", " %") in text
        assert f"false alarms | {1 - everyday['recall']:.1%}".replace("%", " %") in text
