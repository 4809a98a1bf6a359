"""What becomes of a scan's result: tables, copies; the report has a file of its own."""

import csv
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, export, run_module

from edge_app.export import highest, read_results


def records(text):
    return [json.loads(line) for line in text.splitlines()]


def test_csv_holds_a_row_for_every_picture(result):
    done = run_module("edge_app", "export", result)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    columns = sqlite3.connect(result).execute("SELECT * FROM pictures").description
    for_resuming = ("network", "looks_rule")
    assert list(rows[0]) == [name for name, *_ in columns if name not in for_resuming]
    assert [os.path.basename(row["path"]) for row in rows] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert [row["smoking"] for row in rows] == ["0.9", "0.1", "0.99", ""]
    assert [row["error"] for row in rows] == ["", "", "", "is damaged"]


def test_json_lines_hold_the_same(result):
    found = records(export(result, "--format", "jsonl").stdout)
    assert [record["smoking"] for record in found] == [0.9, 0.1, 0.99, None]
    assert found[0]["label"] == "Smoking"
    assert found[3]["label"] is None


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--label", "smoking"], ["a", "c"]),
        (["--label", "NotSmoking"], ["b"]),
        (["--min-score", "0.95"], ["c"]),
        (["--min-score", "0"], ["a", "b", "c"]),
        (["--limit", "2"], ["c", "a"]),
        (["--limit", "9"], ["c", "a", "b", "d"]),
        (["--label", "Smoking", "--limit", "1"], ["c"]),
    ],
)
def test_rows_can_be_chosen(result, options, names):
    done = export(result, "--format", "jsonl", *options)
    found = [os.path.basename(record["path"]) for record in records(done.stdout)]
    assert found == [f"{name}.jpg" for name in names]


@pytest.mark.parametrize("options", [[], ["--format", "html"], ["--copy-to", "found"]])
def test_a_label_that_no_picture_can_have_is_refused(result, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    done = export(result, "--label", "Smokin", *options)
    assert done.exit_code == 2
    assert "no picture has the label Smokin; labels are: NotSmoking, Smoking" in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "report.html").exists()


def test_a_label_that_no_picture_has_yet_is_only_said(make_result):
    done = export(make_result({"/a.jpg": 0.1}), "--label", "Smoking")
    assert done.exit_code == 0
    assert "labels are: NotSmoking" in done.stderr


def test_a_csv_file_is_one_that_spreadsheets_take_for_utf8(make_result, tmp_path):
    result = make_result({"/pictures/café.jpg": 0.5})
    done = export(result, "--out", tmp_path / "new" / "out.csv")
    assert done.exit_code == 0, done.stderr
    assert "1 row:" in done.stdout
    content = (tmp_path / "new" / "out.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfpath,")
    assert "/pictures/café.jpg,".encode() in content


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("r.csv", b"\xef\xbb\xbfpath,"),
        ("r.CSV", b"\xef\xbb\xbfpath,"),
        ("r.jsonl", b'{"path"'),
        ("r.ndjson", b'{"path"'),
        ("r.html", b"<!doctype html>"),
        ("r", b"\xef\xbb\xbfpath,"),
    ],
)
def test_the_ending_of_the_file_chooses_the_format(result, tmp_path, name, start):
    done = export(result, "--out", tmp_path / name)
    assert "Error" not in done.stderr
    assert (tmp_path / name).read_bytes()[: len(start)].lower() == start.lower()


@pytest.mark.parametrize("name", ["r.json", "r.parquet", "r.xlsx"])
def test_an_ending_of_no_format_is_refused_unless_a_format_is_given(result, tmp_path, name):
    done = export(result, "--out", tmp_path / name)
    assert done.exit_code == 2
    assert "Name it .csv, .jsonl or .html" in done.stderr
    assert not (tmp_path / name).exists()
    assert export(result, "--format", "jsonl", "--out", tmp_path / name).exit_code == 0


def test_a_format_against_the_ending_is_refused(result, tmp_path):
    done = export(result, "--format", "csv", "--out", tmp_path / "r.html")
    assert done.exit_code == 2
    assert "contradict" in done.stderr
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("name", ["=1+1.jpg", "+1.jpg", "-1.jpg", "@SUM(A1).jpg", "\tx.jpg"])
def test_a_spreadsheet_runs_no_name_as_a_formula(make_result, name):
    done = export(make_result({name: 0.5}))
    assert next(csv.DictReader(io.StringIO(done.stdout)))["path"] == "'" + name


def test_line_breaks_and_quotes_in_names_stay_one_field(make_result):
    name = '/a\n"b",c.jpg'
    done = export(make_result({name: 0.5}))
    assert [row["path"] for row in csv.DictReader(io.StringIO(done.stdout))] == [name]


def test_names_that_are_not_utf8_are_written_and_copied(make_result, tmp_path, samples):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg")
    try:
        shutil.copy(samples / "coffee.jpg", path)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    result = make_result({path: 0.9})
    for form in ("csv", "jsonl"):
        done = export(result, "--format", form)
        assert done.exit_code == 0
        assert "xff.jpg" in done.stdout
    assert export(result, "--copy-to", tmp_path / "out").exit_code == 0
    assert os.listdir(os.fsencode(tmp_path / "out")) == [b"\xff.jpg"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory as Linux has it")
def test_rows_are_streamed(make_result, tmp_path):
    """100,001 rows of 230 bytes take less memory than they would in a list, which is 100 MB."""
    one = make_result({"/p/0.jpg": 0.5})
    result = shutil.copy(one, tmp_path / "many.db")
    with sqlite3.connect(result) as connection:
        connection.execute(
            "WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n "
            "WHERE value < 100000) INSERT INTO pictures SELECT '/pictures/of/a/long/name/' || "
            "value || '.jpg', size, modified_ns, label, smoking, threshold, model, error, "
            "scanned_at, uncertain, looks, region, network, looks_rule, incomplete FROM pictures, n"
        )
    code = (
        "import re, sys; from edge_app.cli import main; "
        "sys.argv[1:] = ['export', sys.argv[1], '--out', sys.argv[2], '--format', sys.argv[3]]\n"
        "try: main()\n"
        # Not ru_maxrss, which begins at that of the process that started this one.
        "finally:\n"
        "    status = open('/proc/self/status').read()\n"
        r"    print(int(re.search(r'VmHWM:\s*(\d+)', status)[1]) // 1024)"
    )

    def megabytes(result, form, rows):
        done = subprocess.run(
            [sys.executable, "-c", code, result, tmp_path / "out", form],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert f"{rows} row" in done.stdout, done.stderr
        return int(done.stdout.split()[-1])

    alone = megabytes(one, "csv", 1)
    for form in ("csv", "jsonl"):
        assert megabytes(result, form, 100_001) < alone + 30


def test_a_file_that_cannot_be_finished_is_not_left_half(make_result, tmp_path):
    result = make_result({"/p/0.jpg": 0.5})
    with sqlite3.connect(result) as connection:
        connection.execute("UPDATE pictures SET model = CAST(x'ff00' AS BLOB)")  # no JSON
    out = tmp_path / "out.jsonl"
    out.write_text("what was there")
    done = export(result, "--format", "jsonl", "--out", out)
    assert done.exit_code != 0
    assert out.read_text() == "what was there"
    assert list(tmp_path.glob(".*")) == []


def test_highest_puts_the_unreadable_last(result):
    rows = highest(read_results(result), 4)
    assert [row.smoking for row in rows] == [0.99, 0.9, 0.1, None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.db"], "missing.db: there is no such file"),
        ([str(ROOT / "README.md")], "cannot be used as a database"),
        ([str(ROOT / "samples")], "holds no results"),
        (["x.db", "--hard-link"], "--hard-link goes with --copy-to"),
        (["x.db", "--copy-to", "y", "--out", "z"], "--out needs a --format"),
        (["x.db", "--min-score", "2"], "0<=x<=1"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_one_clear_message(arguments, message):
    done = export(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_result_is_not_overwritten_by_its_own_export(result, tmp_path):
    before = result.read_bytes()
    missing = export(tmp_path / "nothing.db", "--format", "csv", "--out", result)
    assert missing.exit_code == 2
    assert "there is no such file" in missing.stderr
    assert export(tmp_path / "nothing.db").stdout == ""
    other = result.with_name("other.db")
    shutil.copy(result, other)
    lost = export(result, "--format", "csv", "--out", other)
    assert lost.exit_code == 2 and "is a database, which would be lost" in lost.stderr
    refused = export(result, "--format", "csv", "--out", result)
    assert refused.exit_code == 2
    assert "is the result itself" in refused.stderr
    assert result.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(result, tmp_path):
    (tmp_path / "file").touch()
    done = export(result, "--copy-to", tmp_path / "file" / "inner")
    assert done.exit_code == 3
    assert f"{tmp_path / 'file' / 'inner'}: cannot be written to" in done.stderr
    done = export(result, "--out", tmp_path / "file" / "out.csv")
    assert done.exit_code == 3
    assert "out.csv: cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
