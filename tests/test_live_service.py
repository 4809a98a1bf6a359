"""The systemd unit: valid, and its command does what it says."""

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

pytest.importorskip("cv2", reason="needs opencv-python")

from live_servers import MjpegServer, wait_for

from edge_app.cli.live import live

UNIT = ROOT / "deploy" / "smoking-live.service"


@pytest.fixture(scope="module")
def unit():
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(UNIT)
    return parser


def verify(path):
    if not shutil.which("systemd-analyze"):
        reason = "needs systemd-analyze: apt install systemd"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)


def test_systemd_finds_nothing_wrong_with_the_unit(unit, tmp_path):
    python = shlex.split(unit["Service"]["ExecStart"])[0]
    here = tmp_path / UNIT.name  # the program has to be there
    here.write_text(UNIT.read_text().replace(python, sys.executable))
    result = verify(here)
    assert (result.returncode, result.stderr) == (0, "")
    here.write_text(here.read_text().replace("Restart=always", "Restart=sometimes"))
    assert "sometimes" in verify(here).stderr


def test_it_starts_at_boot_again_and_again_without_root_and_bounded(unit):
    service = unit["Service"]
    assert unit["Install"]["WantedBy"] == "multi-user.target"
    assert service["Restart"] == "always"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert service["DynamicUser"] == "yes"
    assert {"MemoryMax", "LimitDATA"} <= set(service)


def test_every_setting_that_is_named_is_an_option():
    texts = UNIT.read_text() + (ROOT / "docs" / "raspberry-pi.md").read_text()
    options = {f"SMOKING_LIVE_{parameter.name.upper()}" for parameter in live.params}
    named = set(re.findall(r"SMOKING_LIVE_[A-Z]+", texts))
    assert {"SMOKING_LIVE_SOURCE", "SMOKING_LIVE_MQTT"} <= named <= options


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")
def test_its_command_runs_within_its_bounds_on_settings_from_the_environment(
    unit, samples, tmp_path
):
    import resource

    service = unit["Service"]
    assert service["LimitDATA"].endswith("M")
    bound = int(service["LimitDATA"].removesuffix("M")) * 2**20
    command = service["ExecStart"].replace("%S", str(tmp_path))
    with MjpegServer(samples / "astronaut.jpg", size=(1920, 1080)) as server:
        process = subprocess.Popen(
            [sys.executable, *shlex.split(command)[1:]],
            cwd=ROOT,
            env={**os.environ, "SMOKING_LIVE_SOURCE": server.url, "SMOKING_LIVE_FPS": "5"},
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (bound, bound)),
        )
        try:
            assert process.stdout.readline().startswith("frame 0: NotSmoking")
            server.stop()
            events = tmp_path / "smoking-live" / "events.jsonl"
            wait_for(lambda: events.exists() and events.read_text())
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
        finally:
            process.kill()
    assert json.loads(events.read_text())["event"] == "lost"
    assert process.returncode == 1  # it was lost at the end
