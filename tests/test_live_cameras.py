"""Several cameras in one run: from a file or from options, fair, and none disturbs another."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from click.testing import CliRunner
from conftest import ROOT

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from live_servers import MjpegServer, RtspServer, frames_until, wait_for  # noqa: E402

from edge_app.cli.live import live  # noqa: E402
from edge_app.live import Camera, Outputs, SourceError, Zone, run_live  # noqa: E402
from edge_app.live.config import read_cameras  # noqa: E402
from edge_app.live.event_log import EventLog  # noqa: E402
from edge_app.live.pool import Pool  # noqa: E402

FILE = """
fps = 5

[[camera]]
name = "Front door"
source = "rtsp://me:s3cret@192.168.1.20/stream1"
region = "100,0 500,0 300,400"
mask = ["0,0,80,40"]
threshold = 0.6

[[camera]]
source = 1
fps = 2.5
"""


def write(folder, text):
    path = folder / "cameras.toml"
    path.write_text(text)
    return path


def test_cameras_come_from_a_file(tmp_path):
    door, other = read_cameras(write(tmp_path, FILE))
    assert (door.name, door.fps, door.threshold) == ("Front door", 5, 0.6)
    assert door.source == "rtsp://me:s3cret@192.168.1.20/stream1"
    assert door.zone.region == ((100, 0), (500, 0), (300, 400))
    assert door.zone.masks == (((0, 0), (80, 0), (80, 40), (0, 40)),)
    assert other == Camera("1", "camera 2", 2.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no camera in it"),
        ("[camera]\nsource = '0'", "no camera in it"),
        ("[[camera]]\nname = 'x'", "camera 1: source is missing"),
        ("[[camera]]\nsource = '0'\npassword = 's3cret'", "camera 1: unknown key 'password'"),
        ("[[camera]]\nsource = '0'\nfps = -1", "camera 1: fps: expected a number"),
        ("[[camera]]\nsource = '0'\nthreshold = true", "camera 1: threshold: expected a number"),
        ("[[camera]]\nsource = '0'\nregion = '1,2'", "region: expected x,y,width,height"),
        ("[[camera]]\nsource = '0'\nmask = ['0,0']", "mask: expected x,y,width,height"),
        ("[[camera]]\nsource = '0'\nmask = [1]", 'mask: expected a text in quotes, as mask = "1"'),
        ("[[camera]]\nsource = '0'\nmask = 1", "camera 1: mask: expected a text in quotes"),
        ("[[camera]]\nsource = '0'\nregion = [1,2,3,4]", 'quotes, as region = "1,2,3,4"'),
        ("[[camera]]\nsource = '0'\nname = 3", "camera 1: name: expected a text in quotes"),
        ("[[camera]]\nsource = '0'\nname = ' '", "camera 1: name: expected a text in quotes"),
        ("[[camera]]\nsource = ''", "source: expected a text in quotes, or a camera's number"),
        ("[[camera]]\nsource = -1", "source: expected a text in quotes, or a camera's number"),
        ("[[camera]]\nsource = 0\nname = 'a'\n" * 2, "two cameras have the name 'a'"),
        ("width = 3\n[[camera]]\nsource = 0", "unknown key 'width'"),
        ("[[camera]\nsource = 'rtsp://me:s3cret@h'", "line 1"),
        ("[[camera]]\nsource = rtsp://me:s3cret@h", "line 2, column 10); texts need quotes"),
        ("camera = 3", "no camera in it"),
        ("camera = [3]", "camera 1: write it as [[camera]]"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_without_passwords(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ValueError) as error:
        read_cameras(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "s3cret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_of_notepad_is_read(tmp_path):
    path = tmp_path / "cameras.toml"
    path.write_text(FILE, encoding="utf-8-sig")
    assert [camera.name for camera in read_cameras(path)] == ["Front door", "camera 2"]


def test_a_file_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "cameras.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="is not UTF-8"):
        read_cameras(path)


@pytest.mark.parametrize("more", [["--source", "0"], ["--fps", "3"], ["--region", "0,0,9,9"]])
def test_a_file_and_options_for_one_camera_exclude_each_other(tmp_path, more):
    result = CliRunner().invoke(live, ["--config", str(write(tmp_path, FILE)), *more])
    assert result.exit_code == 2
    assert "--config cannot be combined with" in result.output


def test_a_window_is_for_one_camera(samples):
    result = CliRunner().invoke(live, ["--source", "a", "--source", "b", "--display", "window"])
    assert result.exit_code == 2
    assert "use --serve with several" in result.output


def test_who_waits_longest_for_an_interpreter_is_served_next(classifier, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    pool, order = Pool(classifier, cameras=3), []

    def work(name):
        for _ in range(5):
            with pool.take():
                order.append(name)
                time.sleep(0.002)

    with pool.take():
        threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
        for number, thread in enumerate(threads, 1):
            thread.start()
            wait_for(lambda number=number: len(pool._waiting) == number)
    for thread in threads:
        thread.join()
    assert "".join(order) == "abc" * 5


def test_a_fast_camera_does_not_starve_a_slow_one(samples, classifier, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    counts = {}

    def count(moment):
        counts[moment.camera.name] = counts.get(moment.camera.name, 0) + 1

    pictures = samples / "coffee.jpg", samples / "astronaut.jpg"
    with MjpegServer(pictures[0], fps=200) as fast, MjpegServer(pictures[1], fps=4) as slow:
        cameras = [Camera(fast.url, "fast"), Camera(slow.url, "slow")]
        frames = frames_until(lambda: counts.get("slow", 0) >= 8)
        summary = run_live(cameras, classifier, on_frame=count, frames=frames)
    assert summary.failed == 0
    assert counts["fast"] > 2


def test_each_camera_has_its_own_region_threshold_and_state(samples, classifier):
    last, states = {}, {"always": set(), "never": set()}

    def see(moment):
        last[moment.camera.name] = moment
        states[moment.camera.name].add(moment.state)

    with MjpegServer(samples / "coffee.jpg") as server:
        cameras = [
            Camera(server.url, "always", threshold=0.0),
            Camera(server.url, "never", threshold=1.0),
        ]
        frames = frames_until(lambda: len(last) == 2 and last["always"].state == "smoking")
        run_live(cameras, classifier, on_frame=see, frames=frames)
    assert last["always"].prediction.label == "Smoking"
    assert "smoking" not in states["never"]
    assert last["never"].prediction.label == "NotSmoking"


def test_a_camera_that_cannot_be_opened_does_not_disturb_the_others(samples, classifier, caplog):
    with MjpegServer(samples / "coffee.jpg") as server:
        cameras = [
            Camera("http://me:s3cret@127.0.0.1:9/none", "dead"),
            Camera("missing.mp4", "file"),
            Camera(server.url, "well"),
        ]
        seen = []
        frames = frames_until(lambda: len(seen) > 5 and "dead: http" in caplog.text)
        summary = run_live(cameras, classifier, on_frame=seen.append, frames=frames)
    assert (summary.failed, summary.outages, summary.lost) == (1, 1, True)
    assert "dead: http://me@127.0.0.1:9/none: cannot be opened" in caplog.text
    assert "file: missing.mp4: there is no such file" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_camera_that_ends_with_an_error_is_lost_in_its_outputs(
    samples, classifier, tmp_path, caplog
):
    from live_files import records

    log, seen = EventLog(tmp_path / "events.jsonl"), []
    with MjpegServer(samples / "coffee.jpg") as server:
        cameras = [
            Camera(server.url, "wrong", zone=Zone.parse("5000,0,10,10")),
            Camera(server.url, "well"),
        ]
        frames = frames_until(lambda: len(seen) > 2 and "lies outside" in caplog.text)
        outputs = [Outputs(log=log), Outputs(log=log)]
        run_live(cameras, classifier, outputs=outputs, on_frame=seen.append, frames=frames)
    (lost,) = [one for one in records(tmp_path / "events.jsonl") if one["event"] == "lost"]
    assert lost["camera"] == "wrong"
    assert lost["reason"].startswith("region 5000,0,10,10: lies outside the frame")


def test_where_no_camera_can_be_used_the_run_ends(classifier):
    with pytest.raises(SourceError, match=r"a\.mp4"):
        run_live([Camera("a.mp4", "1"), Camera("b.mp4", "2")], classifier)


def test_an_error_of_one_camera_leaves_the_others_alone(samples, classifier, caplog):
    seen = []

    def fail(moment):
        if moment.camera.name == "bad":
            raise RuntimeError("of another program")
        seen.append(moment)

    with MjpegServer(samples / "coffee.jpg") as server:
        cameras = [Camera(server.url, "bad"), Camera(server.url, "good")]
        frames = frames_until(lambda: len(seen) > 5 and "another program" in caplog.text)
        summary = run_live(cameras, classifier, on_frame=fail, frames=frames)
    assert summary.failed == 1
    assert "of another program" in caplog.text


def test_several_video_files_are_all_classified_whole(tmp_path, samples, classifier):
    from live_files import records, write_video

    paths = [
        write_video(tmp_path / f"{name}.avi", [samples / f"{name}.jpg"], seconds=2)
        for name in ("coffee", "astronaut")
    ]
    log = EventLog(tmp_path / "events.jsonl")
    cameras = [Camera(str(path), path.stem, threshold=0.0) for path in paths]
    summary = run_live(cameras, classifier, outputs=[Outputs(log=log), Outputs(log=log)])
    assert summary.classified == 40
    found = records(tmp_path / "events.jsonl")
    assert sorted((record["camera"], record["event"]) for record in found) == [
        *(("astronaut", "end"), ("astronaut", "start"), ("coffee", "end"), ("coffee", "start"))
    ]


def test_two_rtsp_streams_of_a_file_one_dies_and_comes_back(samples, tmp_path):
    events = tmp_path / "watch" / "events.jsonl"
    with RtspServer(samples / "coffee.jpg") as first, RtspServer(samples / "coffee.jpg") as second:
        text = f'[[camera]]\nname = "Door"\nsource = "{first.url}"\nthreshold = 0\n'
        text += f'[[camera]]\nname = "Yard"\nsource = "{second.url}"\nthreshold = 0\n'
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "edge_app", "live", "--archive", tmp_path / "watch"),
                *("--config", write(tmp_path, text)),
            ],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

        def told(camera, kind):
            lines = events.read_text().splitlines() if events.exists() else []
            found = map(json.loads, lines)
            return [r for r in found if r["camera"] == camera and r["event"] == kind]

        try:
            wait_for(lambda: told("Door", "start") and told("Yard", "start"), 60)
            first.stop()
            wait_for(lambda: told("Door", "end") and told("Door", "lost"), 60)
            first.start()
            wait_for(lambda: told("Door", "restored") and len(told("Door", "start")) == 2, 90)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
    assert process.returncode == 0, errors
    assert not told("Yard", "lost")
    (end,) = told("Yard", "end")
    ended = [*told("Door", "end"), end]
    files = {path.name for path in (tmp_path / "watch").iterdir()}
    assert {record["clip"] for record in ended} <= files
    assert {record["snapshot"] for record in ended} <= files
