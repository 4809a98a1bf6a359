"""The page over HTTP, as its own client library drives it, and as the command starts it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from conftest import ROOT

gradio_client = pytest.importorskip("gradio_client", reason="needs gradio (requirements-web.txt)")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page as a user starts it; its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary = tmp_path_factory.mktemp("temporary")
    output = temporary.with_suffix(".txt")
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "edge_app", "web", "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(temporary)},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}/"
    for _ in range(120):
        if "Serving on" in output.read_text():
            break
        assert process.poll() is None, output.read_text()
        time.sleep(0.5)
    else:
        pytest.fail("the page did not start in a minute")
    yield url
    process.send_signal(signal.SIGINT)
    process.wait(timeout=20)
    assert "Traceback" not in output.read_text()
    assert list(temporary.iterdir()) == []  # nothing of the visitors is left behind


@pytest.fixture
def client(page):
    """A visitor of their own."""
    return gradio_client.Client(page, verbose=False)


def classify(client, path):
    return client.predict(gradio_client.handle_file(str(path)), api_name="/classify")


def test_a_picture_gets_the_answer_of_the_library(client, classifier, samples):
    scores, note, history = classify(client, samples / "astronaut.jpg")
    prediction = classifier.classify(samples / "astronaut.jpg")
    assert scores["label"] == prediction.label
    assert scores["confidences"][0]["confidence"] == pytest.approx(prediction.confidence)
    assert prediction.label in note
    assert len(history) == 1


def test_the_history_grows_is_the_visitors_own_and_can_be_cleared(page, client, samples):
    classify(client, samples / "astronaut.jpg")
    _, _, history = classify(client, samples / "coffee.jpg")
    assert len(history) == 2
    assert re.fullmatch(r"NotSmoking \d+%", history[0]["caption"])
    other = gradio_client.Client(page, verbose=False)
    assert len(classify(other, samples / "coffee.jpg")[2]) == 1
    assert client.predict(api_name="/clear") == []
    assert len(classify(client, samples / "coffee.jpg")[2]) == 1


def test_what_is_no_picture_gets_a_friendly_message(client, tmp_path):
    (tmp_path / "notes.jpg").write_text("no picture")
    with pytest.raises(Exception, match="no picture in a known format"):
        classify(client, tmp_path / "notes.jpg")


def test_only_uploaded_files_are_read(page, samples):
    for path in (samples / "coffee.jpg", ROOT / "models" / "README.md", Path("/etc/passwd")):
        request = urllib.request.Request(
            f"{page}gradio_api/call/classify",
            json.dumps({"data": [{"path": str(path)}]}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                event = json.load(response)["event_id"]
            with urllib.request.urlopen(
                f"{page}gradio_api/call/classify/{event}", timeout=10
            ) as response:
                answer = response.read().decode()
        except urllib.error.HTTPError as error:
            answer = f"event: error {error}"
        assert "event: error" in answer
        assert "NotSmoking" not in answer


def test_the_page_asks_for_nothing_from_outside(page):
    with urllib.request.urlopen(page, timeout=10) as response:
        html = response.read().decode()
    outside = set(re.findall(r'(?:src|href)="(https?://[^"]+)"', html))
    assert {url for url in outside if "127.0.0.1" not in url} == set()


def test_a_taken_port_is_named(page):
    port = page.rstrip("/").rsplit(":", 1)[1]
    result = subprocess.run(
        [sys.executable, "-m", "edge_app", "web", "--port", port],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in result.stderr
