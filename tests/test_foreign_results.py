"""Databases that somebody else made: exported or refused in one line, whatever is in them."""

import errno
import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from conftest import export

from edge_app.export import copies
from edge_app.files import safe_name
from edge_app.scan import Store, StoreError, read_rows
from edge_app.scan.schema import SCHEMA_VERSION

GOOD = {
    "path": "/nowhere/a.jpg",
    "size": 1,
    "modified_ns": 1,
    "label": "Smoking",
    "smoking": 0.9,
    "threshold": 0.5,
    "model": "0" * 64,
    "error": None,
    "scanned_at": "2026-01-01T00:00:00.000+00:00",
    "uncertain": 0,
    "looks": 1,
    "region": None,
    "network": "0" * 64,
    "looks_rule": None,
    "incomplete": 0,
}
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT x FROM n"


@pytest.fixture
def make(tmp_path):
    """Makes a database of rows, after it was changed by some statements."""

    def make(*rows: dict, statements: tuple[str, ...] = (), columns: str = "") -> Path:
        db = tmp_path / "foreign.db"
        Store(db).close()
        with closing(sqlite3.connect(db)) as connection:
            if columns:
                connection.execute("DROP TABLE pictures")
                connection.execute(f"CREATE TABLE pictures ({columns})")
            for row in rows:
                names = ", ".join(row)
                marks = ", ".join("?" * len(row))
                connection.execute(
                    f"INSERT INTO pictures ({names}) VALUES ({marks})", tuple(row.values())
                )
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        return db

    return make


def refused(result) -> str:
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return [line for line in result.stderr.splitlines() if line][-1]


ALL_TEXT = ", ".join(f"{name} BLOB" for name in GOOD)


@pytest.mark.parametrize(
    "change",
    [
        {"path": b"/nowhere/a.jpg"},
        {"path": None},
        {"path": 7},
        {"size": "large"},
        {"size": None},
        {"size": 1.5},
        {"modified_ns": b"\0"},
        {"label": b"Smoking"},
        {"label": 3},
        {"smoking": "high"},
        {"smoking": 1e999},
        {"smoking": -0.1},
        {"smoking": 1.1},
        {"threshold": None},
        {"threshold": "x"},
        {"threshold": 5},
        {"model": None},
        {"model": 5},
        {"error": b"x"},
        {"scanned_at": None},
        {"scanned_at": 12},
        {"uncertain": "perhaps"},
        {"looks": 1.5},
        {"region": "[1, 2]"},
        {"region": b"1"},
        {"region": "[" * 9999},
        {"network": 7},
        {"incomplete": "half"},
    ],
    ids=lambda change: str(change)[:40],
)
@pytest.mark.parametrize("form", ["csv", "html"])
def test_a_row_that_no_scan_writes_is_refused_in_one_line(make, tmp_path, form, change):
    db = make(GOOD | change, columns=ALL_TEXT)
    result = export(db, "--format", form, "--out", tmp_path / "out")
    assert "has a row whose" in refused(result)


def virtual_module() -> str:
    """A kind of virtual table that SQLite has here: which ones is a matter of how it was built."""
    for module in ("fts5(path)", "fts4(path)", "fts3(path)", "rtree(id, low, high)"):
        with closing(sqlite3.connect(":memory:")) as connection, suppress(sqlite3.OperationalError):
            connection.execute(f"CREATE VIRTUAL TABLE found USING {module}")
            return module
    pytest.skip("needs an SQLite with virtual tables")


@pytest.mark.parametrize(
    ("statements", "columns", "message"),
    [
        (("DROP TABLE pictures", f"CREATE VIEW pictures AS {ENDLESS}"), "", "no table of pictures"),
        (("DROP TABLE pictures",), "", "another kind"),
        ((), "path TEXT, size INTEGER", "without the column modified_ns"),
        (
            (),
            ALL_TEXT.replace("model BLOB", "model BLOB AS (hex(zeroblob(100000000)))"),
            "computes the column model",
        ),
        (
            ("DROP TABLE pictures", "CREATE VIRTUAL TABLE pictures USING {module}"),
            "",
            "no table of pictures",
        ),
        ((f"PRAGMA user_version = {SCHEMA_VERSION + 98}",), "", "newer version"),
        (("DROP TABLE pictures", "PRAGMA user_version = 0"), "", "holds no results"),
    ],
    ids=["view", "no table", "few columns", "computed", "virtual", "newer", "empty"],
)
def test_what_is_no_table_of_a_scan_is_refused(make, statements, columns, message):
    if any("{module}" in statement for statement in statements):
        statements = [statement.format(module=virtual_module()) for statement in statements]
    db = make(statements=statements, columns=columns)
    start = time.monotonic()
    assert message in refused(export(db))
    assert time.monotonic() - start < 20


def test_a_damaged_file_is_refused(make):
    db = make(*({**GOOD, "path": f"/nowhere/{n}.jpg"} for n in range(300)))
    content = db.read_bytes()
    for place in range(4096, len(content), 4096):
        db.write_bytes(content[:place] + b"\xff" * 64 + content[place + 64 :])
        result = export(db)
        assert result.exit_code in (0, 2) and not isinstance(result.exception, sqlite3.Error)
        assert result.exception is None or isinstance(result.exception, SystemExit)


def test_text_that_is_not_utf8_is_refused(make):
    db = make(GOOD, statements=("UPDATE pictures SET path = CAST(x'ff2f61' AS TEXT)",))
    assert "cannot be used as a database" in refused(export(db))


def test_reading_writes_nothing(make):
    db = make(GOOD)
    before = db.read_bytes()
    assert export(db).exit_code == 0
    assert db.read_bytes() == before


def test_a_nul_in_a_path_is_one_missing_picture(make, tmp_path, samples):
    there = {**GOOD, "path": str(samples / "coffee.jpg")}
    db = make({**GOOD, "path": "/nowhere/a\0b.jpg"}, there)
    for options in ([], ["--only-below", samples]):
        result = export(db, "--copy-to", tmp_path / "copies", *options)
        assert result.exit_code == 1
        assert "1 missing" in result.stderr and "no valid path" in result.stderr
        assert os.listdir(tmp_path / "copies") == ["coffee.jpg"]
    assert export(db, "--format", "html", "--out", tmp_path / "out.html").exit_code == 1
    assert export(db, "--format", "csv").exit_code == 0


def test_only_pictures_are_copied_whatever_a_database_names(make, tmp_path):
    secret = tmp_path / "shadow"
    secret.write_text("root:secret")
    (tmp_path / "shadow.jpg").symlink_to(secret)
    db = make({**GOOD, "path": str(secret)}, {**GOOD, "path": str(tmp_path / "shadow.jpg")})
    result = export(db, "--copy-to", tmp_path / "copies")
    assert result.exit_code == 1 and result.stderr.count("is no picture any more") == 2
    assert not os.listdir(tmp_path / "copies")


def test_a_file_that_is_larger_than_any_picture_is_not_copied(make, tmp_path, samples):
    large = tmp_path / "disk.img"  # of which the file system stores the first bytes alone
    large.write_bytes((samples / "coffee.jpg").read_bytes()[:100])
    os.truncate(large, 10_000_000_000)
    result = export(make({**GOOD, "path": str(large)}), "--copy-to", tmp_path / "copies")
    assert result.exit_code == 1
    assert "disk.img: is larger than any picture that is read (10.0 GB)" in result.stderr
    assert not os.listdir(tmp_path / "copies")


def test_relative_paths_are_of_no_machine(make, tmp_path, samples, monkeypatch):
    monkeypatch.chdir(samples)
    result = export(make({**GOOD, "path": "coffee.jpg"}), "--copy-to", tmp_path / "copies")
    assert "is no path of this machine" in result.stderr and result.exit_code == 1


@pytest.mark.parametrize("hard_link", [[], ["--hard-link"]])
def test_copies_can_be_confined_to_a_folder(make, tmp_path, samples, hard_link):
    inside, outside = tmp_path / "inside", tmp_path / "inside-not"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / f"{folder.name}.jpg").write_bytes((samples / "coffee.jpg").read_bytes())
    (inside / "link.jpg").symlink_to(outside / "inside-not.jpg")
    paths = (inside / "inside.jpg", outside / "inside-not.jpg", inside / "link.jpg")
    dotted = inside / ".." / "inside-not" / "inside-not.jpg"
    db = make(*({**GOOD, "path": str(path)} for path in (*paths, dotted)))
    result = export(db, "--copy-to", tmp_path / "out", "--only-below", inside, *hard_link)
    assert os.listdir(tmp_path / "out") == ["inside.jpg"]
    assert result.exit_code == 0
    assert "3 outside the given folders" in result.stderr and "missing" not in result.stderr


def test_a_disk_that_holds_fewer_names_gets_others(make, tmp_path, samples, monkeypatch):
    picture = tmp_path / "a:b?.jpg"
    picture.write_bytes((samples / "coffee.jpg").read_bytes())
    really = copies._copy_whole

    def as_fat(row, target):
        if set(':?"') & set(target.name):
            raise OSError(errno.EINVAL, "Invalid argument", str(target))
        really(row, target)

    monkeypatch.setattr(copies, "_copy_whole", as_fat)
    result = export(make({**GOOD, "path": str(picture)}), "--copy-to", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert os.listdir(tmp_path / "out") == ["a_b_.jpg"]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.jpg", "a.jpg"),
        ("..\\..\\x.jpg", ".._.._x.jpg"),
        ("C:\\x.jpg", "C__x.jpg"),
        ("con.jpg", "_con.jpg"),
        ("LPT1", "_LPT1"),
        ("com10.jpg", "com10.jpg"),
        ("trailing. ", "trailing"),
        ("...", "_"),
        ("a\tb\0.jpg", "a_b_.jpg"),
        ("stream.jpg:hidden", "stream.jpg_hidden"),
        ("ü 日本.jpg", "ü 日本.jpg"),
    ],
)
def test_names_for_windows(name, safe):
    assert safe_name(name, windows=True) == safe
    assert safe_name(name, windows=False) == name


def test_a_scan_into_a_foreign_database_is_refused(make):
    db = make(statements=("DROP TABLE pictures", f"CREATE VIEW pictures AS {ENDLESS}"))
    with pytest.raises(StoreError, match="no table of pictures"):
        Store(db)


def test_a_good_database_with_more_in_it_is_read(make):
    db = make(
        GOOD,
        statements=(
            "CREATE INDEX i ON pictures (label)",
            "CREATE VIEW smokers AS SELECT * FROM pictures",
            "ALTER TABLE pictures ADD COLUMN note TEXT",
        ),
    )
    assert [row.label for row in read_rows(db)] == ["Smoking"]
