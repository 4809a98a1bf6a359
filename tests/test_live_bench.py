"""What the figures of ``bench live`` and of the soak rest on."""

import sys

import numpy as np
import pytest
from click.testing import CliRunner

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from benchmarks.camera import PERIOD, Camera, draw_number, read_number, unwrap  # noqa: E402
from benchmarks.live import Figures, Results  # noqa: E402
from benchmarks.live_load import main as load  # noqa: E402
from benchmarks.live_soak import main as soak  # noqa: E402


def test_the_number_of_a_frame_survives_a_jpeg(samples):
    picture = cv2.resize(cv2.imread(str(samples / "astronaut.jpg")), (640, 480))
    for number in range(PERIOD):
        jpeg = cv2.imencode(".jpg", draw_number(picture, number), [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
        assert read_number(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)) == number


def test_the_camera_numbers_its_frames_and_tells_when_it_began():
    with Camera((320, 240), 60) as camera:
        capture = cv2.VideoCapture(camera.url)
        numbers = [read_number(capture.read()[1]) for _ in range(PERIOD + 20)]
        capture.release()
        assert unwrap(numbers).tolist() == list(range(PERIOD + 20))
        assert camera.started() > 0


def test_latency_counts_from_the_moment_a_frame_was_due():
    """Frames 0, 2, 4... of 10 a second, each with its result 0.25 s after it was due."""
    results, start = Results(), 1000.0
    for number in range(0, 200, 2):
        results.numbers.append(number % PERIOD)
        results.times.append(start + number / 10 + 0.25)
        results.work.append(0.01)
        results.cpu.append(number / 100)
    figures = Figures.of(results, start, 10)
    assert figures.latencies == pytest.approx(np.full(len(figures.latencies), 0.25))
    assert figures.rate == pytest.approx(5)
    assert figures.dropped == len(figures.latencies) - 1
    assert figures.cpu == pytest.approx(0.1)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_short_soak_keeps_memory_flat():
    result = CliRunner().invoke(soak, ["--frames", "300"])
    assert result.exit_code == 0, result.output
    assert "300 frames" in result.output
    assert "last tenth" in result.output


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it is bound to cores")
def test_the_load_of_watchers_and_cameras_is_measured():
    result = CliRunner().invoke(load, ["--seconds", "3", "--cameras", "2", "--watchers", "1"])
    assert result.exit_code == 0, result.output
    rows = [line for line in result.output.splitlines() if line[:3] in ("| 1", "| 2")]
    assert len(rows) == 2
    assert all(float(cell) > 0 for cell in rows[0].split("|")[2:6])
