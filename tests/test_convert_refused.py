"""Models that are not converted: one line says why."""

import zipfile
from pathlib import Path

import keras
import pytest
from convert_small import SIZE, run_convert, save, small_classifier

from convert.loading import ConversionError, load_classifier


def lambda_model():
    pixels = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Lambda(lambda x: x / 255)(pixels)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(pixels, keras.layers.Dense(1, activation="sigmoid")(x))


class Doubling(keras.layers.Layer):
    """A layer that does not come with Keras."""

    def call(self, inputs):
        return 2 * inputs


def unknown_size_model():
    pixels = keras.Input((None, None, 3))
    x = keras.layers.GlobalAveragePooling2D()(pixels)
    return keras.Model(pixels, keras.layers.Dense(1, activation="sigmoid")(x))


def two_inputs_model():
    first, second = keras.Input((SIZE, SIZE, 3)), keras.Input((4,))
    x = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D()(first), second])
    return keras.Model([first, second], keras.layers.Dense(1, activation="sigmoid")(x))


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda_model, "would run code of its own .Lambda lambda"),
        (lambda: small_classifier(rescale=Doubling()), "would run code of its own .Doubling"),
        (unknown_size_model, r"expected an input \[size, size, 3\]"),
        (two_inputs_model, "found 2 and 1"),
    ],
    ids=["Lambda", "custom layer", "unknown size", "two inputs"],
)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_other_models_are_refused_with_the_reason(build, reason, suffix, tmp_path):
    path = save(build(), tmp_path / f"other{suffix}")
    with pytest.raises(ConversionError, match=reason) as error:
        load_classifier(path)
    assert f"other{suffix}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_half_a_model_is_refused_with_the_reason(suffix, tmp_path):
    whole = save(small_classifier(), tmp_path / f"whole{suffix}").read_bytes()
    half = tmp_path / f"half{suffix}"
    half.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConversionError, match="truncated"):
        load_classifier(half)


def test_a_file_that_is_no_model_is_one_clear_line(dataset, tmp_path):
    (tmp_path / "text.keras").write_text("no model")
    for name, code, reason in (
        ("text.keras", 1, "text.keras: is no .keras, .h5 or .tflite file"),
        ("missing.keras", 2, "missing.keras' does not exist"),
    ):
        result = run_convert(
            *(tmp_path / name, "--calibration", dataset / "Training"),
            *("--out", tmp_path / "out.tflite"),
        )
        assert result.exit_code == code
        assert reason in result.stderr
        assert "Traceback" not in result.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["text.keras"]  # nothing left behind


def test_where_nothing_can_be_written_it_says_so_before_the_work(dataset, tmp_path):
    model = save(small_classifier(), tmp_path / "small.keras")
    (tmp_path / "file").write_text("no folder")
    for out in (tmp_path / "file" / "out.tflite", Path("/proc/out.tflite")):
        result = run_convert(model, "--calibration", dataset, "--out", out)
        assert result.exit_code == 2
        assert f"nothing can be written to {out.parent}" in result.stderr


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"units": 1,', '"units": 2000000000,', "a layer of 2000000000 units"),
        (f"[null, {SIZE}, {SIZE}, 3]", "[null, 900000000, 900000000, 3]", "side of 900000000"),
        ('"layers": [', '"layers": 7, "others": [', "is damaged"),
        ('"layers": [', f'"deep": {_nested(100_000)}, "layers": [', "is damaged"),
    ],
    ids=["units", "input", "layers", "depth"],
)
def test_a_description_that_claims_what_the_file_lacks_is_refused(tmp_path, old, new, reason):
    path, hostile = save(small_classifier(), tmp_path / "sound.keras"), tmp_path / "hostile.keras"
    with zipfile.ZipFile(path) as sound, zipfile.ZipFile(hostile, "w") as made:
        for name in sound.namelist():
            content = sound.read(name)
            if name == "config.json":
                assert old in content.decode()
                content = content.decode().replace(old, new).encode()
            made.writestr(name, content)
    assert load_classifier(path)
    with pytest.raises(ConversionError, match=reason) as caught:
        load_classifier(hostile)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


def write_damaged(sound: Path, damaged: Path, member: str, method: int, change=lambda text: text):
    """Copies an archive; the bytes of one member make no sense to what unpacks it."""
    with zipfile.ZipFile(sound) as old, zipfile.ZipFile(damaged, "w", method) as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name == "config.json" else content)
        info = new.getinfo(member)
    start = info.header_offset + 30 + len(member) + 9  # behind its header, and that of LZMA
    content = bytearray(damaged.read_bytes())
    end = start + info.compress_size - 9
    content[start:end] = b"\xff" * (end - start)
    damaged.write_bytes(content)


@pytest.mark.parametrize("method", METHODS, ids=["stored", "deflate", "bzip2", "lzma"])
@pytest.mark.parametrize("member", ["config.json", "metadata.json", "model.weights.h5"])
@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
def test_a_damaged_member_is_one_line(tmp_path, member, method, half):
    def halved(text: bytes) -> bytes:
        assert b'"float32"' in text
        return text.replace(b'"float32"', b'"float16"')

    path, damaged = save(small_classifier(), tmp_path / "sound.keras"), tmp_path / "damaged.keras"
    write_damaged(path, damaged, member, method, halved if half else lambda text: text)
    with pytest.raises(ConversionError, match=r"damaged|cannot be loaded") as caught:
        load_classifier(damaged)
    assert "\n" not in str(caught.value) and "damaged.keras" in str(caught.value)


@pytest.mark.parametrize("method", METHODS, ids=["stored", "deflate", "bzip2", "lzma"])
def test_a_damaged_member_of_an_archive_around_a_model_is_one_line(tmp_path, method):
    model = save(small_classifier(), tmp_path / "keras_model.h5")
    archive, damaged = tmp_path / "model.zip", tmp_path / "damaged.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.write(model, "converted_keras/keras_model.h5")
    write_damaged(archive, damaged, "converted_keras/keras_model.h5", method)
    with pytest.raises(ConversionError, match="cannot be unpacked") as caught:
        load_classifier(damaged)
    assert "\n" not in str(caught.value)
