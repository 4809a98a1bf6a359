"""A picture that crashes the decoder costs itself and nothing else."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
from conftest import ROOT
from crashes import crashing_environment, write_crasher

from edge_app.scan import StoreError, read_rows

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="isolates decoders on Linux only")

CRASHERS = {"a.bmp": "SEGV", "b.bmp": "ABRT", "c.bmp": "SEGV", "d.bmp": "KILL"}


@pytest.fixture
def start_scan(tmp_path):
    """Starts a scan of ``tmp_path / "tree"`` in which some BMPs crash the decoder."""
    environment = crashing_environment(tmp_path)

    def start(*options):
        command = [sys.executable, "-m", "edge_app", "scan", "--db", tmp_path / "out.db"]
        return subprocess.Popen(
            [*command, tmp_path / "tree", *options],
            cwd=ROOT,
            env={**environment, "PYTHONFAULTHANDLER": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def tree(samples, tmp_path):
    """A folder of 120 good pictures and four that crash the decoder."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(120):
        os.link(samples / "coffee.jpg", tree / f"{number}.jpg")
    for name, signal_name in CRASHERS.items():
        write_crasher(tree / name, signal_name)
    return tree


def errors(tmp_path):
    """By name; nothing before the scan has made its table."""
    with contextlib.suppress(StoreError):
        return {row.path.name: row.error for row in read_rows(tmp_path / "out.db")}
    return {}


def wait_until(condition, process):
    end = time.monotonic() + 60
    while not condition():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)


def test_every_other_picture_has_its_answer_and_those_have_an_error(
    tree, tmp_path, start_scan, samples, classifier
):
    process = start_scan()
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "120 pictures scanned" in stdout
    assert "4 unreadable" in stdout
    reasons = {name: f"crashes the decoder (SIG{by})" for name, by in CRASHERS.items()}
    lines = sorted(line for line in stderr.splitlines() if "bmp" in line)
    assert lines == [f"{tree / name}: {reason}" for name, reason in sorted(reasons.items())]
    others = [line for line in stderr.splitlines() if line not in lines]
    assert all(re.match(r"\d+ pictures? of 124, ", line) for line in others)  # the progress
    wanted = classifier.classify(samples / "coffee.jpg").smoking
    for row in read_rows(tmp_path / "out.db"):
        assert row.error == reasons.get(row.path.name)
        assert row.smoking == (None if row.error else wanted)
    assert len(errors(tmp_path)) == 124

    again = start_scan()
    stdout, _ = again.communicate(timeout=120)
    assert again.returncode == 1
    assert "0 pictures scanned" in stdout
    assert "4 unreadable, 120 unchanged" in stdout
    write_crasher(tree / "a.bmp", "fine")  # the decoder was repaired, say
    stdout, _ = start_scan().communicate(timeout=120)
    assert "1 picture scanned" in stdout
    assert errors(tmp_path)["a.bmp"] is None


def test_ctrl_c_between_crashes_keeps_what_was_done(samples, tmp_path, start_scan, tree):
    for number in range(300):
        write_crasher(tree / f"more{number}.bmp")
    process = start_scan()
    db = tmp_path / "out.db"
    wait_until(lambda: db.exists() and "crashes" in str(errors(tmp_path).values()), process)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Run the same command again to resume" in stdout
    assert "Traceback" not in stderr
    assert 0 < len(errors(tmp_path)) < 424


def test_nothing_stays_behind_when_the_scan_is_killed(samples, tmp_path, start_scan, tree):
    process = start_scan("--watch")  # which is killed while it waits
    wait_until(lambda: psutil.Process(process.pid).children(), process)
    helpers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(helpers, timeout=20)
    assert not alive


def test_a_picture_that_arrives_and_crashes_does_not_end_the_watch(tmp_path, start_scan, samples):
    (tmp_path / "tree").mkdir()
    process = start_scan("--watch")
    db = tmp_path / "out.db"
    wait_until(db.exists, process)
    write_crasher(tmp_path / "tree" / "old.bmp")
    os.utime(tmp_path / "tree" / "old.bmp", (0, 0))  # else it would be tried again for a while
    wait_until(lambda: errors(tmp_path).get("old.bmp"), process)
    (tmp_path / "tree" / "new.jpg").write_bytes((samples / "coffee.jpg").read_bytes())
    wait_until(lambda: "new.jpg" in errors(tmp_path), process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert errors(tmp_path) == {"old.bmp": "crashes the decoder (SIGSEGV)", "new.jpg": None}
