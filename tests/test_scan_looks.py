"""Scans that look again: what is stored, what a later scan keeps, and files of earlier versions."""

import contextlib
import csv
import dataclasses
import json
import os
import re
import shutil
import sqlite3

import pytest
from click.testing import CliRunner
from conftest import ROOT

from edge_app import Classifier, Prediction
from edge_app.cli import main
from edge_app.decision import replace_decision
from edge_app.export import write_report
from edge_app.looks import Looks, logit
from edge_app.scan import Store, StoreError, read_rows, run_scan
from edge_app.scan.rows import FileState, Row

ALL = Looks((0.85, 0.7), -16.0)
VERSION_1 = ROOT / "tests" / "data" / "scan_schema_1.sqlite"
"""Written by version 1.3.0 of ``scan``: three samples and a damaged picture below /pictures."""
STATE = FileState(100, 200)


def with_looks(info, looks, **changes):
    return dataclasses.replace(
        info, decision=dataclasses.replace(info.decision, looks=looks, **changes)
    )


def test_the_database_says_where_it_looked(pictures, tmp_path, classifier):
    db = tmp_path / "out.db"
    looking = Classifier(decision=dataclasses.replace(classifier.info.decision, looks=ALL))
    summary = run_scan(pictures, db, looking.info)
    assert summary.scanned == summary.looked_again == 2
    assert "2 looked at again" in summary.text()
    row = next(row for row in read_rows(db) if row.path.name == "a.png")
    expected = looking.classify(row.path)
    assert (row.smoking, row.looks, row.region) == (expected.smoking, 3, expected.region)
    assert row.uncertain is expected.uncertain
    with contextlib.closing(sqlite3.connect(db)) as connection:
        left, uncertain = connection.execute(
            "SELECT json_extract(region, '$[0]'), uncertain FROM pictures WHERE path LIKE '%a.png'"
        ).fetchone()
    assert (left, uncertain) == (expected.region[0], int(expected.uncertain))


def test_one_look_has_no_region_and_an_unreadable_picture_no_looks(pictures, tmp_path, classifier):
    run_scan(pictures, tmp_path / "out.db", classifier.info)
    found = {row.path.name: row for row in read_rows(tmp_path / "out.db")}
    assert (found["a.png"].looks, found["a.png"].region) == (1, None)
    damaged = found["damaged.jpg"]
    assert (damaged.looks, damaged.uncertain, damaged.region) == (None, None, None)


def scored(info, looks, first, again=None):
    """The row of a picture whose first look gives a logit, and the looks together another."""
    info = with_looks(info, looks)
    value = first if again is None else again
    score = 1 / (1 + 2.718281828459045**-value)
    region = None if again is None else (0, 0, 9, 9)
    count = 1 if again is None else 1 + len(looks.sizes)
    prediction = Prediction("NotSmoking", 1 - score, score, looks=count, region=region)
    return Row.of("/pictures/a.jpg", STATE, info, prediction)


BAND = Looks((0.85, 0.7), -2.0)


@pytest.mark.parametrize(
    ("before", "after", "first", "again", "kept"),
    [
        (BAND, BAND, -3.0, None, True),
        (BAND, BAND, -1.0, 2.0, True),
        (None, BAND, -3.0, None, True),
        (None, BAND, -1.0, None, False),
        (BAND, None, -3.0, None, True),
        (BAND, None, -1.0, 2.0, False),
        (BAND, None, -1.0, None, True),  # too small to be looked at again
        (BAND, BAND, -1.0, None, True),
        (BAND, dataclasses.replace(BAND, lowest=-2.5), -3.0, None, True),
        (BAND, dataclasses.replace(BAND, lowest=-3.5), -3.0, None, False),
        (BAND, dataclasses.replace(BAND, lowest=-3.5), -1.0, 2.0, True),
        (BAND, dataclasses.replace(BAND, lowest=-0.5), -1.0, 2.0, False),
        (BAND, dataclasses.replace(BAND, sizes=(0.7,)), -3.0, None, True),
        (BAND, dataclasses.replace(BAND, sizes=(0.7,)), -1.0, 2.0, False),
        (BAND, dataclasses.replace(BAND, scale=1.1), -1.0, 2.0, False),
        (BAND, dataclasses.replace(BAND, upscale=2.0), -1.0, None, False),
    ],
)
def test_another_rule_scores_again_what_it_changes_and_only_that(
    classifier, before, after, first, again, kept
):
    row = scored(classifier.info, before, first, again)
    assert row.is_scored_by(with_looks(classifier.info, after), STATE) is kept


def test_another_file_or_network_scores_again(classifier):
    info = with_looks(classifier.info, None)
    row = scored(info, None, -3.0)
    assert row.is_scored_by(info, STATE)
    assert not row.is_scored_by(info, FileState(100, 201))
    other = dataclasses.replace(info, sha256="other")
    assert row.is_scored_by(other, STATE)  # only its decision differs
    assert not row.is_scored_by(dataclasses.replace(other, network="other"), STATE)
    odd = dataclasses.replace(row, looks_rule="{odd")
    assert not odd.is_scored_by(with_looks(info, BAND), STATE)


def test_a_file_with_another_decision_holds_the_same_network(tmp_path, classifier):
    path = tmp_path / "refitted.tflite"
    shutil.copy(classifier.info.path, path)
    decision = dataclasses.replace(classifier.info.decision, threshold=0.3, looks=BAND)
    replace_decision(path, decision)
    info = Classifier(path).info
    assert info.sha256 != classifier.info.sha256
    assert info.network == classifier.info.network


def test_a_scan_resumed_with_looks_reads_only_what_they_change(pictures, tmp_path, classifier):
    db = tmp_path / "out.db"
    run_scan(pictures, db, classifier.info)
    scores = {row.path.name: row.smoking for row in read_rows(db) if row.error is None}
    between = logit(sum(scores.values()) / 2)  # one of the two is above
    summary = run_scan(pictures, db, with_looks(classifier.info, Looks((0.7,), between)))
    assert (summary.scanned, summary.looked_again, summary.unchanged) == (1, 1, 1)
    again = run_scan(pictures, db, with_looks(classifier.info, Looks((0.7,), between)))
    assert (again.scanned, again.unchanged) == (0, 2)


@pytest.fixture
def version_1(tmp_path, samples):
    """A result of the first version beside the pictures that it speaks of."""
    folder, db = tmp_path / "pictures", tmp_path / "old.db"
    folder.mkdir()
    shutil.copy(VERSION_1, db)
    with contextlib.closing(sqlite3.connect(db)) as connection, connection:
        for name in ("astronaut.jpg", "coffee.jpg"):
            shutil.copy(samples / name, folder)
            (modified,) = connection.execute(
                "SELECT modified_ns FROM pictures WHERE path = ?", (f"/pictures/{name}",)
            ).fetchone()
            os.utime(folder / name, ns=(modified, modified))
        connection.execute(
            "UPDATE pictures SET path = replace(path, '/pictures', ?)", (str(folder),)
        )
    return db


def schema(db):
    with contextlib.closing(sqlite3.connect(db)) as connection:
        columns = connection.execute("PRAGMA table_info(pictures)").fetchall()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    return version, [tuple(column) for column in columns]


def test_a_file_of_the_first_version_is_migrated_in_place(version_1, tmp_path):
    before = list(read_rows(version_1))
    assert schema(version_1)[0] == 1  # reading leaves it as it is
    Store(version_1).close()
    Store(tmp_path / "new.db").close()
    assert schema(version_1) == schema(tmp_path / "new.db")
    assert list(read_rows(version_1)) == before
    assert [row.looks for row in before] == [1, 1, None, 1]
    assert [row.uncertain for row in before] == [None] * 4


def test_a_scan_goes_on_in_a_file_of_the_first_version(version_1, tmp_path, classifier):
    scores = {row.path: row.smoking for row in read_rows(version_1)}
    row = next(read_rows(version_1))
    info = with_looks(dataclasses.replace(classifier.info, sha256=row.model), None)
    summary = run_scan(tmp_path / "pictures", version_1, info)
    # Their scores stand; what is new is whether they are uncertain.
    assert (summary.scanned, summary.relabelled) == (0, 2)
    assert {row.path: row.smoking for row in read_rows(version_1)} == scores
    assert run_scan(tmp_path / "pictures", version_1, info).unchanged == 2


def test_a_migration_that_fails_leaves_the_file_as_it_was(version_1):
    with contextlib.closing(sqlite3.connect(version_1)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER broken BEFORE UPDATE ON pictures BEGIN SELECT RAISE(FAIL, 'no'); END"
        )
    before = schema(version_1)
    with pytest.raises(StoreError, match=r"old\.db"):
        Store(version_1)
    assert schema(version_1) == before
    assert len(list(read_rows(version_1))) == 4


def test_a_file_of_a_later_version_is_named_as_such(tmp_path):
    Store(tmp_path / "out.db").close()
    with contextlib.closing(sqlite3.connect(tmp_path / "out.db")) as connection, connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer version"):
        Store(tmp_path / "out.db")


def test_a_row_that_another_program_broke_is_named(tmp_path, classifier):
    db = tmp_path / "out.db"
    with Store(db) as store:
        store.put("/a.jpg", STATE, classifier.info, Prediction("Smoking", 0.9, 0.9))
    with contextlib.closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("UPDATE pictures SET region = ?", (json.dumps([1, 2]),))
    with pytest.raises(StoreError, match=r"out\.db: has a row whose region"):
        list(read_rows(db))


@pytest.fixture
def uncertain_result(pictures, tmp_path, classifier):
    """A scan that looked at every picture again and was never certain."""
    decision = dataclasses.replace(classifier.info.decision, looks=ALL, uncertain=(0.0, 1.0))
    db = tmp_path / "out.db"
    run_scan(pictures, db, Classifier(decision=decision).info)
    return db


def test_tables_say_uncertain_looks_and_region(uncertain_result, tmp_path):
    out = tmp_path / "out.csv"
    arguments = ["export", str(uncertain_result), "--format", "csv", "--out", str(out)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    with open(out, encoding="utf-8-sig", newline="") as file:
        records = {os.path.basename(r["path"]): r for r in csv.DictReader(file)}
    row = next(row for row in read_rows(uncertain_result) if row.path.name == "a.png")
    assert records["a.png"]["uncertain"] == "True"
    assert records["a.png"]["looks"] == "3"
    assert json.loads(records["a.png"]["region"]) == list(row.region)
    assert records["damaged.jpg"]["region"] == records["damaged.jpg"]["uncertain"] == ""
    output = CliRunner().invoke(main, [*arguments[:3], "jsonl", "--limit", "1"]).output
    record = json.loads(output)
    assert (record["uncertain"], record["looks"], len(record["region"])) == (True, 3, 4)


def test_the_report_holds_what_is_uncertain_and_where_it_looked(uncertain_result, tmp_path):
    out = tmp_path / "out.html"
    summary = write_report(read_rows(uncertain_result), out, 10)
    assert summary.uncertain == 2
    text = out.read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert data["uncertain"] == 2
    assert [picture[4] for picture in data["pictures"]] == [3, 3]


def test_the_report_calls_labels_by_their_own_names(tmp_path, classifier):
    rows = [
        dataclasses.replace(scored(classifier.info, None, value), label=label, model="0" * 64)
        for value, label in ((2.0, "Vaping"), (-2.0, "rest"))
    ]
    for found, labels in ((rows, ["Vaping", "rest"]), (rows[1:], ["Found", "rest"])):
        write_report(found, tmp_path / "out.html", 10)
        text = (tmp_path / "out.html").read_text()
        assert json.loads(re.search(r'id="data">(.*?)</script>', text)[1])["labels"] == labels


def test_parquet_files_hold_the_same_and_earlier_ones_are_read(tmp_path, classifier):
    pyarrow = pytest.importorskip("pyarrow", reason="needs requirements-ray.txt")
    from pyarrow import parquet

    from edge_app.scan.parquet import read_parquet, write_part

    rows = [scored(classifier.info, BAND, -1.0, 2.0), scored(classifier.info, None, -3.0)]
    rows[1] = dataclasses.replace(rows[1], path=rows[1].path.with_name("b.jpg"))
    write_part(str(tmp_path), "20260101", 0, rows)
    assert list(read_parquet(tmp_path)) == rows
    (part,) = tmp_path.iterdir()
    table: pyarrow.Table = parquet.read_table(part)
    parquet.write_table(table.select(table.column_names[:9]), part)
    (first, _) = read_parquet(tmp_path)
    assert (first.smoking, first.looks, first.region) == (rows[0].smoking, 1, None)
