"""Files whose end never arrived: full size, and zeros after their first part."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from corpus import encoded, photograph
from PIL import Image

from edge_app import PictureError
from edge_app.imaging import open_picture, read_picture
from edge_app.tail import empty_share

WHOLE_FILE_FORMATS = ("WEBP", "AVIF", "HEIF", "TIFF")


def picture(form: str, image: Image.Image) -> bytes:
    if form == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    if form == "AVIF":
        return encoded(image, form, speed=10)
    return deflated_tiff(image) if form == "TIFF" else encoded(image, form)


def deflated_tiff(image: Image.Image, compression: int = 8) -> bytes:
    """A TIFF with its directory in front, as scanners write it; Pillow puts it last."""
    grey = image.convert("L")
    strip = zlib.compress(grey.tobytes()) if compression == 8 else grey.tobytes()
    fields = {256: grey.width, 257: grey.height, 258: 8, 259: compression, 262: 1, 277: 1}
    fields |= {273: 8 + 2 + 12 * 9 + 4, 278: grey.height, 279: len(strip)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, fields[tag]) for tag in sorted(fields))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(fields)) + entries + bytes(4) + strip


def arrived(content: bytes, share: float) -> bytes:
    """A file of which so much arrived; the rest is zeros."""
    kept = int(len(content) * share)
    return content[:kept] + bytes(len(content) - kept)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45, 0.6, 0.8])
@pytest.mark.parametrize("form", WHOLE_FILE_FORMATS)
def test_a_picture_that_arrived_in_part_is_no_answer(form, share):
    with pytest.raises(PictureError, match="is damaged or cut short"):
        read_picture(arrived(picture(form, photograph()), share))


@pytest.mark.parametrize("form", WHOLE_FILE_FORMATS)
def test_the_error_says_how_much_is_empty(form):
    with pytest.raises(PictureError, match=r"\(40 % of it is empty\)"):
        read_picture(arrived(picture(form, photograph()), 0.6))


@pytest.mark.parametrize("form", WHOLE_FILE_FORMATS)
def test_zeros_behind_a_whole_picture_are_padding(form):
    content = picture(form, photograph())
    assert not read_picture(content + bytes(2 * len(content))).incomplete


def test_zeros_in_a_box_that_is_kept_free_are_padding():
    content = picture("HEIF", photograph())
    free = struct.pack(">I", 100_008) + b"free" + bytes(100_000)
    assert not read_picture(content + free).incomplete


@pytest.mark.parametrize("form", WHOLE_FILE_FORMATS)
@pytest.mark.parametrize("color", ["black", "white", "red"])
def test_a_picture_of_one_color_is_whole(form, color):
    content = picture(form, Image.new("RGB", (800, 600), color))
    open_picture(io.BytesIO(content))


def test_black_at_the_end_of_an_uncompressed_tiff_is_picture():
    image = photograph().convert("L")
    image.paste(0, (0, 40, *image.size))
    assert not read_picture(deflated_tiff(image, compression=1)).incomplete


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.4, 0.45, 0.6, 0.8, 0.95])
def test_a_jpeg_filled_up_with_zeros_is_as_one_that_is_cut_off(share, progressive):
    content = encoded(photograph(512, 512), "JPEG", progressive=progressive)
    filled = arrived(content, share)
    try:
        cut = read_picture(filled.rstrip(b"\0"))
    except PictureError as error:
        with pytest.raises(PictureError, match="cut short") as raised:
            read_picture(filled)
        assert str(raised.value) == str(error)
    else:
        assert cut.incomplete and read_picture(filled).incomplete
        np.testing.assert_array_equal(read_picture(filled).pixels, cut.pixels)


def test_less_than_half_of_a_jpeg_is_an_error_and_most_of_it_is_marked():
    content = encoded(photograph(512, 512), "JPEG")
    with pytest.raises(PictureError, match="less than half"):
        read_picture(arrived(content, 0.4))
    assert read_picture(arrived(content, 0.7)).incomplete


@pytest.mark.parametrize("form", ["WEBP", "TIFF"])
def test_of_a_sound_file_only_the_end_is_read(form):
    content = picture(form, photograph(3000, 2000))
    read = 0

    class Counting(io.BytesIO):
        def read(self, size=-1):
            nonlocal read
            got = super().read(size)
            read += len(got)
            return got

    with open_picture(io.BytesIO(content)) as image:
        assert empty_share(Counting(content), form, image) == 0
    assert 0 < read <= 1 << 16 < len(content) / 2


def test_a_large_file_that_is_mostly_empty_is_refused_soon(tmp_path):
    path = tmp_path / "large.tif"
    content = bytearray(deflated_tiff(photograph()))
    strip = 8 + 2 + 12 * 8 + 8  # the length in the last entry
    content[strip : strip + 4] = struct.pack("<I", 300_000_000)
    path.write_bytes(content)
    os.truncate(path, 300_000_000)
    with pytest.raises(PictureError, match="100 % of it is empty"):
        read_picture(path)
