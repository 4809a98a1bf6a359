"""The events file, the pictures kept and the recording: whole, bounded, useful after a crash."""

import itertools
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from edge_app import Prediction  # noqa: E402
from edge_app.cli.live import live  # noqa: E402
from edge_app.live import Camera, EventDetector, Outputs, Rule, SourceError, run_live  # noqa: E402
from edge_app.live.event_detector import Event  # noqa: E402
from edge_app.live.event_log import EventLog  # noqa: E402
from edge_app.live.frames import Frame  # noqa: E402
from edge_app.live.pictures import Snapshots  # noqa: E402
from edge_app.live.recorder import Recorder  # noqa: E402


def write_video(path, pictures, seconds=3, fps=10):
    """A video that shows each picture for some seconds."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, (320, 240))
    for picture in pictures:
        pixels = cv2.resize(cv2.imread(str(picture)), (320, 240))
        for _ in range(int(seconds * fps)):
            writer.write(pixels)
    writer.release()
    return path


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def scores(tmp_path_factory, samples, classifier):
    """The score of each sample and of some crops, of which the model takes one for smoking."""
    folder, found = tmp_path_factory.mktemp("crops"), {}
    for sample in sorted(samples.glob("*.jpg")):
        picture = cv2.imread(str(sample))
        height, width = picture.shape[:2]
        for share in (1, 0.3, 0.2):
            places = np.linspace(0, 1 - share, 6 if share < 1 else 1)
            for top, left in itertools.product(places, repeat=2):
                y, x = int(top * height), int(left * width)
                crop = picture[y : y + int(share * height), x : x + int(share * width)]
                path = folder / f"{sample.stem}_{share}_{y}_{x}.png"
                cv2.imwrite(str(path), cv2.resize(crop, (320, 240)))
                found[path] = classifier.classify(path).smoking
    return found


@pytest.fixture
def episode(tmp_path, scores):
    """A video whose middle scores higher than the rest, and a rule that lies between."""
    low, high = min(scores, key=scores.get), max(scores, key=scores.get)
    gap = scores[high] - scores[low]
    rule = Rule(begin=scores[high] - 0.3 * gap, end=scores[low] + 0.3 * gap)
    return write_video(tmp_path / "video.avi", [low, high, low]), rule, scores[high]


def test_an_episode_of_a_video_is_one_event_with_its_picture(episode, classifier, tmp_path):
    video, rule, highest = episode
    outputs = Outputs(
        log=EventLog(tmp_path / "events.jsonl"), snapshots=Snapshots(tmp_path / "kept")
    )
    summary = run_live(str(video), classifier, display="none", rule=rule, outputs=outputs)
    start, end = records(tmp_path / "events.jsonl")
    assert (summary.events, start["event"], end["event"]) == (1, "start", "end")
    assert start["id"] == end["id"]
    assert 2.5 < end["seconds"] < 4.0
    assert end["peak"] == pytest.approx(highest, abs=0.15)  # of JPEG frames of the video
    assert 0 < end["mean"] <= end["peak"]
    assert end["reason"] == "over"
    assert end["source"] == str(video)
    assert classifier.info.sha256[:12] in end["model"]
    (picture,) = (tmp_path / "kept").iterdir()
    assert picture.name == end["snapshot"]
    assert end["id"] in picture.name
    again = classifier.classify(picture).smoking
    assert again == pytest.approx(end["peak"], abs=0.1)


@pytest.mark.parametrize("fps", [None, 5])
def test_an_event_is_the_same_at_another_frame_rate(episode, classifier, tmp_path, fps):
    video, rule, _ = episode
    outputs = Outputs(log=EventLog(tmp_path / "events.jsonl"))
    run_live(Camera(str(video), fps=fps), classifier, display="none", rule=rule, outputs=outputs)
    assert 2.5 < records(tmp_path / "events.jsonl")[-1]["seconds"] < 4.0


def test_an_event_that_lasts_when_the_run_ends_is_ended(scores, classifier, tmp_path):
    high = max(scores, key=scores.get)
    video = write_video(tmp_path / "video.avi", [high])
    outputs = Outputs(log=EventLog(tmp_path / "events.jsonl"))
    rule = Rule(begin=scores[high] / 2, end=scores[high] / 4)
    run_live(str(video), classifier, display="none", rule=rule, outputs=outputs)
    assert [record["event"] for record in records(tmp_path / "events.jsonl")] == ["start", "end"]
    assert records(tmp_path / "events.jsonl")[-1]["reason"] == "stopped"


def test_the_events_file_is_bounded_and_nothing_newer_is_lost(tmp_path):
    log = EventLog(tmp_path / "events.jsonl", max_bytes=1000, keep=2)
    for number in range(500):
        log.write({"number": number})
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["events.jsonl", "events.jsonl.1", "events.jsonl.2"]
    assert all(file.stat().st_size <= 1000 for file in files)
    kept = [record["number"] for file in reversed(files) for record in records(file)]
    assert kept == list(range(kept[0], 500))


def test_a_line_that_a_power_cut_broke_stays_alone(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"number": 1}\n{"num')
    log = EventLog(path)
    log.write({"number": 2})
    log.close()
    assert path.read_text().splitlines() == ['{"number": 1}', '{"num', '{"number": 2}']


def test_a_record_is_on_disk_as_soon_as_it_is_written(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.write({"number": 1})
    assert records(tmp_path / "events.jsonl") == [{"number": 1}]
    log.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
def test_a_full_disk_is_said_once_and_does_not_end_the_run(caplog):
    outputs = Outputs(log=EventLog(Path("/dev/full")))
    for _ in range(3):
        outputs.write({"event": "lost", "reason": "test"}, time.time())
    outputs.close()
    assert caplog.text.count("--events: ") == 1


@pytest.mark.parametrize("option", ["--archive", "--clips", "--snapshots", "--events"])
def test_a_place_that_cannot_be_made_is_named(tmp_path, option):
    (tmp_path / "file").touch()
    result = CliRunner().invoke(live, [option, str(tmp_path / "file" / "x")])
    assert result.exit_code == 2
    assert "file" in result.output.splitlines()[-1]
    assert ": cannot be written (" in result.output
    assert "Errno" not in result.output


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 16 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", folder], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_records_that_a_full_disk_refused_are_written_once_there_is_room(small_disk):
    (small_disk / "ballast").write_bytes(b"x" * 8_000)
    log = EventLog(small_disk / "events.jsonl")
    refused = 0
    for number in range(200):
        try:
            log.write({"number": number, "text": "x" * 80})
        except OSError:
            refused += 1
    assert refused > 50
    assert refused < 200
    os.truncate(small_disk / "ballast", 0)
    with pytest.raises(OSError):  # there is room for some of them only
        log.write({"number": 200})
    log.close()
    lines = (small_disk / "events.jsonl").read_text().splitlines()
    whole = [json.loads(line)["number"] for line in lines if line.endswith("}")]
    assert whole == list(range(len(whole)))
    assert len(whole) > 200 - refused


def test_the_log_goes_on_when_its_folder_was_taken_away(tmp_path):
    log = EventLog(tmp_path / "stick" / "events.jsonl", max_bytes=100)
    log.write({"number": 1, "text": "x" * 80})
    shutil.rmtree(tmp_path / "stick")  # so the next one cannot be put aside
    for number in (2, 3):
        log.write({"number": number, "text": "x" * 80})
    log.close()
    assert records(tmp_path / "stick" / "events.jsonl")[-1]["number"] == 3


def test_an_event_of_a_file_says_where_in_the_file_it_began(episode, classifier, tmp_path):
    video, rule, _ = episode
    outputs = Outputs(log=EventLog(tmp_path / "events.jsonl"))
    run_live(str(video), classifier, display="none", rule=rule, outputs=outputs)
    start, end = records(tmp_path / "events.jsonl")
    assert start["position"] == end["position"] == pytest.approx(3.3, abs=0.5)
    assert start["started"] == end["started"]


def test_noise_and_single_wrong_frames_of_a_video_are_no_events(
    scores, classifier, episode, tmp_path
):
    """The score of every frame is real; the order of the pictures makes spikes and dropouts."""
    _, rule, _ = episode
    low, high = min(scores, key=scores.get), max(scores, key=scores.get)
    order = [low] * 20 + [high] + [low] * 20  # a spike
    order += [high] * 15 + [low] + ([high] * 9 + [low]) * 4 + [low] * 40  # dropouts
    video = write_video(tmp_path / "spikes.avi", order, seconds=0.1)
    outputs = Outputs(log=EventLog(tmp_path / "events.jsonl"))
    summary = run_live(str(video), classifier, display="none", rule=rule, outputs=outputs)
    start, end = records(tmp_path / "events.jsonl")
    assert summary.events == 1
    assert start["position"] == pytest.approx(4.7, abs=0.5)  # not at the spike of second 2
    assert end["seconds"] == pytest.approx(5.4, abs=0.7)
    labels = [scores[path] >= rule.begin for path in order]
    assert np.count_nonzero(np.diff(labels)) == 12  # what a label a frame would have flickered


def test_different_pictures_of_smoking_make_one_event_with_the_defaults(
    real_data, classifier, tmp_path
):
    """Thirty pictures of each class, five a second; some of them with the wrong label."""
    others, smoking = (
        sorted((real_data / "smoker" / "Validation" / name).glob("*.jpg"))
        for name in ("NotSmoking", "Smoking")
    )
    order = [*others[:30], *smoking[:30], *others[30:60]]
    video = write_video(tmp_path / "video.avi", order, seconds=0.2)
    outputs = Outputs(log=EventLog(tmp_path / "events.jsonl"))
    summary = run_live(str(video), classifier, display="none", outputs=outputs)
    start, end = records(tmp_path / "events.jsonl")
    assert summary.events == 1
    assert start["position"] == pytest.approx(6, abs=1.5)
    assert end["position"] + end["seconds"] == pytest.approx(12, abs=1.5)


def test_the_picture_of_an_event_is_no_older_than_the_event(tmp_path, classifier):
    """A spike that made no event, long before, while the state was never clear."""
    outputs = Outputs(snapshots=Snapshots(tmp_path))
    detector = EventDetector(Rule(begin=0.6, end=0.4))
    for number in range(200):
        score = 0.99 if number == 20 else 0.5 if number < 100 else 0.8
        when = number / 10
        detector.update(score, when)
        pixels = np.full((20, 20, 3), 250 if number == 20 else 60, np.uint8)
        frame = Frame(pixels, number, when, when)
        outputs.frame(frame, Prediction("", score, score), detector.since is not None)
    (ended,) = detector.interrupt()
    outputs.event(ended, 0.0, "stopped")
    (picture,) = tmp_path.iterdir()
    assert cv2.imread(str(picture)).mean() < 100


def event(name):
    return Event(0.0, 1.0, 0.9, 0.8, 10, id=name)


def test_snapshots_are_bounded_in_number_and_age_and_leave_others_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"not ours")
    os.utime(tmp_path / "holiday.jpg", (0, 0))
    snapshots = Snapshots(tmp_path, keep=3, days=1)
    paths = []
    for number in range(5):
        snapshots.watch(np.full((10, 10, 3), number, np.uint8), 0.5)
        paths.append(snapshots.save(event(f"{number}")))
    assert sorted(path.name for path in tmp_path.glob("smoking-*")) == [
        path.name for path in paths[2:]
    ]
    os.utime(paths[-1], (0, 0))
    snapshots.prune()
    assert not paths[-1].exists()
    assert (tmp_path / "holiday.jpg").exists()


def test_pictures_that_a_key_asked_for_are_not_bounded_and_do_not_replace_each_other(tmp_path):
    snapshots = Snapshots(tmp_path, keep=1, days=1)
    outputs = Outputs(snapshots=snapshots)
    kept = {outputs.keep_picture(np.full((10, 10, 3), 9, np.uint8)) for _ in range(3)}
    assert len(kept) == 3  # also within one second
    for name in "ab":
        snapshots.watch(np.zeros((10, 10, 3), np.uint8), 0.5)
        snapshots.save(event(name))
    for path in kept:
        os.utime(path, (0, 0))
    snapshots.prune()
    assert all(path.exists() for path in kept)
    assert len(list(tmp_path.iterdir())) == 4


def test_an_old_snapshot_goes_though_no_event_comes(tmp_path, samples, classifier):
    old = tmp_path / "smoking-20200101T000000Z-0123456789ab.jpg"
    old.write_bytes(b"old")
    os.utime(old, (0, 0))
    video = write_video(tmp_path / "video.avi", [samples / "cameraman.jpg"], seconds=0.3)
    run_live(str(video), classifier, display="none", outputs=Outputs(snapshots=Snapshots(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["video.avi"]


def test_a_recording_never_takes_the_place_of_another_or_of_its_source(
    tmp_path, samples, classifier
):
    video = write_video(tmp_path / "video.avi", [samples / "cameraman.jpg"], seconds=1)
    before = video.read_bytes()
    for _ in range(2):
        run_live(str(video), classifier, display="none", outputs=Outputs(recorder=Recorder(video)))
    assert video.read_bytes() == before
    assert (tmp_path / "video-2.avi").stat().st_size > 1000
    assert (tmp_path / "video-3.avi").stat().st_size > 1000


def test_a_name_that_is_not_utf8_is_an_error_or_an_escape(tmp_path, samples, classifier):
    name = str(tmp_path / os.fsdecode(b"caf\xe9.avi"))
    write_video(tmp_path / "video.avi", [samples / "cameraman.jpg"], seconds=0.1).rename(name)
    with pytest.raises(SourceError, match="its name is not UTF-8"):
        run_live(name, classifier, display="none")
    EventLog(tmp_path / "events.jsonl").write({"event": "start", "source": name})
    assert records(tmp_path / "events.jsonl") == [{"event": "start", "source": name}]


def test_the_best_frame_is_kept_and_nothing_of_before(tmp_path):
    snapshots = Snapshots(tmp_path)
    snapshots.watch(np.full((10, 10, 3), 250, np.uint8), 1.0)
    snapshots.forget()
    for grey, score in ((50, 0.5), (100, 0.8), (150, 0.6)):
        snapshots.watch(np.full((10, 10, 3), grey, np.uint8), score)
    path = snapshots.save(event("a"))
    assert abs(int(cv2.imread(str(path)).mean()) - 100) < 3
    assert snapshots.save(event("b")) is None


@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_a_recording_plays_at_the_speed_of_the_source(tmp_path, name):
    recorder = Recorder(tmp_path / name, fps=10)
    for when in np.arange(0, 4, 0.25):  # slower than the file
        recorder.add(np.zeros((48, 64, 3), np.uint8), 100 + when)
    recorder.add(np.zeros((48, 64, 3), np.uint8), 10_000)  # a long gap is left out
    recorder.close()
    video = cv2.VideoCapture(str(tmp_path / name))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == pytest.approx(40, abs=3)
    video.release()


def noise(number):
    return np.random.default_rng(number).integers(0, 255, (240, 320, 3), np.uint8)


def record_all(recorder, count=100):
    """Adds frames until the recording is over; returns what it said."""
    said = []
    for number in range(count):
        try:
            recorder.add(noise(number), number * 0.7)  # seven frames of the file each
        except OSError as error:
            said.append(str(error))
    return said


def test_a_recording_stops_at_its_size_and_says_so_once(tmp_path):
    recorder = Recorder(tmp_path / "out.avi", fps=10, max_bytes=200_000)
    (said,) = record_all(recorder)
    assert "the recording ends" in said
    assert recorder.is_over
    recorder.close()
    assert (tmp_path / "out.avi").stat().st_size < 200_000 + 57 * 120_000
    assert cv2.VideoCapture(str(tmp_path / "out.avi")).read()[0]


@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_on_a_disk_that_fills_up_the_recording_is_closed_while_it_can_be_played(small_disk, name):
    subprocess.run(["mount", "-o", "remount,size=30m", small_disk], check=True)
    recorder = Recorder(small_disk / name, fps=10, free_bytes=8_000_000)
    said = record_all(recorder, 400)
    recorder.close()
    assert len(said) == 1
    assert "the disk has less than 8 MB left; the recording ends" in said[0]
    video = cv2.VideoCapture(str(small_disk / name))
    count = 0
    while video.read()[0]:
        count += 1
    video.release()
    assert count >= 50


def test_where_the_disk_is_full_from_the_start_nothing_is_left_behind(small_disk):
    (said,) = record_all(Recorder(small_disk / "out.avi"))
    assert "0 MB are free, 50 MB are needed" in said
    assert list(small_disk.iterdir()) == []


def test_a_writer_that_cannot_open_is_said_once_and_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "VideoWriter_fourcc", lambda *_: 0x21212121)  # no such codec
    (said,) = record_all(Recorder(tmp_path / "out.avi"))
    assert "OpenCV cannot write it" in said
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_on_when_its_recording_cannot(small_disk, samples, classifier, caplog, tmp_path):
    video = write_video(tmp_path / "video.avi", [samples / "cameraman.jpg"], seconds=1)
    outputs = Outputs(recorder=Recorder(small_disk / "out.avi"))
    summary = run_live(str(video), classifier, display="none", outputs=outputs)
    assert summary.classified == 10
    assert caplog.text.count("--record: ") == 1


@pytest.mark.parametrize("ending", [".gif", ""])
def test_a_recording_needs_a_known_ending(tmp_path, ending):
    with pytest.raises(ValueError, match=r"ends with \.mp4 or \.avi"):
        Recorder(tmp_path / f"out{ending}")


def test_a_recording_with_a_name_that_is_not_utf8_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is not UTF-8"):
        Recorder(tmp_path / os.fsdecode(b"caf\xe9.avi"))


def test_memory_stays_flat_over_many_scores():
    """What is held of an event does not grow with it."""
    import tracemalloc

    detector = EventDetector()
    tracemalloc.start()
    for number in range(20_000):
        detector.update(0.9, number / 30)
    early, _ = tracemalloc.get_traced_memory()
    for number in range(20_000, 60_000):
        detector.update(0.9, number / 30)
    late, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert late - early < 10_000
