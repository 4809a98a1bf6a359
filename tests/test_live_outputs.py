"""The events file, the pictures kept and the recording: whole, bounded, useful after a crash."""

import itertools

import numpy as np
import pytest
from click.testing import CliRunner

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from live_files import records, write_video  # noqa: E402

from edge_app.cli.live import live  # noqa: E402
from edge_app.live import Camera, EventDetector, Outputs, Rule, run_live  # noqa: E402
from edge_app.live.event_log import EventLog  # noqa: E402
from edge_app.live.pictures import Snapshots  # noqa: E402


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


@pytest.mark.parametrize("option", ["--archive", "--clips", "--snapshots", "--events"])
def test_a_place_that_cannot_be_made_is_named(tmp_path, option):
    (tmp_path / "file").touch()
    result = CliRunner().invoke(live, [option, str(tmp_path / "file" / "x")])
    assert result.exit_code == 2
    assert "file" in result.output.splitlines()[-1]
    assert ": cannot be written (" in result.output
    assert "Errno" not in result.output


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
