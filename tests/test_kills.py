"""Commands that are killed at any moment leave no half file, and the next run cleans up."""

import json
import re
import shutil
import signal
import subprocess
import sys

import pytest
from conftest import ROOT, write_bare_model
from kill_points import Killer, spread

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

EARLIER = b"of yesterday"
MOST = 25
"""Kills per command; one that changes fewer files is killed at each change."""


@pytest.fixture
def killer(tmp_path):
    with Killer(tmp_path, "edge_app.cli", "edge_app.live", "edge_app.export") as made:
        yield made


def scanned(killer, samples):
    db = killer.folder / "out.db"
    assert killer.run("edge_app", "scan", samples, "--db", db).code == 0
    return db


def table(killer, samples):
    out = killer.folder / "out.csv"
    return ["edge_app", "export", scanned(killer, samples), "--out", out], [out]


def report(killer, samples):
    out = killer.folder / "out.html"
    return ["edge_app", "export", scanned(killer, samples), "--format", "html", "--out", out], [out]


def report_of_a_day(killer, samples):
    out = killer.folder / "day.html"
    record = {"event": "end", "id": "0123456789ab", "time": "2026-11-28T10:00:00Z", "seconds": 2}
    (killer.folder / "events.jsonl").write_text(json.dumps(record) + "\n")
    return ["edge_app", "events", killer.folder, "--report", out], [out]


def described_copy(killer, samples):
    """Of somebody else's model, which is kept in the user's cache."""
    model = write_bare_model(killer.folder / "bare.tflite")
    options = ["--labels", "no,yes", "--positive", "yes", "--input-range", "-1", "1"]
    command = ["edge_app", "classify", samples / "coffee.jpg", "--model", model, *options]
    assert killer.run(*command).code == 0
    return command, list((killer.folder / "cache").rglob("*.tflite"))


def contents(paths):
    return [path.read_bytes() if path.exists() else None for path in paths]


def files(folder):
    """All but the files by which Python's own modules try whether they may write."""
    found = (path for path in folder.rglob("*") if path.is_file())
    probe = re.compile(r"tmp/(tmp)?[a-z0-9_]{8}")
    names = (path.relative_to(folder) for path in found)
    return sorted(name for name in names if not probe.fullmatch(name.as_posix()))


def ends(changes):
    """At which change a command gets which signal: it is killed at many, and stopped at one."""
    for at in spread(changes, MOST):
        yield at, signal.SIGKILL
    yield changes // 2, signal.SIGTERM


@pytest.mark.parametrize("make", [table, report, report_of_a_day, described_copy])
def test_a_file_is_that_of_before_or_whole(make, samples, killer):
    command, outputs = make(killer, samples)
    for path in outputs:
        path.unlink(missing_ok=True)
    done = killer.run(*command)
    assert done.code == 0, done.output
    there, whole = files(killer.folder), contents(outputs)
    assert done.changes >= 2
    for at, number in ends(done.changes):
        before = EARLIER if at % 2 else None
        for path in outputs:
            path.write_bytes(before) if before else path.unlink()
        killed = killer.run(*command, at=at, number=number)
        assert killed.code == -number, killed.output
        assert "Traceback" not in killed.output
        for found, expected in zip(contents(outputs), whole, strict=True):
            assert found in (before, expected)
        done = killer.run(*command)
        assert done.code == 0, done.output
        assert contents(outputs) == whole
        assert files(killer.folder) == there


def test_copies_are_whole_and_the_next_run_copies_the_rest(samples, killer):
    db, out = scanned(killer, samples), killer.folder / "copies"
    command = ["edge_app", "export", db, "--copy-to", out, "--min-score", "0"]
    pictures = {path.name: path.read_bytes() for path in samples.glob("*.jpg")}
    for at, number in ends(killer.run(*command).changes):
        shutil.rmtree(out)
        assert killer.run(*command, at=at, number=number).code == -number
        for path in out.glob("[!.]*"):
            assert path.read_bytes() == pictures[path.name]
        done = killer.run(*command)
        assert done.code == 0, done.output
        assert {path.name: path.read_bytes() for path in out.iterdir()} == pictures


@pytest.mark.slow
def test_a_space_is_written_whole_by_the_next_run(killer):
    pytest.importorskip("gradio")
    out = killer.folder / "space"
    done = killer.run("edge_app", "space", out)
    assert done.code == 0, done.output
    whole, changes = files(out), done.changes
    last = [changes - before for before in range(8)]  # the files get their names
    for at in {*spread(changes, 3), *last}:
        shutil.rmtree(out)
        assert killer.run("edge_app", "space", out, at=at).code == -signal.SIGKILL
        done = killer.run("edge_app", "space", out)
        assert done.code == 0 or "holds something already" in done.output
        assert files(out) == whole


@pytest.fixture
def video(tmp_path, samples):
    """Some seconds with smoking between some without."""
    cv2 = pytest.importorskip("cv2", reason="needs opencv-python")
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (320, 240))
    for name in ("coffee", "smoking", "coffee"):
        pixels = cv2.resize(cv2.imread(str(samples / f"{name}.jpg")), (320, 240))
        for _ in range(25):
            writer.write(pixels)
    writer.release()
    return path


def count_frames(path):
    cv2 = pytest.importorskip("cv2", reason="needs opencv-python")
    opened = cv2.VideoCapture(str(path))
    return sum(1 for _ in iter(lambda: opened.read()[0], False))


def check_kept(folder):
    """Every file with a final name can be used; returns their names, without the events file."""
    kept = {path for path in folder.glob("smoking-*") if path.suffix in (".jpg", ".mp4")}
    assert all(map(count_frames, kept))
    events = folder / "events.jsonl"
    lines = events.read_text().splitlines() if events.exists() else []
    assert all(json.loads(line)["event"] in ("start", "end") for line in lines)
    return kept


def test_what_live_keeps_is_whole_and_half_clips_go_at_the_next_start(video, killer):
    pytest.importorskip("av", reason="needs requirements-live.txt")
    archive, page = killer.folder / "archive", killer.folder / "report.html"
    command = ["edge_app", "live", "--source", video, "--display", "none", "--fps", "5"]
    command += ["--archive", archive, "--report", page]
    done = killer.run(*command)
    assert done.code == 0, done.output
    kept = check_kept(archive)
    assert sorted(path.suffix for path in kept) == [".jpg", ".mp4"]
    for at in spread(done.changes, 5):
        killed = killer.run(*command, at=at)
        assert killed.code == -signal.SIGKILL, killed.output
        assert kept <= check_kept(archive)
        kept = check_kept(archive)
        assert page.read_text().endswith("</html>\n")
    assert killer.run(*command).code == 0
    assert len(check_kept(archive) - kept) == 2
    assert {path.name for path in archive.iterdir()} == {
        "events.jsonl",
        *(path.name for path in check_kept(archive)),
    }


def test_what_live_keeps_is_complete_when_it_is_stopped(video, killer):
    pytest.importorskip("av", reason="needs requirements-live.txt")
    archive, film = killer.folder / "archive", killer.folder / "film.mp4"
    command = ["edge_app", "live", "--source", video, "--display", "none", "--fps", "5"]
    command += ["--archive", archive, "--record", film]
    changes = killer.run(*command).changes
    stopped = killer.run(*command, at=changes - 2, number=signal.SIGTERM)
    assert stopped.code == 0, stopped.output
    assert " classified in " in stopped.output
    assert len(check_kept(archive)) == 4
    events = [json.loads(line) for line in (archive / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["start", "end"] * 2


def test_a_recording_that_is_killed_plays_up_to_its_last_second(video, tmp_path):
    pytest.importorskip("av", reason="needs requirements-live.txt")
    from live_servers import wait_for

    archive, film = tmp_path / "archive", tmp_path / "film.mp4"
    command = [sys.executable, "-m", "edge_app", "live", "--source", video, "--display", "none"]
    command += ["--archive", archive]
    options = ["--realtime", "--record", film]
    process = subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:  # in the middle of a clip
        wait_for(lambda: any(path.stat().st_size for path in archive.glob(".*.partial.mp4")), 120)
    finally:
        process.kill()
        process.wait()
    frames = count_frames(film)
    assert frames >= 15  # of the two and a half seconds before the event, and of its beginning
    assert list(archive.glob(".*"))
    subprocess.run([*command, "--duration", "0.1"], cwd=ROOT, check=True, capture_output=True)
    assert not list(archive.glob(".*"))
    assert count_frames(film) == frames
