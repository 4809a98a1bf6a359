"""What a scan passes over on a real disk, and what it does not remove from its results."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from conftest import run_module

from edge_app.folders import SYSTEM_FOLDERS, skip_reason
from edge_app.imaging import find_pictures
from edge_app.scan import Selection, Store, StoreError, read_rows, run_scan
from edge_app.scan.errors import PruneError
from edge_app.scan.rows import FileState
from edge_app.scan.walk import LINK, count_names, walk, walk_again

unix = pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")

OWN = ("a.jpg", "Mine.photoslibrary/originals/0/b.jpg", "Old.photolibrary/Masters/c.jpg")
OTHERS = (
    *(f"{name}/x.jpg" for name in ("@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found")),
    "2024/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
    "System Volume Information/x.jpg",
    "Mine.photoslibrary/resources/derivatives/b.jpg",
    "Old.photolibrary/Thumbnails/c.jpg",
    "Catalog Previews.lrdata/0/d.jpg",
)


@pytest.fixture
def disk(tmp_path, samples):
    """A folder as it is on a disk that several systems used."""
    tree = tmp_path / "disk"
    for name in (*OWN, *OTHERS):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes((samples / "coffee.jpg").read_bytes())
    return tree


def found(tree: Path, **options) -> set[str]:
    entries = walk([str(tree)], Selection(**options))
    return {Path(e.path).relative_to(tree).as_posix() for e in entries if e.state}


def test_folders_of_systems_and_programs_are_skipped(disk):
    assert found(disk) == set(OWN)
    assert {p.relative_to(disk).as_posix() for p in find_pictures(disk)} == set(OWN)


def test_all_folders_are_scanned_when_asked_for(disk):
    assert found(disk, all_folders=True) == {*OWN, *OTHERS}


def test_a_folder_that_is_named_itself_is_scanned(disk):
    assert found(disk / "@eaDir") == {"x.jpg"}
    assert found(disk / "Mine.photoslibrary") == {"originals/0/b.jpg"}


def test_the_summary_counts_what_was_skipped(disk, tmp_path, classifier):
    summary = run_scan(disk, tmp_path / "out.db", classifier.info)
    assert summary.scanned == len(OWN)
    assert summary.skipped.total() == len(OTHERS)
    assert "9 folders of systems and programs skipped (2 @eaDir" in summary.text()
    assert "--all-folders scans them" in summary.text()


def test_the_command_scans_all_folders(disk, tmp_path):
    result = run_module("edge_app", "scan", disk, "--all-folders", "--db", tmp_path / "out.db")
    assert f"{len(OWN) + len(OTHERS)} pictures scanned" in result.stdout, result.stderr


def test_names_count_in_any_case():
    assert all(skip_reason(name.upper(), "") for name in SYSTEM_FOLDERS)
    assert not skip_reason("eaDir", "") and not skip_reason("originals", "originals")


def test_a_watch_skips_the_same(disk):
    for name in ("@eaDir/x.jpg", "2024/@eaDir"):
        assert not list(walk_again(str(disk), str(disk / name), Selection()))
    assert len(list(walk_again(str(disk), str(disk / "a.jpg"), Selection()))) == 1


@unix
def test_a_picture_and_links_to_it_are_counted_once(tmp_path, samples):
    tree, outside = tmp_path / "tree", tmp_path / "outside.jpg"
    (tree / "inner").mkdir(parents=True)
    for path in (tree / "inner" / "a.jpg", outside):
        path.write_bytes((samples / "coffee.jpg").read_bytes())
    (tree / ".hidden.jpg").write_bytes(outside.read_bytes())
    (tree / "of-tree.jpg").symlink_to("inner/a.jpg")
    (tree / "inner" / "of-hidden.jpg").symlink_to("../.hidden.jpg")
    for name in ("outside-1.jpg", "outside-2.jpg"):
        (tree / name).symlink_to(outside)
    (tree / "broken.jpg").symlink_to("nowhere")
    (tree / "lib.so.1").write_bytes(b"no picture")
    (tree / "lib.so").symlink_to("lib.so.1")
    entries = list(walk([str(tree)], Selection()))
    names = sorted(Path(e.path).name for e in entries if e.state)
    assert [n for n in names if not n.startswith("outside")] == [
        "a.jpg",
        "broken.jpg",
        "of-hidden.jpg",
    ]
    assert len(names) == 4
    assert [e.skipped for e in entries if e.skipped] == [LINK, LINK]
    assert list(count_names([str(tree)], Selection()))[-1] == 6


def test_camera_raw_files_are_left_out_and_counted(tmp_path, samples, classifier):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a.jpg").write_bytes((samples / "coffee.jpg").read_bytes())
    (tree / "a.NEF").write_bytes(b"II*\0" + bytes(100))
    (tree / "b.raf").write_bytes(b"FUJIFILMCCD-RAW " + bytes(100))
    summary = run_scan(tree, tmp_path / "out.db", classifier.info)
    assert summary.scanned == 1
    assert "2 camera raw files left out; export them as JPEG" in summary.text()
    assert [path.name for path in find_pictures(tree)] == ["a.jpg"]


def test_a_jpeg_with_the_name_of_a_camera_raw_file_is_a_picture(tmp_path, samples):
    for name in ("photo.arw", "photo.DNG"):
        (tmp_path / name).write_bytes((samples / "coffee.jpg").read_bytes())
    entries = list(walk([str(tmp_path)], Selection()))
    assert all(entry.state and not entry.skipped for entry in entries) and len(entries) == 2
    assert len(list(find_pictures(tmp_path))) == 2


def put(store: Store, info, *paths: str) -> None:
    for path in paths:
        store.put(path, FileState(1, 1), info, ValueError("made for a test"))
    store.commit()


def test_pruning_leaves_folders_of_similar_names_alone(tmp_path, classifier):
    with Store(tmp_path / "out.db") as store:
        others = [f"/nowhere/{name}" for name in ("pics0", "pics0/a.jpg", "pics-2/a.jpg", "pic")]
        put(store, classifier.info, "/nowhere/pics/a.jpg", *others)
        assert store.prune(["/nowhere/pics"], force=True) == 1
    assert sorted(map(str, (row.path for row in read_rows(tmp_path / "out.db")))) == sorted(others)


@pytest.mark.parametrize(("gone", "there", "refused"), [(3, 0, True), (3, 2, True), (2, 2, False)])
def test_pruning_is_refused_where_a_disk_may_not_be_mounted(
    tmp_path, classifier, gone, there, refused
):
    mount = tmp_path / "mount"
    mount.mkdir()
    present = [mount / f"{number}.jpg" for number in range(there)]
    for path in present:
        path.touch()
    with Store(tmp_path / "out.db") as store:
        put(store, classifier.info, *(str(mount / f"gone{n}.jpg") for n in range(gone)))
        put(store, classifier.info, *map(str, present))
        if refused:
            with pytest.raises(PruneError, match="not mounted"):
                store.prune([str(mount)])
            assert store.prune([str(mount)], force=True) == gone
        else:
            assert store.prune([str(mount)]) == gone


def test_a_scan_that_prunes_nothing_says_why(tmp_path, samples):
    tree, db = tmp_path / "tree", tmp_path / "out.db"
    tree.mkdir()
    (tree / "a.jpg").write_bytes((samples / "coffee.jpg").read_bytes())
    run_module("edge_app", "scan", tree, "--db", db)
    (tree / "a.jpg").unlink()
    refused = run_module("edge_app", "scan", tree, "--db", db, "--prune")
    assert refused.returncode == 1 and "1 of 1 files are gone" in refused.stdout
    assert len(list(read_rows(db))) == 1
    forced = run_module("edge_app", "scan", tree, "--db", db, "--prune", "--force")
    assert forced.returncode == 0 and not list(read_rows(db))


@pytest.mark.parametrize("name", [":memory:", os.devnull])
def test_a_database_that_would_hold_nothing_is_refused(name, samples):
    result = run_module("edge_app", "scan", samples / "coffee.jpg", "--db", name)
    assert result.returncode == 2
    assert "is no ordinary file" in result.stderr and "Traceback" not in result.stderr


def test_the_database_is_left_by_a_refused_prune_as_it_was(tmp_path, classifier):
    with Store(tmp_path / "out.db") as store:
        put(store, classifier.info, "/nowhere/a.jpg", "/nowhere/b.jpg")
        with pytest.raises(StoreError):
            store.prune(["/nowhere"])
    with closing(sqlite3.connect(tmp_path / "out.db")) as connection:
        assert connection.execute("SELECT count(*) FROM pictures").fetchone() == (2,)


@pytest.mark.parametrize("depth", ["usb", "usb/2019/may"])
def test_pruning_is_refused_where_a_disk_inside_the_folder_may_not_be_mounted(
    depth, tmp_path, classifier
):
    tree = tmp_path / "tree"
    (tree / "usb").mkdir(parents=True)
    present = [tree / f"{number}.jpg" for number in range(9)]
    for path in present:
        path.touch()
    with Store(tmp_path / "out.db") as store:
        put(store, classifier.info, str(tree / depth / "gone.jpg"), *map(str, present))
        with pytest.raises(PruneError, match=r"usb is empty now\. Is a disk not mounted\?"):
            store.prune([str(tree)])
        (tree / "usb" / "note.txt").touch()  # somebody is at home
        assert store.prune([str(tree)]) == 1


def test_a_folder_that_is_named_is_scanned_though_the_one_around_it_is_too(
    tmp_path, samples, classifier
):
    tree = tmp_path / "tree"
    inner = [tree, tree / ".private", tree / "@eaDir", tree / "sub"]
    for folder in inner:
        folder.mkdir()
        shutil.copy(samples / "coffee.jpg", folder)
    hidden = tree / ".dot.jpg"
    shutil.copy(samples / "coffee.jpg", hidden)
    assert run_scan(tree, tmp_path / "plain.db", classifier.info).scanned == 2
    assert run_scan([*inner, hidden], tmp_path / "all.db", classifier.info).scanned == 5


@pytest.mark.parametrize("given", ["tree/private", "./tree/private", "{}/tree/private", "private"])
def test_a_folder_is_left_out_by_any_path_to_it(given, tmp_path, samples, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("tree/private", "tree/other/public"):
        os.makedirs(folder)
        shutil.copy(samples / "coffee.jpg", folder)
    done = run_module("edge_app", "scan", "tree", "--exclude", given.format(tmp_path), cwd=tmp_path)
    assert "1 picture scanned" in done.stdout


def test_the_library_takes_the_database_as_text_and_names_a_number_it_cannot_use(
    tmp_path, samples, classifier
):
    assert run_scan(str(samples), str(tmp_path / "out.db"), classifier.info).scanned == 5
    with pytest.raises(ValueError, match="workers: expected at least 1, got -1"):
        run_scan(samples, tmp_path / "out.db", classifier.info, workers=-1)
