"""A scan that is killed at any moment loses nothing, does nothing twice, and harms no file."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

PICTURES = 600
KILLS = 50

# Forks instead of starting again each time: a whole process is killed either way, and
# fifty starts of an interpreter would take most of the test's time. It commits much more often than
# usual, so that many a kill hits a write.
KILLER = """
import json, os, random, signal, sqlite3, sys, time
from pathlib import Path
from edge_app import Classifier
from edge_app.scan import run_scan, scanner

tree, db, kills, pictures = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])
scanner.COMMIT_SECONDS = 0.01
info = Classifier().info
random.seed(0)

def rows():
    connection = sqlite3.connect(db, timeout=30)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    query = "SELECT path, scanned_at FROM pictures" if tables else "SELECT 1, 1 LIMIT 0"
    found = dict(connection.execute(query))
    connection.close()
    return found

def scan_in_child():
    child = os.fork()
    if child == 0:
        run_scan(tree, db, info, workers=1)
        os._exit(0)
    return child

start, child = time.monotonic(), scan_in_child()
while not (db.exists() and rows()):
    time.sleep(0.01)
startup = time.monotonic() - start
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)

before, growths = rows(), 0
while kills:
    if len(before) > 0.8 * pictures:  # begin again, so that there is always something to do
        for path in db.parent.glob(db.name + "*"):
            path.unlink()
        before = {}
    child = scan_in_child()
    time.sleep(random.uniform(0, startup + 0.15))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    kills -= os.WIFSIGNALED(status)
    after = rows()
    assert {path: after.get(path) for path in before} == before  # nothing lost, nothing done twice
    growths += len(after) > len(before)
    before = after
json.dump({"rows": before, "growths": growths}, sys.stdout)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, as on Unix")
def test_fifty_kills_lose_nothing_and_do_nothing_twice(samples, tmp_path, classifier):
    from edge_app.scan import read_rows, run_scan

    tree, db = tmp_path / "tree", tmp_path / "out.db"
    originals = sorted(samples.glob("*.jpg"))
    for number in range(PICTURES):
        folder = tree / str(number % 7)
        folder.mkdir(parents=True, exist_ok=True)
        os.link(originals[number % len(originals)], folder / f"{number}.jpg")
    killer = subprocess.run(
        [sys.executable, "-c", KILLER, tree, db, str(KILLS), str(PICTURES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert killer.returncode == 0, killer.stderr
    killed = json.loads(killer.stdout)
    assert killed["growths"] > KILLS / 10  # it was not always killed before it did anything

    summary = run_scan(tree, db, classifier.info)
    assert summary.unchanged == len(killed["rows"])
    assert summary.scanned == PICTURES - len(killed["rows"])
    expected = [classifier.classify(original) for original in originals]
    found = list(read_rows(db))
    assert sorted(int(row.path.stem) for row in found) == list(range(PICTURES))
    for row in found:
        wanted = expected[int(row.path.stem) % len(originals)]
        assert (row.label, row.smoking, row.error) == (wanted.label, wanted.smoking, None)
        assert killed["rows"].get(str(row.path), row.scanned_at) == row.scanned_at
