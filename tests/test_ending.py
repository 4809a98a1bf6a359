"""Commands that are stopped, or whose output cannot be written, end in one line."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest
from click.testing import CliRunner
from conftest import ROOT

from edge_app.cli import main

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a Unix shell")

APP = f"'{sys.executable}' -m edge_app"


def shell(command, **options):
    return subprocess.run(
        ["bash", "-c", command.replace("APP", APP)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    path = tmp_path_factory.mktemp("ending") / "out.db"
    shell(f"APP scan samples --db {path}")
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["classify", "samples", "--max-seconds", "nan"], "expected a number of seconds"),
        (["classify", "samples", "--max-seconds", "inf"], "expected a number of seconds"),
        (["classify", ""], "a path is empty"),
        (["scan", "samples", "--workers", "100000"], "is not in the range"),
    ],
)
def test_values_that_no_command_can_use_are_wrong_usage(arguments, message):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(
    "command", ["classify samples", "classify samples --format jsonl", "info", "export DB"]
)
def test_a_full_disk_behind_standard_output_is_said(command, db):
    result = shell(f"APP {command} > /dev/full".replace("DB", str(db)))
    assert result.returncode == 3
    assert result.stderr == "Error: the output cannot be written (No space left on device)\n"


@pytest.mark.parametrize("command", ["classify samples/coffee.jpg", "info", "export DB"])
def test_closed_streams_are_no_traceback(command, db):
    command = f"APP {command}".replace("DB", str(db))
    closed = shell(f"{command} >&-")
    assert closed.returncode == 3
    assert closed.stderr == "Error: the output cannot be written (Bad file descriptor)\n"
    no_errors = shell(f"{command} 2>&-")
    assert no_errors.returncode == 0 and no_errors.stdout
    assert shell(f"{command} <&-").returncode == 0


def test_a_scan_without_any_stream_writes_a_good_database(tmp_path):
    shell(f"APP scan samples --db {tmp_path}/out.db <&- >&- 2>&-")
    result = shell(f"APP export {tmp_path}/out.db | wc -l")
    assert int(result.stdout) > 3


def test_a_reader_that_ends_ends_it_silently():
    result = shell("APP classify samples samples samples | head -1; exit ${PIPESTATUS[0]}")
    assert len(result.stdout.splitlines()) == 1
    assert result.returncode in (0, 141)
    assert result.stderr == ""


@pytest.fixture
def long_db(db, tmp_path):
    """5,000 rows, more than a pipe holds."""
    path = shutil.copy(db, tmp_path / "long.db")
    with sqlite3.connect(path) as connection:
        names = [column[1] for column in connection.execute("PRAGMA table_info(pictures)")]
        others = ", ".join(name for name in names if name != "path")
        connection.execute(
            "WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE "
            f"value < 5000) INSERT INTO pictures (path, {others}) SELECT '/' || value, {others} "
            "FROM (SELECT * FROM pictures LIMIT 1), n"
        )
    return path


@pytest.mark.parametrize("command", ["classify", "export"])
def test_ctrl_c_is_exit_code_130_and_one_line(command, long_db):
    """It has begun, and then waits until somebody reads the rest of its output."""
    arguments = ["classify", *["samples"] * 2000] if command == "classify" else ["export", long_db]
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_app", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 130, messages
    assert messages.strip() == "Stopped."


ODD = "no\nsuch\x1b[31m"


@pytest.mark.parametrize(
    "arguments",
    [
        *(["classify", ODD], ["classify", "PICTURES"], ["scan", ODD], ["scan", "PICTURES"]),
        *(["scan", "PICTURES", "--db", f"{ODD}.txt"], ["info", "--model", ODD]),
        *(
            ["export", ODD],
            ["export", f"{ODD}.txt"],
            ["export", "DB", "--copy-to", f"{ODD} copies"],
        ),
        *(["export", "DB", "--out", f"{ODD}.csv"], ["export", "DB", "--out", f"{ODD}.html"]),
        *(["live", "--source", ODD], ["live", "--config", f"{ODD}.txt"], ["events", ODD]),
        ["space", f"{ODD} space"],
    ],
    ids=lambda arguments: " ".join(arguments).replace(ODD, "ODD"),
)
def test_a_name_with_a_line_break_stays_on_its_line(arguments, tmp_path, db, monkeypatch):
    if arguments[0] == "space":
        pytest.importorskip("gradio", reason="needs gradio")
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{ODD}.txt").write_text("no database, no camera")
    pictures = tmp_path / f"{ODD} pictures"
    pictures.mkdir()
    shutil.copy(ROOT / "samples" / "astronaut.jpg", pictures / f"{ODD}.jpg")
    places = {"PICTURES": str(pictures), "DB": str(db)}
    result = CliRunner().invoke(main, [places.get(word, word) for word in arguments])
    assert result.exit_code in {0, 1, 2} and not isinstance(result.exception, OSError)
    assert "no\\nsuch\\x1b[31m" in result.output or arguments == ["scan", "PICTURES"]
    assert ODD not in result.output


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs /dev/zero")
def test_files_without_an_end_are_not_read_to_it(tmp_path):
    endless = tmp_path / "events.jsonl"
    with endless.open("wb") as file:
        file.truncate(2_000_000_000)
    for command, message in (
        ("live --config /dev/zero", "is larger than the megabyte"),
        (f"live --config {endless}", "is larger than the megabyte"),
        ("export /dev/zero", "is no ordinary file"),
        (f"info --labels {endless} --model models/smoking_mobilenetv2_int8.tflite", "megabyte"),
        (f"events {tmp_path}", "No events"),
    ):
        result = shell(f"ulimit -v 3000000; APP {command}")
        assert message in result.stderr, command
        assert "Traceback" not in result.stderr
