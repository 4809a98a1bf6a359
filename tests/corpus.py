"""Pictures and files of every kind that a disk holds, made here: what is in them, and what to say.

    python -m tests.corpus FOLDER

writes them into a folder, to look at or to scan.
"""

from __future__ import annotations

import io
import random
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

READ, PART, ERROR, EITHER = "read", "part", "error", "either"
"""What must come of a file: a result, an incomplete one, an error in one line, or any of these."""


class Kind(NamedTuple):
    """A file: its name, its bytes, what must come of it, and a word that the error must hold."""

    name: str
    content: bytes
    expected: str
    word: str = ""


def photograph(width: int = 320, height: int = 240) -> Image.Image:
    """A picture with texture everywhere, the same each time."""
    random_state = np.random.default_rng(1)
    coarse = random_state.integers(0, 255, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    noise = random_state.integers(0, 12, (height, width, 3), np.uint8)
    return Image.fromarray(np.asarray(image) // 2 + noise + 40)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def corpus() -> Iterator[Kind]:
    """All kinds; each small enough that a whole run takes seconds."""
    yield from _sound()
    yield from _truncated()
    yield from _flipped()
    yield from _oriented()
    yield from _costly()
    yield from _unsupported()
    yield from _no_pictures()
    yield from _odd_names()


def _sound() -> Iterator[Kind]:
    image = photograph()
    grey = image.convert("L")
    wide = np.asarray(grey).astype(np.uint16) * 257
    for form, ending in (
        *(("JPEG", "jpg"), ("PNG", "png"), ("GIF", "gif"), ("BMP", "bmp"), ("TIFF", "tif")),
        ("WEBP", "webp"),
    ):
        yield Kind(f"plain.{ending}", encoded(image, form), READ)
        yield Kind(f"grey.{ending}", encoded(grey, form), READ)
    yield Kind("cmyk.jpg", encoded(image.convert("CMYK"), "JPEG"), READ)
    yield Kind("cmyk.tif", encoded(image.convert("CMYK"), "TIFF"), READ)
    yield Kind("lab.tif", encoded(_lab(image), "TIFF"), READ)
    yield Kind("progressive.jpg", encoded(image, "JPEG", progressive=True), READ)
    yield Kind("16-bit.png", encoded(Image.fromarray(wide), "PNG"), READ)
    yield Kind("16-bit.tif", encoded(Image.fromarray(wide), "TIFF"), READ)
    yield Kind("float.tif", encoded(Image.fromarray(np.float32(wide) / 65535), "TIFF"), READ)
    yield Kind("nan.tif", encoded(Image.fromarray(np.full((9, 9), np.nan, "f4")), "TIFF"), READ)
    yield Kind("palette.png", encoded(image.convert("P"), "PNG"), READ)
    yield Kind("bilevel.png", encoded(image.convert("1"), "PNG"), READ)
    yield Kind("fax.tif", encoded(image.convert("1"), "TIFF", compression="group4"), READ)
    yield Kind("lzw.tif", encoded(image, "TIFF", compression="tiff_lzw"), READ)
    clear = image.convert("RGBA")
    clear.putalpha(grey)
    for form in ("PNG", "WEBP", "TIFF"):
        yield Kind(f"transparent.{form.lower()}", encoded(clear, form), READ)
    yield Kind("transparent.gif", encoded(image.convert("P"), "GIF", transparency=3), READ)
    frames = [image.rotate(30 * turn) for turn in range(1, 4)]
    for form in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {"save_all": True, "append_images": frames}
        yield Kind(f"animated.{form.lower()}", encoded(image, form, **options), READ)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    yield Kind("icc.jpg", encoded(image, "JPEG", icc_profile=profile), READ)
    yield Kind("broken-icc.jpg", encoded(image, "JPEG", icc_profile=b"\xff" * 999), READ)
    yield Kind("interlaced.png", _interlaced(), READ)
    yield Kind("narrow.png", encoded(image.resize((1, 20_000)), "PNG"), READ)
    yield Kind("flat.jpg", encoded(image.resize((20_000, 1)), "JPEG"), READ)
    yield Kind("one-pixel.png", encoded(image.resize((1, 1)), "PNG"), READ)
    yield Kind("trailing.jpg", encoded(image, "JPEG") + b"\0" * 5000, READ)
    yield Kind("mpo.jpg", encoded(image, "MPO", save_all=True, append_images=frames), READ)


def _lab(image: Image.Image) -> Image.Image:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.applyTransform(image, ImageCms.buildTransform(srgb, lab, "RGB", "LAB"))


def _interlaced() -> bytes:
    """Adam7 of one row of one pixel, which Pillow reads and does not write."""
    return _png(_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1)), b"\0\x80\x80\x80")


def _png(header: bytes, rows: bytes) -> bytes:
    body = _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + body


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def _truncated() -> Iterator[Kind]:
    image = photograph()
    for form, options in (
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("GIF", {}),
        ("BMP", {}),
        ("WEBP", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ):
        content = encoded(image, form, **options)
        progressive = "progressive-" if options.get("progressive") else ""
        for tenth in range(1, 10):
            part = content[: len(content) * tenth // 10]
            expected = EITHER
            if form in ("PNG", "GIF", "BMP") or (form == "JPEG" and not progressive):
                expected = PART if tenth >= 7 else ERROR if tenth <= 3 else EITHER
            yield Kind(f"{progressive}cut-{tenth}.{form.lower()}", part, expected)
        if form in ("JPEG", "PNG"):
            expected = PART if form == "JPEG" else EITHER
            yield Kind(f"{progressive}33-less.{form.lower()}", content[:-33], expected)


def _flipped() -> Iterator[Kind]:
    image, chance = photograph(), random.Random(2)
    for form in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"):
        content = encoded(image, form)
        for number in range(3):
            damaged = bytearray(content)
            for _ in range(20):
                damaged[chance.randrange(20, len(damaged))] ^= 1 << chance.randrange(8)
            yield Kind(f"flipped-{number}.{form.lower()}", bytes(damaged), EITHER)
    for ending, brand in (("heic", b"heic"), ("avif", b"avif")):
        broken = struct.pack(">I", 24) + b"ftyp" + brand + b"\0\0\0\0mif1" + brand + b"\0" * 400
        yield Kind(f"broken.{ending}", broken, ERROR)


def _oriented() -> Iterator[Kind]:
    image = photograph()
    for orientation in (*range(1, 9), 0, 9, 65535):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield Kind(f"exif-{orientation}.jpg", encoded(image, "JPEG", exif=exif), READ)
    broken = PngImagePlugin.PngInfo()
    broken.add_text("Raw profile type exif", "\nexif\n 20\nno hexadecimal number\n")
    yield Kind("exif-broken.png", encoded(image, "PNG", pnginfo=broken), READ)
    for name, exif in (("cut", b"Exif\0\0MM\0*\0\0"), ("noise", b"Exif\0\0" + b"\xff" * 300)):
        yield Kind(f"exif-{name}.jpg", encoded(image, "JPEG", exif=exif), READ)


def _costly() -> Iterator[Kind]:
    def header(width: int, height: int, depth: int = 8, colors: int = 2) -> bytes:
        return _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colors, 0, 0, 0))

    yield Kind("thin-bomb.png", _png(header(1, 178_000_000), b"\0" * 1000), ERROR, "too large")
    yield Kind("no-size.png", _png(header(2**31 - 1, 2**31 - 1), b"\0" * 9), ERROR, "damaged")
    yield Kind("bomb.png", _png(header(60_000, 60_000), b"\0" * 1000), ERROR, "too large")
    large = encoded(Image.new("RGB", (2, 2)), "TIFF").replace(
        struct.pack("<HHII", 256, 4, 1, 2), struct.pack("<HHII", 256, 4, 1, 50_000)
    )
    large = large.replace(
        struct.pack("<HHII", 257, 4, 1, 2), struct.pack("<HHII", 257, 4, 1, 50_000)
    )
    yield Kind("bomb.tif", large, ERROR)
    tall = bytearray(encoded(Image.new("RGBA", (8, 8)), "BMP"))
    tall[22:26] = struct.pack("<I", 4_194_312)
    yield Kind("tall-and-cut.bmp", bytes(tall), ERROR, "less than half")
    webp = bytearray(encoded(Image.new("RGB", (16, 16)), "WEBP", lossless=True))
    webp[21:25] = struct.pack("<I", (9000 - 1) | (9000 - 1) << 14)
    yield Kind("bomb.webp", bytes(webp), ERROR, "too large")
    yield Kind("comments.gif", comments(1_000_000), READ)
    yield Kind("many-chunks.png", many_chunks(300_000), ERROR, "more parts")
    yield Kind("scans.jpg", scans(20_000), ERROR, "too long")
    plain = encoded(photograph(64, 64), "JPEG")
    comment = b"\xff\xfe\0\x02" * 400_000
    yield Kind("markers.jpg", plain[:2] + comment + plain[2:], ERROR, "more parts")
    yield Kind("text-bomb.png", _text_bomb(), EITHER)


def comments(size: int) -> bytes:
    """A GIF with ``size`` bytes of comments before its picture."""
    content = encoded(photograph(64, 64), "GIF")
    colors = 13 + (3 << (content[10] & 7) + 1)
    blocks = (b"\xff" + b"x" * 255) * (size // 256)
    return content[:colors] + b"!\xfe" + blocks + b"\0" + content[colors:]


def many_chunks(count: int) -> bytes:
    """A PNG with so many empty chunks before its picture."""
    content = encoded(photograph(64, 64), "PNG")
    return content[:33] + _chunk(b"teSt", b"") * count + content[33:]


def scans(count: int, side: int = 1000) -> bytes:
    """A progressive JPEG in which the last scan comes so many times."""
    content = encoded(Image.new("RGB", (side, side)), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * count + content[-2:]


def _text_bomb() -> bytes:
    content = encoded(photograph(64, 64), "PNG")
    text = _chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 8_000_000, 9))
    return content[:33] + text + content[33:]


def _unsupported() -> Iterator[Kind]:
    fields = bytearray(encoded(photograph(8, 8).convert("RGBA"), "BMP"))
    fields[14:18], fields[30:34] = struct.pack("<I", 40), struct.pack("<I", 3)  # bit fields
    fields[54:66] = struct.pack("<III", 0x3FF00000, 0xFFC00, 0x3FF)
    yield Kind("fields.bmp", bytes(fields), ERROR, "not supported")
    yield Kind("big-endian.tif", b"MM\0+\0\x08\0\0" + b"\0" * 200, ERROR, "not supported")
    jpeg = encoded(photograph(64, 64), "JPEG")
    twelve = jpeg.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c")
    yield Kind("12-bit.jpg", twelve, ERROR, "not supported")
    tiff = encoded(photograph(64, 64), "TIFF")
    other = tiff.replace(struct.pack("<HHIH", 259, 3, 1, 1), struct.pack("<HHIH", 259, 3, 1, 34712))
    yield Kind("jpeg2000.tif", other, ERROR, "not supported")
    brightness = encoded(photograph(64, 64).convert("YCbCr"), "TIFF")
    yield Kind("ycbcr.tif", brightness, ERROR, "not supported")
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 6, 0, 0, 0))
    apple = _chunk(b"CgBI", b"P\0 \x02") + header
    yield Kind("iphone.png", b"\x89PNG\r\n\x1a\n" + apple, ERROR, "not supported")
    raw = io.BytesIO()
    photograph(64, 64).save(raw, "TIFF", tiffinfo={0xC612: b"\1\4\0\0"})
    yield Kind("camera.dng", raw.getvalue(), ERROR, "camera raw")
    canon = struct.pack(">I", 24) + b"ftypcrx \0\0\0\1crx isom" + b"\0" * 100
    yield Kind("camera.cr3", canon, ERROR, "camera raw")
    yield Kind("camera.raf", b"FUJIFILMCCD-RAW 0201" + b"\0" * 100, ERROR, "camera raw")


def _no_pictures() -> Iterator[Kind]:
    yield Kind("empty.jpg", b"", ERROR, "empty")
    yield Kind("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', ERROR, "no picture")
    yield Kind("paper.pdf", b"%PDF-1.7\n" + b"\0" * 500, ERROR, "a PDF file")
    yield Kind("page.jpg", b"\n<!DOCTYPE html><title>404</title>", ERROR, "a web page")
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    yield Kind("pointer.jpg", pointer, ERROR, "git lfs pull")
    yield Kind("archive.jpg", b"PK\3\4" + b"\0" * 99, ERROR, "a ZIP archive")
    yield Kind("xl.jpg", b"\xff\x0a" + b"\0" * 99, ERROR, "JPEG XL")
    yield Kind("text.jpg", b"this is no picture", ERROR, "no picture")
    yield Kind("zeros.png", bytes(100_000), ERROR, "no picture")
    film = struct.pack(">I", 20) + b"ftypisom\0\0\0\0mp41" + b"\0" * 100
    yield Kind("film.jpg", film, ERROR, "a video")
    yield Kind("magic.jpg", b"\xff\xd8\xff", ERROR)
    yield Kind("magic.png", b"\x89PNG\r\n\x1a\n", ERROR)
    yield Kind("magic.gif", b"GIF89a", ERROR)
    yield Kind("magic.tif", b"II*\0", ERROR)
    yield Kind("magic.webp", b"RIFF\x04\0\0\0WEBP", ERROR)


def _odd_names() -> Iterator[Kind]:
    content = encoded(photograph(64, 64), "JPEG")
    for name in (
        *("no ending", "wrong.png", "UPPER.JPG", "日本語.jpg", "- dash.jpg", "two  spaces.jpg"),
        *("quote'\".jpg", "semi;colon&amp.jpg", "percent%20.jpg", "line\nbreak.jpg", "é.jpg"),
        *("\u202egpj.txt", "#hash?.jpg", "$HOME.jpg", "x" * 200 + ".jpg", "emoji😀.jpg"),
    ):
        yield Kind(name, content, READ)


def write(folder: Path, kinds: Iterable[Kind]) -> list[Kind]:
    """Writes them into a folder; leaves out names that the file system does not take."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in kinds:
        try:
            (folder / kind.name).write_bytes(kind.content)
        except OSError:
            continue
        written.append(kind)
    return written


if __name__ == "__main__":
    ImageFile.MAXBLOCK = 1 << 24
    print(f"{len(write(Path(sys.argv[1]), corpus()))} files")
