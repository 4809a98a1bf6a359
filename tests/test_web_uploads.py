"""What visitors may upload, and that it is gone again: without a server."""

import io
import os
import tracemalloc
import zipfile

import pytest
from PIL import Image

pytest.importorskip("gradio", reason="needs requirements-web.txt")


def test_an_upload_over_the_limit_is_refused(tmp_path):
    from edge_app.imaging import PictureError
    from edge_app.web.uploads import LimitError, check_picture

    big = tmp_path / "big.jpg"
    with big.open("wb") as file:
        file.truncate(26_000_000)
    with pytest.raises(LimitError, match="error_large"):
        check_picture(str(big))
    with pytest.raises(LimitError, match="error_gone"):
        check_picture(str(tmp_path / "deleted.jpg"))
    with pytest.raises(PictureError, match="is empty"):
        check_picture(b"")


@pytest.mark.parametrize("form", ["AVIF", "BMP", "GIF", "HEIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_every_format_that_is_promised_is_taken(tmp_path, samples, form):
    import pillow_heif

    from edge_app.web.uploads import check_picture

    pillow_heif.register_heif_opener()  # to write it
    path = tmp_path / f"picture.{form.lower()}"
    with Image.open(samples / "coffee.jpg") as image:
        image.save(path, form)
    assert not check_picture(str(path)).is_large
    assert not check_picture(path.read_bytes()).is_large


def test_a_jpeg_of_countless_scans_is_refused_before_it_is_decoded(tmp_path, samples):
    from edge_app.web.uploads import LimitError, check_picture

    path = tmp_path / "scans.jpg"
    Image.open(samples / "coffee.jpg").save(path, progressive=True)
    check_picture(str(path))  # an ordinary progressive one is fine
    content = path.read_bytes()
    last_scan = content[content.rindex(b"\xff\xda") : -2]
    path.write_bytes(content[:-2] + last_scan * 100 + content[-2:])
    with pytest.raises(LimitError, match="error_scans"):
        check_picture(str(path))


def test_only_jpegs_may_be_as_large_as_phones_make_them(tmp_path):
    from edge_app.web.uploads import LimitError, check_picture

    picture = Image.new("L", (8000, 8000))
    picture.save(tmp_path / "large.jpg")
    picture.resize((5000, 5000)).save(tmp_path / "large.png")
    assert not check_picture(str(tmp_path / "large.jpg")).is_large
    with pytest.raises(LimitError, match="error_pixels"):
        check_picture(str(tmp_path / "large.png"))


def peak_of(function):
    """The memory that Python had at most while a function ran, in MB."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def test_a_zip_bomb_costs_no_more_than_one_picture_at_a_time(tmp_path):
    from edge_app.web.uploads import MOST_MEGABYTES, LimitError, check_picture, unpack

    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.jpg", "w") as file,
    ):
        for _ in range(100):
            file.write(bytes(1_000_000))
    assert path.stat().st_size < 200_000
    ((name, content),) = unpack(str(path))
    assert (name, len(content)) == ("a.jpg", MOST_MEGABYTES * 1_000_000 + 1)
    with pytest.raises(LimitError, match="error_large"):
        check_picture(content)
    assert peak_of(lambda: list(unpack(str(path)))) < 4 * MOST_MEGABYTES
    (tmp_path / "cut.zip").write_bytes(path.read_bytes()[:50] + path.read_bytes()[-100:])
    with pytest.raises(LimitError, match="error_zip"):
        list(unpack(str(tmp_path / "cut.zip")))


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_whose_packing_knows_no_bounds_is_refused(tmp_path, packing):
    """Of these, zipfile unpacks a piece of the file into as much as it holds, gigabytes or not."""
    from edge_app.web.uploads import LimitError, unpack

    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("a.jpg", bytes(50_000_000))
    assert path.stat().st_size < 20_000

    def refuse():
        with pytest.raises(LimitError, match="error_zip"):
            list(unpack(str(path)))

    assert peak_of(refuse) < 5


def test_a_zip_of_countless_names_is_refused_before_they_are_read(tmp_path):
    from edge_app.web.uploads import LimitError, unpack

    path = tmp_path / "names.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(5_000):
            archive.writestr(f"{number:0400}.txt", b"")

    def refuse():
        with pytest.raises(LimitError, match="error_zip_names"):
            list(unpack(str(path)))

    assert peak_of(refuse) < 5


def zip_of(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return str(path)


@pytest.mark.parametrize("names", [(), ("notes.txt",), ("folder/",), ("__MACOSX/._a.jpg",)])
def test_a_zip_without_pictures_is_told(tmp_path, names):
    from edge_app.web.uploads import LimitError, unpack

    with pytest.raises(LimitError, match="batch_no_pictures"):
        list(unpack(zip_of(tmp_path / "a.zip", *names)))


def test_no_picture_in_a_zip_vanishes_for_its_path(tmp_path):
    from edge_app.web.uploads import unpack

    name = "../evil<script>.jpg"
    assert list(unpack(zip_of(tmp_path / "a.zip", name))) == [(name, b"x")]


def test_what_is_only_called_zip_is_told(tmp_path):
    from edge_app.web.uploads import LimitError, unpack

    (tmp_path / "fake.ZIP").write_text("notes")
    with pytest.raises(LimitError, match="error_not_zip"):
        list(unpack(str(tmp_path / "fake.ZIP")))


def test_a_zip_in_a_zip_is_not_looked_into(tmp_path, samples):
    from edge_app.imaging import PictureError
    from edge_app.web.uploads import check_picture, unpack

    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.write(samples / "coffee.jpg", "coffee.jpg")
    path = tmp_path / "outer.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
        archive.writestr("disguised.jpg", inner.getvalue())
        archive.writestr("f" * 5000 + "/" + "n" * 50 + ".jpg", b"x")
    (_, content), (long_name, _) = unpack(str(path))
    with pytest.raises(PictureError, match="no picture"):
        check_picture(content)
    assert len(long_name) == 200 and long_name.endswith(".jpg")


def test_old_uploads_are_deleted_with_their_folders(tmp_path):
    from edge_app.web.folder import remove_old_uploads

    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").touch()
    (tmp_path / "abandoned").touch()
    for name in ("old/a.jpg", "old", "abandoned"):
        os.utime(tmp_path / name, (0, 0))
    remove_old_uploads(tmp_path, 60)
    os.utime(tmp_path / "old", (0, 0))
    remove_old_uploads(tmp_path, 60)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new"]
    assert (tmp_path / "new" / "a.jpg").exists()
    remove_old_uploads(tmp_path / "gone", 60)


def test_what_a_killed_process_has_left_is_removed_at_the_next_start(tmp_path):
    from edge_app.temporary import _lock, remove_dead_folders

    for name in ("dead", "alive", "young"):
        (tmp_path / f"smoking-web-{name}").mkdir()
    for name in ("dead", "alive"):
        (tmp_path / f"smoking-web-{name}" / ".lock").touch()
        (tmp_path / f"smoking-web-{name}" / "a.jpg").touch()
    held = _lock(tmp_path / "smoking-web-alive" / ".lock")
    remove_dead_folders(tmp_path, "smoking-web-")
    left = sorted(path.name for path in tmp_path.iterdir())
    held.close()
    assert left == ["smoking-web-alive", "smoking-web-young"]
