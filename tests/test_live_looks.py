"""Looking twice at a camera: on each frame where there is time, in turns where there is not."""

import json
import types

import numpy as np
import pytest
from PIL import Image

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from edge_app import Classifier  # noqa: E402
from edge_app.decision import Decision  # noqa: E402
from edge_app.live import Camera, Outputs, Zone, run_live  # noqa: E402
from edge_app.live.event_log import EventLog  # noqa: E402
from edge_app.live.glance import Glance  # noqa: E402
from edge_app.live.window import draw  # noqa: E402
from edge_app.looks import Looks  # noqa: E402

ALWAYS = Decision(threshold=0.0, looks=Looks((0.7,), lowest=-16.0))


@pytest.fixture(scope="module")
def twice():
    """The shipped model, which looks twice at every frame."""
    return Classifier(decision=ALWAYS)


@pytest.fixture
def frames(samples):
    """Three frames that differ, of 640 x 480."""
    names = ("astronaut.jpg", "coffee.jpg", "cameraman.jpg")
    pictures = (Image.open(samples / name).convert("RGB").resize((640, 480)) for name in names)
    return [np.ascontiguousarray(np.asarray(picture)[..., ::-1]) for picture in pictures]


class Clock:
    """A machine on which each look takes the given seconds."""

    def __init__(self, seconds):
        self.now, self._seconds = 0.0, seconds

    def __call__(self):
        self.now += self._seconds  # it is read before a look and after it
        return self.now


def test_where_there_is_time_each_frame_has_all_looks(twice, frames):
    glance = Glance(interval=0.1, clock=Clock(0.01))
    for number, pixels in enumerate(frames):
        assert glance.classify(twice, pixels, number / 10) == twice.classify_frame(pixels)


def test_a_video_file_has_all_looks_however_long_they_take(twice, frames):
    glance = Glance(interval=0.1, all_looks=True, clock=Clock(60))
    for number, pixels in enumerate(frames):
        assert glance.classify(twice, pixels, number / 10) == twice.classify_frame(pixels)


def test_without_looks_in_the_model_there_is_one(frames):
    once = Classifier(looks=1)
    prediction = Glance().classify(once, frames[0], 0.0)
    assert prediction == once.classify_frame(frames[0])
    assert (prediction.looks, prediction.region) == (1, None)


@pytest.mark.parametrize("interval", [0.1, None])
def test_where_there_is_no_time_frames_take_turns(twice, frames, interval):
    glance = Glance(interval, clock=Clock(0.2))  # a look takes twice as long as there is
    done = []
    for name in ("classify_pixels", "look_at"):
        method = getattr(twice, name)
        spy = types.MethodType(
            lambda _self, *args, name=name, method=method: done.append(name) or method(*args), twice
        )
        setattr(twice, name, spy)
    try:
        still = frames[0]
        seen = [glance.classify(twice, still, number / 10) for number in range(7)]
    finally:
        del twice.classify_pixels, twice.look_at
    after = done[-6:]  # once the times are known
    assert (
        after == ["classify_pixels", "look_at"] * 3 or after == ["look_at", "classify_pixels"] * 3
    )
    # Of a still picture, the newest look of either kind gives what both looks at one frame give.
    expected = twice.classify_frame(still)
    for prediction in seen[-4:]:
        assert prediction.smoking == pytest.approx(expected.smoking, abs=1e-6)
        assert prediction.region == expected.region
        assert prediction.looks == 2


def test_a_camera_that_becomes_smaller_between_two_looks(twice, frames):
    glance = Glance(0.1, clock=Clock(1.0))
    for number in range(6):
        pixels = frames[0] if number % 2 else cv2.resize(frames[0], (320, 240))
        assert 0 <= glance.classify(twice, pixels, number / 10).smoking <= 1


def test_a_share_of_an_interpreter_leaves_less_time(twice, frames):
    whole, half = (Glance(0.1, share=share, clock=Clock(0.03)) for share in (1.0, 0.5))
    for number in range(4):
        for glance in (whole, half):
            glance.classify(twice, frames[0], number / 10)
    assert not whole._turn_of_region
    assert half._has_time() is False


def test_the_region_is_in_pixels_of_the_frame_and_in_the_records(twice, samples, tmp_path):
    from live_files import write_video

    video = write_video(tmp_path / "video.avi", [samples / "astronaut.jpg"], seconds=2)
    log, moments = EventLog(tmp_path / "events.jsonl"), []
    camera = Camera(str(video), zone=Zone.parse("60,0,240,240"))
    run_live(camera, twice, "none", outputs=Outputs(log=log), on_frame=moments.append)
    for moment in moments:
        left, top, right, bottom = moment.prediction.region
        assert 60 <= left < right <= 300
        assert 0 <= top < bottom <= 240
    end = json.loads((tmp_path / "events.jsonl").read_text().splitlines()[-1])
    assert end["uncertain"] is False
    assert tuple(end["region"]) in {moment.prediction.region for moment in moments}
    picture = draw(np.zeros((240, 320, 3), np.uint8), moments[0].prediction, "clear", 1, 1)
    left, top, right, _ = moments[0].prediction.region
    assert picture[max(top, 60), (left + right) // 2].any() or picture[120, left].any()
