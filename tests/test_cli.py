import json
import os
import re

import pytest
from conftest import run_module


def test_classify_answers_all_that_can_be_read(pictures):
    result = run_module("edge_app", "classify", pictures, pictures / "missing.jpg")
    assert result.returncode == 1
    assert len(result.stdout.splitlines()) == 2
    assert all("NotSmoking" in line for line in result.stdout.splitlines())
    errors = result.stderr.splitlines()
    assert len(errors) == 3
    assert any("missing.jpg: there is no such file" in line for line in errors)


def test_classify_writes_json_lines(pictures):
    result = run_module("edge_app", "classify", pictures, "--format", "jsonl")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 1
    assert result.stderr == ""
    assert len(records) == 4
    for record in records:
        assert list(record) == [
            *("path", "label", "confidence", "smoking"),
            *("uncertain", "looks", "region", "incomplete", "elapsed_ms", "error"),
        ]
        assert (record["label"] is None) == (record["error"] is not None)
    good = next(record for record in records if record["path"].endswith("a.png"))
    assert good["label"] == "NotSmoking"
    assert good["confidence"] == pytest.approx(1 - good["smoking"], abs=1e-3)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="file permissions as on Unix")
def test_names_that_are_not_utf8_do_not_stop_it(pictures):
    os.rename(os.fsencode(pictures / "a.png"), os.fsencode(pictures) + b"/\xff.png")
    for form in ("text", "jsonl"):
        result = run_module("edge_app", "classify", pictures, "--format", form)
        assert result.returncode == 1
        assert len([x for x in result.stdout.splitlines() if "NotSmoking" in x]) == 2


def test_all_readable_is_exit_code_0(samples):
    assert run_module("edge_app", "classify", samples).returncode == 0


def test_the_threshold_can_be_given(samples):
    result = run_module("edge_app", "classify", samples / "coffee.jpg", "--threshold", "0")
    assert result.stdout.startswith("Smoking")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["classify"], "Missing argument"),
        (["classify", "x.jpg", "--model", "missing.tflite"], "missing.tflite: cannot be read"),
        (["classify", "x.jpg", "--threshold", "7"], "0<=x<=1"),
        (["scan", "no-such-folder"], "does not exist"),
        (["live", "--source", "no-such-file.mp4"], "no-such-file.mp4: there is no such file"),
        (["fly"], "No such command"),
        (["train", "--help"], "python3 run.py train"),
        (["convert", "model.keras"], "runs from a checkout of the repository: git clone"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_one_clear_message(arguments, message):
    result = run_module("edge_app", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["classify", "scan", "live", "web", "info"])
def test_help_has_an_example(command):
    result = run_module("edge_app", command, "--help")
    assert result.returncode == 0
    assert re.search(rf"(python -m edge_app|python3 run\.py) {command}", result.stdout)
    assert "--model" in result.stdout


def test_info_names_model_labels_threshold_and_runtime(classifier):
    result = run_module("edge_app", "info")
    assert result.returncode == 0
    for text in (classifier.info.sha256, "NotSmoking, Smoking", "uint8", classifier.info.runtime):
        assert text in result.stdout
