"""Which cameras there are, and why one cannot be opened."""

import os
import subprocess
import sys
import time
import types
from typing import ClassVar

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from live_servers import FakeDevice, until  # noqa: E402

from edge_app.cli.live import live  # noqa: E402
from edge_app.live import SourceError, devices  # noqa: E402
from edge_app.live.devices import list_cameras  # noqa: E402
from edge_app.live.frames import Frame  # noqa: E402
from edge_app.live.sources import open_frames  # noqa: E402


def test_list_says_which_cameras_there_are():
    result = CliRunner().invoke(live, ["--list"])
    assert result.exit_code == 0
    names = [name for name, _ in list_cameras()]
    assert all(name in result.output for name in names)
    assert names or result.output == "There is no camera.\n"


class FakePicamera2:
    """The interface of picamera2.Picamera2 as far as the adapter uses it."""

    made: ClassVar[list] = []

    @staticmethod
    def global_camera_info():
        return [{"Model": "imx708", "Location": 2, "Rotation": 180, "Id": "/base/i2c", "Num": 0}]

    def __init__(self, camera_num=0, tuning=None):
        self.calls = []
        self.made.append(self)

    def create_video_configuration(self, main=None, **_):
        return {"main": main}

    def configure(self, camera_config="preview"):
        self.calls.append(("configure", camera_config["main"]))

    def start(self, config=None, show_preview=False):
        self.calls.append("start")

    def capture_array(self, name="main", wait=None, signal_function=None):
        assert "start" in self.calls
        time.sleep(0.01)
        return np.full((480, 640, 3), (255, 0, 0), np.uint8)  # blue, as OpenCV has it

    def stop(self):
        self.calls.append("stop")

    def close(self):
        self.calls.append("close")


@pytest.fixture
def picamera2(monkeypatch):
    module = types.ModuleType("picamera2")
    module.Picamera2 = FakePicamera2
    module.__spec__ = types.SimpleNamespace(name="picamera2")
    monkeypatch.setitem(sys.modules, "picamera2", module)
    monkeypatch.setattr(FakePicamera2, "made", [])


def test_the_pi_camera_is_read_and_given_back(picamera2):
    frames = open_frames("picamera")
    frame = until(frames, Frame)[-1]
    frames.close()
    assert frame.pixels.shape == (480, 640, 3)
    (camera,) = FakePicamera2.made
    assert camera.calls[0] == ("configure", {"size": (640, 480), "format": "RGB888"})
    assert camera.calls[-2:] == ["stop", "close"]
    assert ("picamera", "imx708 (Raspberry Pi camera)") in list_cameras()


def test_a_pi_camera_that_is_not_there_is_named(picamera2):
    with pytest.raises(SourceError, match="picamera1: there are 1 camera modules"):
        open_frames("picamera1")


def test_without_picamera2_it_says_what_to_install():
    with pytest.raises(SourceError, match="apt install python3-picamera2"):
        open_frames("picamera")


@pytest.fixture
def raspberry_pi(tmp_path, monkeypatch):
    """The files by which a Raspberry Pi 4 with a camera module and a webcam is known."""
    (tmp_path / "model").write_text("Raspberry Pi 4 Model B Rev 1.4\0")
    names = {0: "unicam-image", 1: "HD Webcam", 2: "HD Webcam", 10: "bcm2835-codec-decode"}
    names |= {13: "bcm2835-isp-output0", 14: "bcm2835-isp-capture0", 19: "rpi-hevc-dec"}
    for number, name in names.items():
        folder = tmp_path / "video4linux" / f"video{number}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "index").write_text(f"{number == 2:d}\n")
    monkeypatch.setattr(devices, "_BOARD", tmp_path / "model")
    monkeypatch.setattr(devices, "_V4L2", tmp_path / "video4linux")


@pytest.mark.skipif(sys.platform != "linux", reason="cameras are listed otherwise elsewhere")
def test_what_is_no_camera_of_a_raspberry_pi_is_not_listed(raspberry_pi):
    assert list_cameras() == [("/dev/video1", "HD Webcam")]


def test_a_raspberry_pi_without_cameras_is_told_how_to_use_its_own(raspberry_pi, monkeypatch):
    monkeypatch.setattr(devices, "_V4L2", ROOT / "nothing")
    result = CliRunner().invoke(live, ["--list"])
    assert result.output.startswith("There is no camera. OpenCV cannot open the Raspberry Pi's")


def test_on_a_raspberry_pi_it_says_why_its_camera_cannot_be_opened(raspberry_pi):
    with pytest.raises(SourceError, match=r"OpenCV cannot open.*apt install python3-picamera2"):
        open_frames("63")


def test_a_pi_camera_that_opens_and_gives_no_frame_is_explained_too(raspberry_pi):
    device = FakeDevice()
    device.plugged = False
    with pytest.raises(SourceError, match=r"camera 0: gave no frame .*--source picamera"):
        open_frames("0", opener=lambda _: device)


def test_where_picamera2_is_there_only_its_use_is_named(raspberry_pi, picamera2):
    with pytest.raises(SourceError, match=r"for one, use: --source picamera$"):
        open_frames("63")


@pytest.fixture
def webcam(tmp_path, monkeypatch):
    """A folder of devices with one camera, and no Raspberry Pi."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "video0").touch()
    monkeypatch.setattr(devices, "_DEVICES", tmp_path / "dev")
    monkeypatch.setattr(devices, "_BOARD", tmp_path / "none")
    return tmp_path / "dev" / "video0"


linux = pytest.mark.skipif(sys.platform != "linux", reason="devices are looked at on Linux alone")


@linux
def test_a_camera_that_is_not_there_is_said_so_with_the_command_that_lists_them(webcam):
    text = devices.why_not("7")
    assert text.startswith(f"camera 7: there is no {webcam.parent}/video7.")
    assert text.endswith("live --list shows the cameras")


@linux
def test_a_camera_in_use_names_the_program(webcam):
    with webcam.open() as file:
        program = [sys.executable, "-c", "import sys, time; print(1, flush=True); time.sleep(60)"]
        other = subprocess.Popen(program, stdin=file, stdout=subprocess.PIPE)
    try:
        other.stdout.readline()
        assert "is in use by python" in devices.why_not("0")
        assert f"(process {other.pid}). Stop that program" in devices.why_not("0")
    finally:
        other.kill()
        other.communicate()
    assert devices.why_not("0") == "camera 0: cannot be opened. Is it plugged in and not in use?"


@linux
def test_a_missing_permission_names_the_group_and_the_command(webcam, monkeypatch):
    if os.geteuid() == 0:  # root may do everything
        monkeypatch.setattr(os, "access", lambda *_: False)
    else:
        webcam.chmod(0)
    assert "Run: sudo usermod -aG video $USER" in devices.why_not("0")


def test_elsewhere_nothing_is_said_of_a_raspberry_pi():
    with pytest.raises(SourceError, match=r"camera 63: ") as error:
        open_frames("63")
    assert "Raspberry" not in str(error.value)
