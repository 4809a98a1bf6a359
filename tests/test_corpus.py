"""Every kind of file gives a result or one clear line, soon, and the same everywhere."""

import io
import json
import sqlite3
import time

import pytest
from conftest import run_module
from corpus import EITHER, ERROR, PART, READ, corpus, photograph, write
from PIL import Image

from edge_app import PictureError
from edge_app.imaging import read_picture
from edge_app.limits import MAX_SECONDS, set_max_pixels, size_problem

KINDS = list(corpus())


def check(kind, error: str | None, incomplete: bool) -> None:
    if error is not None:
        assert kind.expected in (ERROR, EITHER), f"{kind.name}: {error}"
        assert kind.word in error
        assert len(error) < 300 and "\n" not in error and "Traceback" not in error
    else:
        assert kind.expected in ((READ, EITHER) if not incomplete else (PART, EITHER)), kind.name


def test_there_are_many_kinds():
    assert len(KINDS) >= 150
    assert len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=[ascii(kind.name) for kind in KINDS])
def test_the_library_reads_it_or_says_why_not(kind):
    start = time.process_time()
    try:
        picture = read_picture(kind.content)
    except PictureError as error:
        check(kind, str(error), False)
    else:
        check(kind, None, picture.incomplete)
        assert picture.pixels.shape == (224, 224, 3)
    assert time.process_time() - start < MAX_SECONDS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "files"
    return folder, {kind.name: kind for kind in write(folder, KINDS)}


@pytest.mark.slow
def test_classify_answers_for_each(folder):
    folder, kinds = folder
    result = run_module("edge_app", "classify", *sorted(folder.iterdir()), "--format", "jsonl")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 1 and not result.stderr
    assert len(records) == len(kinds)
    for record in records:
        name = record["path"].removeprefix(f"{folder}/")
        check(kinds[name], record["error"], record["incomplete"])


@pytest.mark.slow
def test_scan_has_a_row_for_each(folder, tmp_path):
    folder, kinds = folder
    result = run_module("edge_app", "scan", folder, "--db", tmp_path / "out.db")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    with sqlite3.connect(tmp_path / "out.db") as connection:
        rows = connection.execute("SELECT path, error, incomplete FROM pictures").fetchall()
    names = {path.removeprefix(f"{folder}/"): (error, part) for path, error, part in rows}
    assert names.keys() <= kinds.keys() and len(names) > len(kinds) - 10  # text is no picture
    for name, (error, incomplete) in names.items():
        check(kinds[name], error, bool(incomplete))


def jpeg(width: int, height: int, **options) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "tan").save(file, "JPEG", **options)
    return file.getvalue()


def test_a_phones_largest_photograph_is_read():
    content = jpeg(16320, 12240, quality=30)  # 200 megapixels
    assert read_picture(content).width == 16320


def test_what_is_refused_by_size_says_how_to_read_it():
    problem = size_problem("WEBP", "RGB", (9000, 9000), (9000, 9000), False)
    assert problem.endswith("for more, set --max-pixels 81000000")
    set_max_pixels(81_000_000)
    try:
        assert size_problem("WEBP", "RGB", (9000, 9000), (9000, 9000), False) is None
        assert size_problem("PNG", "L", (9000, 9001), (9000, 9001), False)
    finally:
        set_max_pixels(None)


@pytest.mark.parametrize("size", [(4032, 3024), (8064, 6048)])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "HEIF", "TIFF"])
def test_pictures_as_phones_write_them_are_within_the_limits(form, size):
    assert size_problem(form, "RGB", size, size, False) is None


def test_a_memory_error_is_no_damage(monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "resize", fail)
    with pytest.raises(PictureError, match="needs more memory than this machine has free"):
        read_picture(jpeg(64, 64))


@pytest.mark.parametrize("mode", ["RGBA", "F"])
def test_large_pictures_are_made_smaller_first_and_look_the_same(mode, monkeypatch):
    from edge_app import decoding

    image = photograph(1400, 1200)
    image = image.convert("L").convert(mode) if mode == "F" else image.convert(mode)
    file = io.BytesIO()
    image.save(file, "TIFF")
    in_full = read_picture(file.getvalue()).pixels.astype(int)
    monkeypatch.setattr(decoding, "_REDUCED_FROM", 0)
    reduced = read_picture(file.getvalue()).pixels.astype(int)
    assert abs(in_full - reduced).max() <= 4
