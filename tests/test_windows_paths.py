"""Paths of Windows, as far as they can be tested elsewhere: drives, UNC and backslashes."""

import sqlite3
from pathlib import PureWindowsPath

import pytest

from edge_app.files import is_remote
from edge_app.scan.rows import path_of, stored_name
from edge_app.scan.store import _below

PATHS = (
    r"C:\Users\me\Pictures\a.jpg",
    r"C:\x41\xff.jpg",  # looks like an escape and is none
    r"\\server\share\folder\a.jpg",
    r"\\?\C:\very\long\a.jpg",
    "D:\\Übersicht\\日本\\a.jpg",
    r"C:\back\x5cslash.jpg",
)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_comes_back_from_the_database_as_it_was(path):
    name = stored_name(PureWindowsPath(path))
    assert PureWindowsPath(path_of(name)) == PureWindowsPath(path)


@pytest.mark.parametrize("path", PATHS)
def test_it_is_a_path_of_this_machine_and_no_address(path):
    assert not is_remote(path)


@pytest.mark.parametrize(
    ("root", "inside", "outside"),
    [
        (r"C:\pics", r"C:\pics\a.jpg", r"C:\pics0\a.jpg"),
        (r"C:\pics", r"C:\pics\deep\er\a.jpg", r"C:\pics]\a.jpg"),
        ("C:\\", r"C:\a.jpg", r"D:\a.jpg"),
        (r"\\server\share", r"\\server\share\a.jpg", r"\\server\share2\a.jpg"),
        (r"C:\x41", r"C:\x41\a.jpg", r"C:\A\a.jpg"),
    ],
)
def test_what_is_below_a_folder(root, inside, outside):
    condition, values = _below(root, "\\")
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE pictures (path TEXT)")
        connection.executemany(
            "INSERT INTO pictures VALUES (?)", [(stored_name(p),) for p in (inside, outside)]
        )
        found = connection.execute(f"SELECT path FROM pictures WHERE {condition}", values)
        assert [path_of(name) for (name,) in found] == [inside]
