"""The folder of a Space: whole, pinned, and running on its own requirements with no network."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, run_module
from webpage import chromium, served

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
    assert "app_file: app.py" in header and "license: apache-2.0" in header
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


def test_the_folder_alone_serves_the_page(space, make_environment, tmp_path):
    python = str(make_environment("-r", str(space / "requirements.txt")))
    app = {"command": (python, "app.py"), "folder": space, "GRADIO_SERVER_PORT": ""}
    with served(tmp_path / "web", **app) as url, chromium() as browser:
        page = browser.new_page(locale="en-US")
        outside = []
        page.on("request", lambda r: outside.append(r.url) if url_is_outside(r.url, url) else None)
        page.goto(url)
        upload = page.locator("#picture-input input[type=file]").first
        upload.set_input_files(ROOT / "samples" / "coffee.jpg")
        page.locator("#result .answer").get_by_text("Not smoking").wait_for(timeout=30_000)
        assert outside == []
    if can_be_cut_off():
        result = subprocess.run(
            ["unshare", "--net", "sh", "-c", f"ip link set lo up && exec {python} -c '{OFFLINE}'"],
            cwd=space,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert "NotSmoking" in result.stdout, result.stdout + result.stderr


OFFLINE = """
import subprocess, sys
from gradio_client import Client, handle_file
process = subprocess.Popen([sys.executable, "app.py"], stdout=subprocess.PIPE, text=True)
try:
    assert "Serving on" in process.stdout.readline()
    client = Client("http://127.0.0.1:7860/", verbose=False)
    print(client.predict(handle_file("samples/coffee.jpg"), api_name="/classify"))
finally:
    process.terminate()
"""


def can_be_cut_off():
    """Whether this user may make a network of its own, with no way out."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    return subprocess.run(["unshare", "--net", "ip", "link", "set", "lo", "up"]).returncode == 0


def url_is_outside(url, page):
    return not url.startswith((page, "data:", "blob:"))


def without_tokens():
    return {k: v for k, v in os.environ.items() if k not in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")}
