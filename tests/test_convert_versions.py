"""Models that a newer Keras wrote: what it added and does not use costs nothing."""

import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from convert_small import SIZE, small_classifier

from convert.loading import ConversionError, load

UNUSED = {
    "GlorotUniform": {"future_axes": None},
    "Dense": {"future_config": None, "tuned": False, "tuned_rate": 0.99},
    "Conv2D": {"sparse": False},
}
NEWER = "99.1.0"


def written_later(path: Path, arguments: dict[str, dict]) -> Path:
    """The small classifier as a Keras that knows more arguments would write it."""
    keras.utils.set_random_seed(3)
    small_classifier().save(path)

    def add(part):
        if isinstance(part, dict):
            part.get("config", {}).update(arguments.get(part.get("class_name"), {}))
        for inner in part.values() if isinstance(part, dict) else part:
            if isinstance(inner, (dict, list)):
                add(inner)

    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            add(config)
            file.attrs["model_config"] = json.dumps(config)
            file.attrs["keras_version"] = NEWER
        return path
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    add(config)
    members["config.json"] = json.dumps(config)
    members["metadata.json"] = json.dumps({"keras_version": NEWER})
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_arguments_without_a_value_are_left_out_and_named(ending, tmp_path):
    pixels = np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)
    keras.utils.set_random_seed(3)
    expected = small_classifier()(pixels)
    source = load(written_later(tmp_path / f"model{ending}", UNUSED))
    assert np.array_equal(source.call(pixels), expected)
    (finding,) = source.findings
    for name in ("GlorotUniform.future_axes", "Dense.tuned_rate", "Conv2D.sparse"):
        assert name in finding


@pytest.mark.parametrize("value", [True, 3, "other", [1]])
def test_an_argument_with_a_meaning_is_refused_with_what_to_do(value, tmp_path):
    path = written_later(tmp_path / "model.keras", {"Dense": {"future": value}})
    with pytest.raises(ConversionError) as error:
        load(path)
    assert str(error.value).endswith(
        f"Keras {NEWER} wrote it and this is {keras.__version__}: pip install -U keras"
    )
    assert "\n" not in str(error.value)


def test_a_file_of_this_version_is_loaded_as_it_is(tmp_path):
    assert load(written_later(tmp_path / "model.keras", {})).findings == ()
