import contextlib
import io
import os
import shutil
import struct
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image

from benchmarks import reduced_decode
from edge_app.formats import HEAD_BYTES, sniff
from edge_app.imaging import PictureError, find_pictures, from_frame, read_pixels, read_thumbnail

pillow_heif.register_heif_opener()  # to write it


def encode(image: Image.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.fixture
def photograph(samples):
    return Image.open(samples / "astronaut.jpg").convert("RGB")


def test_a_picture_becomes_rgb_bytes_of_the_asked_size(photograph):
    pixels = read_pixels(encode(photograph, "PNG"), size=160)
    assert pixels.shape == (160, 160, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(photograph, orientation):
    wide = photograph.resize((400, 200))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = wide.transpose(undo[orientation]) if orientation in undo else wide
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = read_pixels(encode(stored, "PNG", exif=exif))
    assert np.abs(turned.astype(int) - read_pixels(wide).astype(int)).max() <= 2


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "I", "F"])
def test_every_mode_of_pillow_is_read(photograph, mode):
    if mode == "I;16":
        image = Image.fromarray(np.asarray(photograph.convert("L")).astype(np.uint16) * 257)
    else:
        image = photograph.convert(mode)
    form = "TIFF" if mode in ("CMYK", "I;16", "I", "F") else "PNG"
    pixels = read_pixels(encode(image, form)).astype(int)
    grey = np.asarray(photograph.convert("L").resize((224, 224))).astype(int)
    assert np.abs(pixels.mean(axis=2) - grey).mean() < 12


def test_grey_values_of_12_bits_are_as_bright_as_those_of_8():
    """Microscopes and scanners write them, two in three bytes."""
    pixels = b"\xff\xff\xff" * 8 * 16  # 16 x 16 of 4095
    tags = [(256, 16), (257, 16), (258, 12), (259, 1), (262, 1), (273, 134), (277, 1), (278, 16)]
    tags += [(279, len(pixels)), (339, 1)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    content = struct.pack("<4sIH", b"II*\0", 8, len(tags)) + entries + struct.pack("<I", 0)
    assert len(content) == 134
    assert (read_pixels(content + pixels) == 255).all()


def test_what_is_transparent_is_white():
    image = Image.new("RGBA", (50, 50), (255, 0, 0, 0))
    assert (read_pixels(encode(image, "PNG")) == 255).all()


def test_shrinking_is_antialiased():
    stripes = np.zeros((896, 896, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels = read_pixels(stripes)
    assert pixels.min() > 100
    assert pixels.max() < 155


@pytest.mark.parametrize("size", [(4000, 3000), (1600, 1200)])
def test_decoding_at_a_reduced_scale_stays_within_a_grey_level(photograph, size):
    large = photograph.resize(size, Image.Resampling.BICUBIC)
    jpeg = encode(large, "JPEG", quality=92)
    full = read_pixels(np.asarray(Image.open(io.BytesIO(jpeg))))
    assert np.abs(read_pixels(jpeg).astype(int) - full.astype(int)).mean() < 1


@pytest.fixture(scope="module")
def undecided(real_data, classifier):
    """Pictures with scores between the classes: no others move at all."""
    paths = sorted(real_data.glob("smoker/**/*.jpg"))[::6]
    scores = {path: classifier.classify_pixels(read_pixels(path)).smoking for path in paths}
    return sorted(paths, key=lambda path: abs(scores[path] - 0.5))


# At 1120 and 4480 the decoder scales as far as it ever does, to 2.5 times the model's size.
@pytest.mark.parametrize(
    ("side", "count"), [(1120, 40), pytest.param(4480, 16, marks=pytest.mark.slow)]
)
def test_decoding_at_a_reduced_scale_moves_answers_no_more_than_noise(
    undecided, classifier, side, count
):
    """Integers round, so the int8 model's own noise is the measure: what becomes of its answers
    when a tenth of the pixels moves by one grey level."""
    paths = undecided[:count]
    assert len(paths) == count
    reduced, noise = reduced_decode.measure(
        partial(reduced_decode.int8_scores, classifier),
        reduced_decode.read_three_ways(paths, side),
        classifier.info.decision.threshold,
    )
    assert reduced.mean <= 1.5 * noise.mean


def test_a_camera_frame_and_a_file_give_the_same(photograph):
    rgb = np.asarray(photograph)
    assert (from_frame(rgb[..., ::-1]) == read_pixels(rgb)).all()


def test_errors_say_what_is_wrong(tmp_path, photograph):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("this is no picture")
    (tmp_path / "cut.jpg").write_bytes(encode(photograph, "JPEG")[:5000])
    for name, reason in (
        ("missing.jpg", "no such file"),
        ("empty.jpg", "empty"),
        ("text.jpg", "no picture in a known format"),
        ("cut.jpg", "damaged or cut short"),
        (".", "folder"),
    ):
        with pytest.raises(PictureError, match=reason):
            read_pixels(tmp_path / name)
    with pytest.raises(PictureError, match="empty"):
        read_pixels(b"")
    with pytest.raises(PictureError, match="uint8"):
        read_pixels(np.zeros((10, 10), np.float32))


def test_a_decompression_bomb_is_refused():
    bomb = encode(Image.new("1", (20_000, 20_000)), "PNG")
    with pytest.raises(PictureError, match="too large"):
        read_pixels(bomb)


def test_what_is_no_ordinary_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(PictureError, match="no ordinary file"):
        read_pixels(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    with pytest.raises(PictureError, match="symbolic links"):
        read_pixels(tmp_path / "loop.jpg")
    with pytest.raises(PictureError, match="name too long"):
        read_pixels(tmp_path / ("x" * 300 + ".jpg"))


FORMATS = ["AVIF", "JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "HEIF"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_is_told_by_content_and_not_by_name(photograph, tmp_path, form):
    content = encode(photograph, form)
    assert sniff(content[:HEAD_BYTES]) == form
    for name in ("without_ending", "wrong.txt", "wrong.jpg"):
        (tmp_path / name).write_bytes(content)
        difference = read_pixels(tmp_path / name).astype(int) - read_pixels(photograph)
        assert np.abs(difference).mean() < 12
    assert len(list(find_pictures(tmp_path))) == 3


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_orientation_is_undone_in_every_format_that_has_it(photograph, form):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = photograph.transpose(Image.Transpose.ROTATE_90)
    difference = read_pixels(encode(stored, form, exif=exif)).astype(int) - read_pixels(photograph)
    assert np.abs(difference).mean() < 12


def test_of_an_animation_the_first_frame_is_read(photograph):
    others = [Image.new("RGB", photograph.size, color) for color in ("red", "blue")]
    animation = encode(photograph, "GIF", save_all=True, append_images=others)
    assert np.abs(read_pixels(animation).astype(int) - read_pixels(photograph)).mean() < 12


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"BMW is a maker of cars and motorcycles",
        b"\0\0\0\x18ftypisom\0\0\2\0isommp41" + b"heic" * 9,  # a video
        b"RIFF\0\0\0\0WAVEfmt ",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",  # Pillow would start another program
        b"MZ",
    ],
)
def test_other_files_are_no_pictures(head, tmp_path):
    assert sniff(head) is None
    (tmp_path / "file").write_bytes(head)
    assert not list(find_pictures(tmp_path))
    with pytest.raises(PictureError, match=r"no picture in a known format|is empty"):
        read_pixels(tmp_path / "file")


@pytest.mark.parametrize("form", FORMATS)
def test_damage_of_any_kind_is_a_picture_error(photograph, form):
    content = encode(photograph.resize((128, 128)), form)
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 8):
            damaged[place] = rng.integers(256)
        with contextlib.suppress(PictureError):
            assert read_pixels(bytes(damaged)).shape == (224, 224, 3)


def test_a_picture_that_is_handed_in_is_left_as_it_was(photograph):
    image = Image.open(io.BytesIO(encode(photograph.resize((2000, 1500)), "JPEG")))
    read_pixels(image)
    assert image.size == (2000, 1500)


@pytest.mark.parametrize("largest", [1.0, 255.0, 65535.0])
def test_float_pictures_are_read_in_the_range_they_fill(largest):
    ramp = np.tile(np.linspace(0, largest, 224, dtype=np.float32), (224, 1))
    pixels = read_pixels(Image.fromarray(ramp))
    assert pixels[0, -1, 0] == 255
    assert 125 <= pixels[0, 112, 0] <= 130


def test_thumbnails_are_upright_rgb_on_white(samples):
    image = Image.open(samples / "astronaut.jpg")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # stored sideways, as phones do
    turned = encode(image.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=90)
    thumbnail = read_thumbnail(turned, 100)
    upright = image.resize((100, 100))
    assert thumbnail.size == (100, 100)
    assert np.abs(np.asarray(thumbnail).astype(int) - np.asarray(upright)).mean() < 6
    clear = read_thumbnail(encode(Image.new("RGBA", (50, 20), (255, 0, 0, 0)), "PNG"), 100)
    assert clear.getpixel((0, 0)) == (255, 255, 255)


def test_folders_are_walked_in_order_without_what_is_hidden(pictures):
    (pictures / ".hidden.jpg").touch()
    names = [path.name for path in find_pictures(pictures)]
    assert names == ["a.png", "damaged.jpg", "empty.jpg", "b.jpg"]
    assert list(find_pictures(pictures / "notes.txt")) == [pictures / "notes.txt"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs file permissions as on Unix")
def test_what_may_not_be_opened_is_named_and_does_not_stop_the_walk(samples):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "b_closed").mkdir(mode=0)
        for picture in ("a.jpg", "c.jpg"):
            shutil.copy(samples / "coffee.jpg", folder / picture)
        (folder / "a.jpg").chmod(0)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:  # root may open everything, so become nobody
            with contextlib.suppress(PermissionError):
                os.setuid(65534)
            results = []
            for path in find_pictures(folder):
                try:
                    results.append(f"{path.name}: {read_pixels(path).shape}")
                except PictureError as error:
                    results.append(f"{path.name}: {error}")
            os.write(writer, "\n".join(results).encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reader, 10_000).decode().splitlines() == [
            "a.jpg: no permission to read it",
            "b_closed: no permission to read it",
            "c.jpg: (224, 224, 3)",
        ]
        os.close(reader)
        os.close(writer)
