"""Models and inputs from elsewhere: what the app says, and what to use instead."""

import json
import os

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import SHIPPED_INT8, write_bare_model

from edge_app import inspection
from edge_app.cli import main
from edge_app.description import Description, positive_score, read_description
from edge_app.foreign import self_describing
from edge_app.inspection import ForeignModelError
from edge_app.live.errors import SourceError
from edge_app.live.sources import open_frames
from edge_app.preprocessing import NAMED, Preprocessing, choose


def test_a_file_that_says_what_it_is_stays_as_it_is():
    assert self_describing(SHIPPED_INT8) == SHIPPED_INT8
    with pytest.raises(ForeignModelError, match="use it without --labels"):
        self_describing(SHIPPED_INT8, labels=("A", "B"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs devices and pipes as on Unix")
def test_a_device_or_a_pipe_is_not_read_as_a_model(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        result = CliRunner().invoke(main, ["info", "--model", str(path)])
        assert result.exit_code == 2
        assert f"{path}: is " in result.output


def test_what_is_no_model_is_left_to_whoever_opens_it(tmp_path):
    missing, text = tmp_path / "missing.tflite", tmp_path / "text.tflite"
    text.write_text("no model")
    assert self_describing(missing) == missing
    assert self_describing(text, labels=("A", "B")) == text


@pytest.mark.parametrize(
    ("outputs", "activation", "place", "score"),
    [
        ([0.2, 0.8], "softmax", 1, 0.8),
        ([0.2, 0.8], "softmax", 0, 0.2),
        ([0.3], "sigmoid", 1, 0.3),
        ([0.3], "sigmoid", 0, 0.7),
        ([0.9, 0.8], "sigmoid", 0, 0.9),
        ([0.0, 0.0, 0.0], "logits", 2, 1 / 3),
        ([0.0], "logits", 1, 0.5),
        ([2000.0], "logits", 0, 0.0),
    ],
)
def test_outputs_of_every_kind_become_a_score(outputs, activation, place, score):
    assert positive_score(np.array(outputs), activation, place) == pytest.approx(score)


def test_three_classes_become_the_positive_one_and_the_rest():
    tf = NAMED["tf"]
    description = Description("m", ("A", "B", "C"), "B", tf.mean, tf.std, "RGB", "softmax")
    assert description.metadata.labels == ("not B", "B")
    assert description.scores(np.array([0.2, 0.5, 0.3])) == pytest.approx([0.5, 0.5])


def test_a_description_that_makes_no_sense_is_refused(tmp_path):
    import zipfile

    path = tmp_path / "model.tflite"
    for content in ("[]", "{}", json.dumps({"labels": ["A"], "positive": "B"})):
        with zipfile.ZipFile(path, "w") as members:
            members.writestr("description.json", content)
        with pytest.raises(ValueError, match="cannot be used"):
            read_description(path.read_bytes())


def test_preprocessing_is_that_of_keras():
    pixels = np.array([[[10, 20, 30]]], np.uint8)
    assert NAMED["tf"].apply(pixels).ravel() == pytest.approx(np.array([10, 20, 30]) / 127.5 - 1)
    caffe = np.array([30 - 103.939, 20 - 116.779, 10 - 123.68])
    assert NAMED["caffe"].apply(pixels).ravel() == pytest.approx(caffe)
    torch = (np.array([10, 20, 30]) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert NAMED["torch"].apply(pixels).ravel() == pytest.approx(torch, abs=1e-5)
    assert Preprocessing.of_range(-1, 1).range == pytest.approx((-1, 1))
    assert NAMED["caffe"].range is None


def test_input_options_exclude_each_other():
    assert choose((0, 1), None) == Preprocessing.of_range(0, 1)
    assert choose(None, None) is None
    for wrong in ((((0, 1)), "tf"), ((1, 1), None)):
        with pytest.raises(ValueError, match=r"--input-range|different values"):
            choose(*wrong)


def test_a_model_for_the_edge_tpu_is_told_what_to_export(tmp_path):
    path = tmp_path / "model_edgetpu.tflite"
    path.write_bytes(b"\0\0\0\0TFL3" + b"edgetpu-custom-op")
    with pytest.raises(ForeignModelError, match="Edge TPU"):
        self_describing(path)


def test_an_address_is_to_be_downloaded_first():
    result = CliRunner().invoke(main, ["classify", "https://example.org/a.jpg"])
    assert result.exit_code == 2
    assert "curl -O https://example.org/a.jpg" in result.output


def test_a_folder_is_to_be_scanned(tmp_path):
    with pytest.raises(SourceError, match=r"is a folder.* scan "):
        open_frames(str(tmp_path))


@pytest.fixture
def bare(tmp_path):
    return write_bare_model(tmp_path / "bare.tflite")


def test_info_names_the_file_that_was_given_and_no_negative_zero(bare, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(bare.parent / "cache"))
    monkeypatch.setattr(inspection, "_preprocessing_of", lambda *_: None)
    zero = Preprocessing((-0.0,) * 3, (1.0,) * 3)
    monkeypatch.setattr("edge_app.cli.options.choose", lambda *_: zero)
    result = CliRunner().invoke(main, ["info", "--model", str(bare), "--labels", "no,smoking"])
    lines = dict(line.split(maxsplit=1) for line in result.output.splitlines())
    assert lines["model"] == str(bare)
    assert lines["normalization"] == "(pixel - 0) / 1"


def test_all_that_is_missing_is_asked_for_at_once(bare, monkeypatch):
    monkeypatch.setattr(inspection, "_preprocessing_of", lambda *_: None)  # as of a float model
    for given, asked in (
        ({}, ["--labels A,B", "--input-range 0 1"]),
        ({"labels": ("A", "B")}, ['--positive "B"', "--input-range 0 1"]),
    ):
        with pytest.raises(ForeignModelError) as caught:
            self_describing(bare, **given)
        assert all(option in str(caught.value) for option in asked)
        assert "\n" not in str(caught.value)


def test_the_range_of_teachable_machine_is_taken_for_its_own_file_names_alone(bare, monkeypatch):
    monkeypatch.setattr(inspection, "_preprocessing_of", lambda *_: None)  # as of a float model
    monkeypatch.setenv("XDG_CACHE_HOME", str(bare.parent))
    bare.with_name("labels.txt").write_text("0 no\n1 smoking\n")
    with pytest.raises(ForeignModelError, match="as in Teachable Machine: --input-range -1 1"):
        self_describing(bare)
    export = bare.rename(bare.with_name("model_unquant.tflite"))
    for labels in (None, ("nobody", "smoking")):  # other names for them are no other range
        described = read_description(self_describing(export, labels=labels).read_bytes())
        assert described.preprocessing == NAMED["tf"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [("Käse\nBrot\n".encode("latin-1"), "save it as UTF-8"), (b"\n \n", "no list of labels")],
)
def test_a_label_file_that_cannot_be_used_is_named(bare, content, reason):
    beside = bare.with_name("labels.txt")
    beside.write_bytes(content)
    with pytest.raises(ForeignModelError, match=f"labels.txt: .*{reason}"):
        self_describing(bare)
    result = CliRunner().invoke(main, ["info", "--model", str(bare), "--labels", str(beside)])
    assert result.exit_code == 2
    assert reason in result.output and "Traceback" not in result.output
    assert self_describing(bare, labels=("no", "smoking"))  # then nobody needs that file


def test_a_range_that_contradicts_the_quantization_is_a_warning(bare, caplog, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(bare.parent))
    labels = ("no", "smoking")
    self_describing(bare, labels=labels, preprocessing=Preprocessing.of_range(-1, 1))
    assert not caplog.messages
    for given in (Preprocessing.of_range(0, 1), NAMED["caffe"]):
        caplog.clear()
        self_describing(bare, labels=labels, preprocessing=given)
        (message,) = caplog.messages
        assert "quantized for values from -1 to 1" in message and str(given) in message
