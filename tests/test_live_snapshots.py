"""The pictures that are kept: the best frame of each event, bounded in number and age."""

import os

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from live_files import write_video  # noqa: E402

from edge_app import Prediction  # noqa: E402
from edge_app.live import EventDetector, Outputs, Rule, run_live  # noqa: E402
from edge_app.live.event_detector import Event  # noqa: E402
from edge_app.live.frames import Frame  # noqa: E402
from edge_app.live.pictures import Snapshots  # noqa: E402


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


def test_the_best_frame_is_kept_and_nothing_of_before(tmp_path):
    snapshots = Snapshots(tmp_path)
    snapshots.watch(np.full((10, 10, 3), 250, np.uint8), 1.0)
    snapshots.forget()
    for grey, score in ((50, 0.5), (100, 0.8), (150, 0.6)):
        snapshots.watch(np.full((10, 10, 3), grey, np.uint8), score)
    path = snapshots.save(event("a"))
    assert abs(int(cv2.imread(str(path)).mean()) - 100) < 3
    assert snapshots.save(event("b")) is None
