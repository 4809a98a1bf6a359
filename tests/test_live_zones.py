"""Regions and masks: what is looked at, whatever the camera gives."""

import numpy as np
import pytest
from click.testing import CliRunner

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from live_servers import (  # noqa: E402
    frames_until,
)

from edge_app.cli.live import live  # noqa: E402
from edge_app.live import (  # noqa: E402
    Camera,
    Zone,
    run_live,
)
from edge_app.live.sources import open_frames  # noqa: E402


def test_only_the_region_is_looked_at(short_video, classifier):
    from edge_app.imaging import from_frame
    from edge_app.live.zone import Cutter

    region = Zone.parse("10,20,100,200")
    frame = next(open_frames(str(short_video)))
    part, box = Cutter(region).cut(frame.pixels)
    assert box == (10, 20, 100, 200)
    assert (part == frame.pixels[20:220, 10:110]).all()
    whole, cropped = (classifier.classify_pixels(from_frame(x)) for x in (frame.pixels, part))
    assert whole.smoking != cropped.smoking
    moments = []
    camera = Camera(str(short_video), zone=region)
    summary = run_live(camera, classifier, display="none", on_frame=moments.append)
    assert summary.classified == 24
    assert {moment.prediction.smoking for moment in moments[:1]} == {cropped.smoking}


def test_outside_a_polygon_and_inside_a_mask_there_is_nothing_to_see():
    from edge_app.live.zone import Cutter

    pixels = np.full((100, 200, 3), 250, np.uint8)
    part, box = Cutter(Zone.parse("0,0 100,0 0,100", ["10,10,20,20"])).cut(pixels)
    assert box == (0, 0, 100, 100)
    assert (part[5, 5] == 250).all()
    assert (part[90, 90] == 127).all()  # outside the triangle
    assert (part[20, 20] == 127).all()  # in the mask
    assert (pixels == 250).all()
    part, box = Cutter(Zone.parse(masks=["0,0 50,0 50,50 0,50"])).cut(pixels)
    assert (box, part.shape) == (None, pixels.shape)
    assert (part[20, 20] == 127).all()
    assert (part[80, 180] == 250).all()


def test_a_zone_keeps_its_place_when_the_camera_changes_its_size():
    from edge_app.live.zone import Cutter

    cutter = Cutter(Zone.parse("100,50,100,50"))
    assert cutter.cut(np.zeros((200, 400, 3), np.uint8))[1] == (100, 50, 100, 50)
    part, box = cutter.cut(np.zeros((100, 200, 3), np.uint8))
    assert box == (50, 25, 50, 25)
    assert part.shape == (25, 50, 3)
    assert cutter.cut(np.zeros((200, 400, 3), np.uint8))[1] == (100, 50, 100, 50)
    assert cutter.cut(np.zeros((2, 4, 3), np.uint8))[0].size  # however small it gets


def test_a_camera_that_gives_smaller_frames_does_not_end_the_run(device, classifier, caplog):
    device.retrieve = lambda: np.zeros((96, 128, 3) if device.frames < 5 else (48, 64, 3), np.uint8)
    device.frames, moments = 0, []

    def see(moment):
        device.frames += 1
        moments.append(moment)

    camera = Camera("0", fps=20, zone=Zone.parse("60,40,60,50"))
    frames = frames_until(lambda: device.frames > 8, opener=device.open)
    with caplog.at_level("INFO", "edge_app.live"):
        run_live(camera, classifier, "none", on_frame=see, frames=frames)
    assert moments[0].box == (60, 40, 60, 50)
    assert moments[-1].box == (30, 20, 30, 25)
    assert caplog.text.count("frame size changed from 128 x 96 to 64 x 48") == 1


def test_a_region_outside_of_the_frame_is_named(short_video):
    result = CliRunner().invoke(live, ["--source", str(short_video), "--region", "300,0,100,100"])
    assert result.exit_code == 2
    assert "region 300,0,100,100: lies outside the frame, which is 320 x 240" in result.output


@pytest.mark.parametrize("region", ["1,2,3", "a,b,c,d", "0,0,0,10", "1,2 3,4", "1,2 3,4 5"])
def test_a_region_without_sense_is_named(region):
    result = CliRunner().invoke(live, ["--region", region])
    assert result.exit_code == 2
    assert "expected" in result.output
