"""The folder of a Space: whole, pinned, and running on its own requirements with no network."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, run_module
from webpage import chromium

pytest.importorskip("gradio", reason="needs requirements-web.txt")


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    folder = tmp_path_factory.mktemp("space") / "out"
    result = run_module("edge_app", "space", folder)
    assert result.returncode == 0, result.stderr
    return folder


def test_the_folder_holds_what_a_space_needs(space):
    header = (space / "README.md").read_text().split("---")[1]
    pins = dict(line.split("==") for line in (space / "requirements.txt").read_text().split())
    assert re.search(r"^sdk: gradio$", header, re.MULTILINE)
    assert f"sdk_version: {pins['gradio']}" in header
    for line in ("app_file: app.py", "license: apache-2.0", "title: ", "tags:"):
        assert line in header
    assert f'python_version: "{sys.version_info.major}.{sys.version_info.minor}"' in header
    assert len(re.search(r"short_description: (.*)", header).group(1)) <= 60
    assert "](models/README.md)" in (space / "README.md").read_text()  # the model card
    assert not {"tensorflow", "keras", "opencv-python"} & set(pins)
    model = "models/smoking_mobilenetv2_int8.tflite"
    assert (space / model).read_bytes() == (ROOT / model).read_bytes()
    for name in re.findall(r"\]\((?!https?:)([^)#]+)\)", (space / "README.md").read_text()):
        assert (space / name).exists(), name


def test_what_is_there_is_never_overwritten(space):
    result = run_module("edge_app", "space", space)
    assert result.returncode == 2
    assert "new or empty" in result.stderr


def test_a_push_without_a_token_says_what_to_do(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "edge_app", "space", tmp_path / "out", "--push", "user/name"],
        cwd=ROOT,
        env={**without_tokens(), "HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 2
    assert "HF_TOKEN" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_push_without_a_network_says_so_and_leaves_the_folder(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "edge_app", "space", tmp_path / "out", "--push", "user/name"],
        cwd=ROOT,
        env={**without_tokens(), "HF_TOKEN": "hf_none", "HF_ENDPOINT": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 2
    assert "user/name cannot be pushed" in result.stderr
    assert (tmp_path / "out" / "app.py").exists()


def test_the_folder_alone_passes_the_browser_tests_with_no_network(
    space, make_environment, tmp_path
):
    """What it needs comes from its own requirements.txt; then the network is cut off."""
    with chromium():
        pass  # without a browser this test skips here, and not in the inner run
    python = make_environment("-r", str(space / "requirements.txt"))
    inner = [sys.executable, "-m", "pytest", "--all", "-q", "-p", "no:cacheprovider"]
    inner += [f"--basetemp={tmp_path / 'inner'}", "-k", FOR_SPACE]
    inner += sorted((ROOT / "tests").glob("test_web_browser*.py"))
    if can_be_cut_off():
        inner = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *inner]
    result = subprocess.run(
        inner,
        cwd=ROOT,
        env={**os.environ, "SMOKING_SPACE": str(space), "SMOKING_SPACE_PYTHON": str(python)},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"^5 passed", result.stdout, re.MULTILINE), result.stdout


FOR_SPACE = "uploaded or example_is or live_camera or zip_gives or indonesian"


def can_be_cut_off():
    """Whether this user may make a network of its own, with no way out."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        assert "CI" not in os.environ, "needs unshare and ip: apt-get install iproute2"
        return False
    return subprocess.run(["unshare", "--net", "ip", "link", "set", "lo", "up"]).returncode == 0


def without_tokens():
    return {k: v for k, v in os.environ.items() if k not in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")}
