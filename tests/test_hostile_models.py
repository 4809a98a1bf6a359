"""Model files that are damaged or made to do harm are refused in one line, before they are used."""

import json
import os
import shutil
import struct
import zipfile

import pytest
from conftest import SHIPPED_INT8, run_module, write_bare_model
from mutate_models import try_all

from edge_app import Classifier, ModelError, trial
from edge_app.metadata import METADATA_BUFFER

CONTENT = SHIPPED_INT8.read_bytes()


@pytest.fixture(autouse=True)
def nothing_passed(monkeypatch):
    monkeypatch.setattr(trial, "_passed", set())


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(CONTENT)
    return path


def refused(path) -> str:
    with pytest.raises(ModelError) as caught:
        Classifier(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text and len(text) < 600
    return text


def with_member(path, name, content, *, replace=False):
    """Adds a member to the archive in a model, replacing one of that name."""
    with zipfile.ZipFile(path) as archive:
        members = {m.filename: archive.read(m) for m in archive.infolist()}
        start = min(m.header_offset for m in archive.infolist())
    members[name] = content
    path.write_bytes(CONTENT[:start])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)


def decision(**changes) -> bytes:
    with zipfile.ZipFile(SHIPPED_INT8) as archive:
        return json.dumps(json.loads(archive.read("decision.json")) | changes).encode()


@pytest.mark.slow
def test_damaged_models_never_crash_what_loads_them(tmp_path):
    outcomes = try_all(25, seed=3, folder=tmp_path)
    assert outcomes.total() == 25 and outcomes["refused"] > 0


@pytest.mark.parametrize("size", [0, 3, 8, 100, 5000, len(CONTENT) // 2, len(CONTENT) - 5000])
def test_a_model_that_is_cut_short_is_refused(model, size):
    model.write_bytes(CONTENT[:size])
    refused(model)


@pytest.mark.parametrize("name", ["decision.json", "labels.txt"])
def test_members_of_gigabytes_are_refused_at_once(model, name):
    with_member(model, name, b" " * 50_000_000)
    assert f"its {name} is larger than 1 MB" in refused(model)


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": float("nan")},
        {"threshold": float("inf")},
        {"threshold": "high"},
        {"threshold": None},
        {"threshold": []},
        {"uncertain": [float("nan"), 1]},
        {"uncertain": [0.1]},
        {"uncertain": "ab"},
        {"label": 5},
        {"label": "Cat"},
        {"label": ["Smoking"]},
        {"other": 1},
        {"looks": {"sizes": [float("nan")]}},
        {"looks": "many"},
    ],
    ids=str,
)
def test_decisions_without_sense_are_refused(model, changes):
    with_member(model, "decision.json", decision(**changes))
    refused(model)


@pytest.mark.parametrize("text", ["[", "[]", "null", "5", "[" * 100_000, "\xff", ""])
def test_decisions_that_are_no_object_are_refused(model, text):
    with_member(model, "decision.json", text.encode("latin-1"))
    refused(model)


@pytest.mark.parametrize("labels", ["A\x1b[2J\nB", "A" * 1000 + "\nB", "A\n", "A\nB\nC", "\0\nB"])
def test_labels_that_are_no_words_are_refused(model, labels):
    with_member(model, "labels.txt", labels.encode())
    refused(model)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_a_normalization_without_sense_is_refused(model, value):
    model.write_bytes(CONTENT.replace(struct.pack("<f", 127.5), struct.pack("<f", value)))
    refused(model)


def test_a_crash_of_the_runtime_is_contained(model, monkeypatch):
    monkeypatch.setattr(trial, "run_once", lambda content: os.abort())
    assert "crashes the runtime (SIGABRT)" in refused(model)


def test_a_model_that_never_ends_is_ended(model, monkeypatch):
    monkeypatch.setattr(trial, "_SECONDS", 0.5)
    monkeypatch.setattr(trial, "run_once", lambda content: os.read(os.pipe()[0], 1))
    assert "takes longer than" in refused(model)


def test_a_model_that_takes_all_memory_is_refused(model, monkeypatch):
    def run_once(content):
        try:
            bytearray(8_000_000_000)
        except MemoryError:
            return "needs more memory than a model may"

    monkeypatch.setattr(trial, "run_once", run_once)
    assert "needs more memory" in refused(model)


def test_elsewhere_the_trial_is_a_new_python(model):
    trial._try_in_new_python(CONTENT)
    with pytest.raises(trial.TrialError, match="cannot be run"):
        trial._try_in_new_python(b"\x1c\0\0\0TFL3" + b"\0" * 100)


def test_the_shipped_model_is_checked_against_its_checksum(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(SHIPPED_INT8.parent / "SHA256SUMS", folder)
    path = folder / SHIPPED_INT8.name
    shutil.copy(SHIPPED_INT8, path)
    Classifier(path)
    place = CONTENT.index(METADATA_BUFFER.encode())
    path.write_bytes(CONTENT[:place] + b"X" + CONTENT[place + 1 :])
    assert "it is damaged or was replaced" in refused(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with a name")
def test_a_pipe_is_no_model(tmp_path):
    os.mkfifo(tmp_path / "pipe.tflite")
    assert "is no ordinary file" in refused(tmp_path / "pipe.tflite")


def test_the_command_says_it_in_one_line(model):
    with_member(model, "decision.json", decision(threshold=float("nan")))
    result = run_module("edge_app", "info", "--model", model)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert "decision.json cannot be used" in result.stderr


@pytest.mark.parametrize("options", [[], ["--labels", "no,yes", "--positive", "yes"]])
def test_operators_of_another_program_are_no_damage(tmp_path, options):
    flatbuffers = pytest.importorskip("flatbuffers")
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    network = schema.ModelT.InitFromPackedBuf(
        write_bare_model(tmp_path / "bare.tflite").read_bytes()
    )
    for code in network.operatorCodes:
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = b"Landmarks2TransformMatrix"
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(network.Pack(builder), b"TFL3")
    path = tmp_path / "custom.tflite"
    path.write_bytes(bytes(builder.Output()))
    result = run_module("edge_app", "info", "--model", path, *options)
    assert result.returncode == 2
    if options:
        assert "it has operators that this runtime lacks" in result.stderr
        assert "Landmarks2TransformMatrix" in result.stderr
    assert "damaged" not in result.stderr and "Traceback" not in result.stderr
