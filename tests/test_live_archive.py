"""What a run kept, read again: the command ``events``, and reports of a day and of a video."""

import json
import os
import re
import shutil
from datetime import date, datetime, timedelta, timezone

import pytest
from click.testing import CliRunner
from conftest import run_module

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from edge_app.cli.events import events as command  # noqa: E402
from edge_app.cli.live import live  # noqa: E402
from edge_app.live.archive import ArchiveError, days, read_archive  # noqa: E402

NOON = datetime(2026, 5, 3, 12, 0, 0).astimezone()


def utc(moment):
    text = moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def record(kind, when, **more):
    return json.dumps({"event": kind, "time": utc(when), "schema": 2, **more}) + "\n"


def pair(name, when, seconds, **more):
    """The records of an event."""
    same = {"id": name, "started": utc(when), "peak": 0.93, "camera": "Door <1>", **more}
    ended = when + timedelta(seconds=seconds)
    return record("start", when, **same) + record("end", ended, **same, seconds=seconds)


@pytest.fixture
def archive(tmp_path, samples):
    """Two days with three events, one of them without an end, and a lost source."""
    folder = tmp_path / "watch"
    folder.mkdir()
    picture, clip = "smoking-20260503T100000Z-b.jpg", "smoking-20260503T100000Z-b.mp4"
    (folder / picture).write_bytes((samples / "coffee.jpg").read_bytes())
    (folder / clip).write_bytes(b"video")
    (folder / "events.jsonl.1").write_text(pair("a", NOON - timedelta(days=1), 4.0))
    (folder / "events.jsonl").write_text(
        record("lost", NOON - timedelta(hours=2), camera="Door <1>", reason="it ended")
        + record("restored", NOON - timedelta(hours=1), camera="Door <1>", lost_seconds=3600)
        + pair("b", NOON, 12.5, snapshot=picture, clip=clip)
        + '{"event": "start", "id": "broken'
        + "\n[1]\n{}\n"
        + record("start", NOON + timedelta(hours=1), id="c", started=utc(NOON), camera="Yard")
    )
    return folder


def test_events_are_read_from_all_files_in_order_with_their_pictures(archive):
    kept = read_archive(archive)
    assert [one.id for one in kept if one.is_event] == ["a", "b", "c"]
    b = next(one for one in kept if one.id == "b")
    assert (b.seconds, b.peak, b.camera) == (12.5, 0.93, "Door <1>")
    assert (b.picture.suffix, b.clip.suffix) == (".jpg", ".mp4")
    (lost,) = [one for one in kept if not one.is_event]
    assert lost.seconds == 3600
    assert days(kept) == [date(2026, 5, 2), date(2026, 5, 3)]
    assert read_archive(archive / "events.jsonl") == kept


def test_the_names_of_the_first_version_are_read_too(tmp_path):
    (tmp_path / "events.jsonl").write_text(
        record("blind", NOON, source="0")
        + record("sighted", NOON + timedelta(seconds=9), source="0")
    )
    (lost,) = read_archive(tmp_path)
    assert (lost.is_event, lost.seconds, lost.camera) == (False, 9.0, "0")


def test_a_record_cannot_name_a_file_elsewhere(tmp_path):
    folder = tmp_path / "watch"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"x")
    more = {"snapshot": "../secret.jpg", "clip": str(tmp_path / "secret.jpg")}
    (folder / "events.jsonl").write_text(pair("a", NOON, 1.0, **more))
    (one,) = read_archive(folder)
    assert (one.picture, one.clip) == (None, None)


def test_a_folder_without_events_is_named(tmp_path):
    with pytest.raises(ArchiveError, match=re.escape(str(tmp_path))):
        read_archive(tmp_path)
    result = CliRunner().invoke(command, [str(tmp_path)])
    assert result.exit_code == 2
    assert "has no events.jsonl. Give the folder" in result.output


def test_the_command_lists_events_by_day_and_camera(archive):
    lines = CliRunner().invoke(command, [str(archive)]).output.splitlines()
    assert len(lines) == 3
    assert lines[1].split("  ")[0] == f"{NOON:%Y-%m-%d %H:%M:%S}"
    assert lines[1].endswith("12 s   93%  Door <1>  smoking-20260503T100000Z-b.mp4")
    options = ["--day", "2026-05-03", "--camera", "Yard"]
    (line,) = CliRunner().invoke(command, [str(archive), *options]).output.splitlines()
    assert line.endswith("Yard")
    output = CliRunner().invoke(command, [str(archive), "--format", "jsonl"]).output
    assert [json.loads(line)["id"] for line in output.splitlines()] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--camera", "no such"], "No events of camera 'no such'. Known cameras: Door <1>"),
        (["--day", "2020-01-01"], "No events on 2020-01-01."),
    ],
)
def test_it_says_when_there_are_no_such_events(archive, options, said):
    result = CliRunner().invoke(command, [str(archive), *options])
    (line,) = result.output.splitlines()
    assert result.exit_code == 0
    assert line.startswith(said)


def test_the_report_of_a_day_is_one_file_with_pictures_and_links_to_clips(archive, tmp_path):
    out = tmp_path / "reports" / "day.html"
    result = CliRunner().invoke(command, [str(archive), "--report", str(out)])
    assert result.exit_code == 0, result.output
    assert result.output == f"2 events of 2026-05-03 in {out}\n"
    page = out.read_text()
    assert "Door &lt;1&gt;, 12 s, peak 93%" in page
    assert page.count("data:image/jpeg;base64,") == 1
    assert 'href="../watch/smoking-20260503T100000Z-b.mp4"' in page
    assert page.count('class="event"') == 2
    assert page.count('class="lost"') == 1
    assert "2 events, red on the timeline. Amber: a source was lost." in page
    CliRunner().invoke(command, [str(archive), "--day", "2026-05-02", "--report", str(out)])
    assert "Amber" not in out.read_text()
    assert "http" not in page.replace("http-equiv", "")


def test_help_says_how_a_day_is_written():
    assert "--day YYYY-MM-DD" in CliRunner().invoke(command, ["--help"]).output


def test_a_day_that_is_none_is_named(archive):
    result = CliRunner().invoke(command, [str(archive), "--day", "yesterday"])
    assert result.exit_code == 2
    assert "'yesterday': expected a day such as 2026-11-28" in result.output


def test_a_report_that_cannot_be_written_is_said(archive, tmp_path):
    (tmp_path / "file").touch()
    result = CliRunner().invoke(command, [str(archive), "--report", str(tmp_path / "file" / "x")])
    assert result.exit_code == 2
    assert "cannot be written" in result.output


@pytest.fixture
def video(tmp_path, samples):
    from live_files import write_video

    return write_video(tmp_path / "a video.avi", [samples / "coffee.jpg"], seconds=2)


def test_a_video_file_becomes_a_report_of_its_moments(video, tmp_path):
    out = tmp_path / "out.html"
    arguments = ("--source", video, "--threshold", "0", "--report", out)
    result = run_module("edge_app", "live", *arguments)
    assert result.returncode == 0, result.stderr
    assert f"1 event in {out}" in result.stdout
    assert "frame 0" not in result.stdout  # a progress bar instead of lines
    page = out.read_text()
    assert "Events in a video.avi" in page
    assert "1 event in 0:02" in page
    assert 'href="a%20video.avi#t=0.0"' in page
    assert page.count("data:image/jpeg;base64,") == 1
    assert os.path.getsize(out) < 100_000


@pytest.mark.parametrize("more", [["--realtime"], ["--source", "b"]])
def test_a_report_is_for_one_video_file(video, tmp_path, more):
    arguments = ["--source", str(video), "--report", str(tmp_path / "out.html"), *more]
    result = CliRunner().invoke(live, arguments)
    assert result.exit_code == 2
    assert "it is for one video file" in result.output


@pytest.mark.parametrize("option", ["--report", "--events"])
@pytest.mark.parametrize("kind", ["picture", "video"])
def test_live_writes_over_no_picture_and_no_video(video, samples, tmp_path, option, kind):
    own = tmp_path / "own.jpg"
    shutil.copy(samples / "coffee.jpg" if kind == "picture" else video, own)
    before = own.read_bytes()
    result = CliRunner().invoke(live, ["--source", str(video), option, str(own)])
    assert result.exit_code == 2
    assert f"{own} is a {kind}, which would be lost" in result.output
    assert own.read_bytes() == before


def test_a_report_of_a_day_is_written_over_no_picture(archive, samples, tmp_path):
    own = tmp_path / "own.html"
    shutil.copy(samples / "coffee.jpg", own)
    result = CliRunner().invoke(command, [str(archive), "--report", str(own)])
    assert result.exit_code == 2
    assert f"{own} is a picture, which would be lost" in result.output
    assert own.read_bytes() == (samples / "coffee.jpg").read_bytes()


def test_a_browser_shows_the_report_without_a_complaint(archive, tmp_path):
    pytest.importorskip("playwright.sync_api", reason="needs requirements-dev.txt")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    from webpage import chromium

    out = tmp_path / "day.html"
    CliRunner().invoke(command, [str(archive), "--report", str(out)])
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        lines = []
        page.on("console", lambda line: lines.append(line.text))
        page.goto(out.as_uri())
        page.wait_for_function("document.querySelector('.events img').naturalWidth > 100")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        violations = axe.run(page).response["violations"]
    assert [entry["id"] for entry in violations] == []
    assert lines == []


GOOD = {"event": "end", "id": "ab12", "time": "2026-11-28T10:00:00Z", "seconds": 2, "peak": 0.9}


@pytest.mark.parametrize("as_report", [False, True], ids=["list", "report"])
@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b"7" * 5_000,
        b"\xff\xfe\0",
        *(
            json.dumps({**GOOD, **change}).encode()
            for change in (
                {"time": "0001-01-01T00:00:00+14:00"},
                {"seconds": 10**400},
                {"peak": float("nan")},
                {"seconds": float("inf")},
                {"id": ["ab12"]},
                {"camera": {"name": 7}},
            )
        ),
    ],
    ids=lambda line: line[-40:].decode(errors="replace"),
)
def test_a_line_that_makes_no_sense_costs_no_other(tmp_path, line, as_report):
    good = json.dumps({**GOOD, "id": "cd34", "camera": "Yard"}).encode()
    (tmp_path / "events.jsonl").write_bytes(line + b"\n" + good + b"\n")
    report = tmp_path / "day.html"
    options = ["--report", str(report)] if as_report else []
    result = CliRunner().invoke(command, [str(tmp_path), *options])
    assert result.exit_code == 0, result.output
    assert "Yard" in (report.read_text() if as_report else result.output)


def test_a_name_of_a_camera_sends_nothing_to_the_terminal(tmp_path):
    record = {**GOOD, "camera": "Yard\x1b[2J\n\ud800"}
    (tmp_path / "events.jsonl").write_text(json.dumps(record) + "\n")
    result = CliRunner().invoke(command, [str(tmp_path)])
    assert result.output.count("\n") == 1
    assert "Yard\\x1b[2J\\n\\ud800" in result.output
