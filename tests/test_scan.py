import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

import pytest
from conftest import ROOT, run_module

from edge_app import PictureError
from edge_app.scan import Store, StoreError, read_rows, run_scan
from edge_app.scan.errors import StoreBusyError
from edge_app.scan.rows import FileState


def rows(db):
    with contextlib.closing(sqlite3.connect(db, timeout=30)) as connection:
        connection.row_factory = sqlite3.Row
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return {}
        return {
            os.path.basename(row["path"]): dict(row)
            for row in connection.execute("SELECT * FROM pictures")
        }


def test_a_scan_writes_a_row_for_every_picture(pictures, tmp_path, classifier):
    summary = run_scan(pictures, tmp_path / "out.db", classifier.info)
    found = rows(tmp_path / "out.db")
    assert sorted(found) == ["a.png", "b.jpg", "damaged.jpg", "empty.jpg"]
    assert (summary.scanned, summary.unreadable, summary.unchanged) == (2, 2, 0)
    row = found["a.png"]
    assert row["label"] == classifier.classify(pictures / "a.png").label
    assert row["smoking"] == pytest.approx(classifier.classify(pictures / "a.png").smoking)
    assert row["model"] == classifier.info.sha256
    assert row["error"] is None
    assert found["empty.jpg"]["error"] == "is empty"
    assert found["empty.jpg"]["label"] is None


def test_run_again_it_does_only_what_is_new_or_changed(pictures, tmp_path, classifier):
    db = tmp_path / "out.db"
    run_scan(pictures, db, classifier.info)
    again = run_scan(pictures, db, classifier.info)
    # What could not be read is tried again: the reason may be gone.
    assert (again.scanned, again.unreadable, again.unchanged) == (0, 2, 2)
    (pictures / "new.png").write_bytes((pictures / "a.png").read_bytes())
    (pictures / "damaged.jpg").write_bytes((pictures / "inner" / "b.jpg").read_bytes())
    third = run_scan(pictures, db, classifier.info)
    assert (third.scanned, third.unreadable, third.unchanged) == (2, 1, 2)
    assert rows(db)["damaged.jpg"]["error"] is None


def test_another_threshold_changes_labels_and_scores_nothing_anew(pictures, tmp_path, classifier):
    from edge_app import Classifier

    db = tmp_path / "out.db"
    run_scan(pictures, db, classifier.info)
    before = rows(db)["a.png"]
    always = Classifier(threshold=0.0).info
    summary = run_scan(pictures, db, always)
    assert (summary.scanned, summary.relabelled, summary.unchanged) == (0, 2, 0)
    after = rows(db)["a.png"]
    assert (after["label"], after["threshold"]) == ("Smoking", 0.0)
    assert after["smoking"] == before["smoking"]
    assert run_scan(pictures, db, always).unchanged == 2


def test_many_workers_give_the_same_answers(pictures, tmp_path, classifier):
    run_scan(pictures, tmp_path / "one.db", classifier.info, workers=1)
    run_scan(pictures, tmp_path / "four.db", classifier.info, workers=4)
    one, four = rows(tmp_path / "one.db"), rows(tmp_path / "four.db")
    assert {n: r["smoking"] for n, r in one.items()} == {n: r["smoking"] for n, r in four.items()}


def test_names_that_are_not_utf8_are_kept(pictures, tmp_path, classifier):
    try:
        os.rename(os.fsencode(pictures / "a.png"), os.fsencode(pictures) + b"/\xff.png")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    run_scan(pictures, tmp_path / "out.db", classifier.info)
    assert rows(tmp_path / "out.db")["\\xff.png"]["label"] == "NotSmoking"


def test_workers_leave_the_error_stream_as_it_was(samples):
    code = (
        "import os, sys; from pathlib import Path; from edge_app import Classifier; "
        "from edge_app.scan import run_scan; "
        "run_scan(Path(sys.argv[1]), Path(sys.argv[2]), Classifier().info, workers=8); "
        "os.write(2, b'still here')"
    )
    for number in range(5):
        with tempfile.TemporaryDirectory() as folder:
            result = subprocess.run(
                [sys.executable, "-c", code, samples, f"{folder}/{number}.db"],
                cwd=ROOT,
                capture_output=True,
                text=True,
            )
        assert result.stderr == "still here"


def test_a_locked_database_is_named_and_nothing_is_forgotten(pictures, tmp_path, classifier):
    db = tmp_path / "out.db"
    run_scan(pictures, db, classifier.info)
    with Store(db) as store, contextlib.closing(sqlite3.connect(db)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.put(pictures / "a.png", FileState(1, 1), classifier.info, ValueError("x"))
        with pytest.raises(StoreBusyError, match=r"out\.db: another program holds it locked"):
            store.commit()
        other.rollback()
    assert rows(db)["a.png"]["error"] == "x"


def test_pruning_that_fails_removes_nothing_and_the_scan_can_go_on(pictures, tmp_path, classifier):
    db = tmp_path / "out.db"
    run_scan(pictures, db, classifier.info)
    before = rows(db).keys()
    shutil.rmtree(pictures)
    with Store(db) as store, contextlib.closing(sqlite3.connect(db)) as other:
        # Fails at the last row, when others are removed already.
        other.execute(
            "CREATE TRIGGER keep BEFORE DELETE ON pictures "
            "WHEN (SELECT count(*) FROM pictures) = 1 BEGIN SELECT RAISE(FAIL, 'kept'); END"
        )
        with pytest.raises(StoreError, match=r"out\.db: cannot be used as a database \(kept\)"):
            store.prune([str(pictures)], force=True)
        assert rows(db).keys() == before
        store.put(pictures / "new.png", FileState(1, 1), classifier.info, ValueError("x"))
        store.commit()
    assert rows(db).keys() == {*before, "new.png"}


def test_ctrl_c_keeps_what_was_done_and_says_how_to_go_on(samples, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(3000):
        os.link(samples / "coffee.jpg", folder / f"{number}.jpg")
    db = tmp_path / "out.db"
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_app", "scan", folder, "--db", db],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not (db.exists() and len(rows(db)) > 10):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Run the same command again to resume" in output
    assert "Traceback" not in output
    assert 10 < len(rows(db)) < 3000


def test_reading_leaves_no_files_beside_the_database(tmp_path, classifier, pictures):
    db = tmp_path / "out.db"
    run_scan(pictures, db, classifier.info, 1)
    before = db.read_bytes(), db.stat().st_mtime_ns
    for _ in range(2):
        assert len(list(read_rows(db))) == 4
        assert list(tmp_path.glob("out.db*")) == [db]
        (tmp_path / "out.db-wal").touch()  # as readers of earlier versions left it
    assert (db.read_bytes(), db.stat().st_mtime_ns) == before


def test_reading_changes_nothing_of_a_scan_that_runs_or_was_killed(tmp_path, classifier):
    db, killed = tmp_path / "out.db", tmp_path / "killed"
    killed.mkdir()
    with Store(db) as store:
        store.put("/a.jpg", FileState(1, 1), classifier.info, PictureError("is damaged"))
        store.commit()
        assert [str(row.path) for row in read_rows(db)] == [os.path.normpath("/a.jpg")]
        store.put("/b.jpg", FileState(1, 1), classifier.info, PictureError("is damaged"))
        store.commit()
        for path in tmp_path.glob("out.db*"):
            shutil.copy(path, killed)
    before = {name: (killed / name).read_bytes() for name in ("out.db", "out.db-wal")}
    assert before["out.db-wal"]
    assert len(list(read_rows(killed / "out.db"))) == 2
    assert {name: (killed / name).read_bytes() for name in before} == before
    with Store(killed / "out.db"):
        pass
    assert os.listdir(killed) == ["out.db"]


def test_other_files_are_never_overwritten(tmp_path):
    (tmp_path / "notes.db").write_text("my notes, no database")
    with pytest.raises(StoreError, match=r"notes\.db"):
        Store(tmp_path / "notes.db")
    assert (tmp_path / "notes.db").read_text() == "my notes, no database"
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(StoreError, match="another kind"):
        Store(tmp_path / "other.db")


def test_the_command_prints_a_summary_and_names_what_it_could_not_read(pictures, tmp_path):
    result = run_module("edge_app", "scan", pictures, "--db", tmp_path / "out.db")
    assert result.returncode == 1
    assert "2 pictures scanned" in result.stdout
    assert "2 unreadable, 0 unchanged" in result.stdout
    assert "damaged.jpg" in result.stderr
    assert "Traceback" not in result.stderr
