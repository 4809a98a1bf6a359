"""The page over HTTP: its documented API, and what a picture may be."""

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest
from conftest import ROOT, lacks
from PIL import Image
from webpage import JSON, as_file, ask, connection_to, served

gradio_client = pytest.importorskip("gradio_client", reason="needs gradio (requirements-web.txt)")

MOST_MEMORY = 600
"""MB that the process takes at most, whatever is sent."""

DOCUMENT = (ROOT / "docs" / "web.md").read_text()


@pytest.fixture
def server_memory(site):
    """The most memory that the server has ever had, in MB."""
    if not Path("/proc").is_dir():
        pytest.skip("needs /proc")
    port = site.rstrip("/").rsplit(":", 1)[1]
    (pid,) = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if f"--port\0{port}\0".encode() in path.read_bytes()
    ]
    status = Path("/proc", pid, "status")
    return lambda: int(re.search(r"VmHWM:\s+(\d+)", status.read_text()).group(1)) / 1024


@pytest.fixture
def client(site):
    """A visitor of their own."""
    return gradio_client.Client(site, verbose=False, httpx_kwargs={"timeout": 120})


@pytest.fixture(scope="session")
def coffee(classifier, samples):
    """What the model says of that sample."""
    return classifier.classify(samples / "coffee.jpg").label


def classify(client, path):
    return client.predict(gradio_client.handle_file(str(path)), api_name="/classify")


def test_a_picture_gets_the_answer_of_the_library(client, classifier, samples):
    answer = classify(client, samples / "astronaut.jpg")
    prediction = classifier.classify(samples / "astronaut.jpg")
    assert answer["label"] == prediction.label
    assert answer["confidence"] == pytest.approx(prediction.confidence, abs=1e-4)
    assert answer["uncertain"] == prediction.uncertain
    assert (answer["evidence"] is None) == (prediction.evidence is None)
    assert answer["elapsed_ms"] > 0


def test_an_answer_says_whether_a_part_of_the_picture_is_missing(client, samples, tmp_path):
    cut, content = tmp_path / "cut.jpg", (samples / "coffee.jpg").read_bytes()
    cut.write_bytes(content[: len(content) * 9 // 10])
    assert classify(client, cut)["incomplete"] is True
    assert classify(client, samples / "coffee.jpg")["incomplete"] is False


def test_the_python_example_of_the_documentation_runs(site, monkeypatch, capsys, coffee):
    monkeypatch.chdir(ROOT)
    example = re.search(r"```python\n(from gradio_client .*?)```", DOCUMENT, re.DOTALL).group(1)
    exec(example.replace("http://127.0.0.1:7860/", site), {})
    assert re.search(rf"^{coffee} ", capsys.readouterr().out, re.MULTILINE)


@pytest.fixture
def curl():
    if shutil.which("curl") is None:
        lacks("needs the package curl")


def test_the_curl_example_of_the_documentation_runs(site, coffee, curl):
    example = re.search(r"```sh\n(HOST=.*?)```", DOCUMENT, re.DOTALL).group(1)
    script = example.replace("http://127.0.0.1:7860", site.rstrip("/"))
    result = subprocess.run(
        ["bash", "-euc", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert "event: complete" in result.stdout, result.stderr
    assert re.search(rf'"label": ?"{coffee}"', result.stdout)


@pytest.fixture(scope="module")
def snippets(site):
    """What *Use via API* shows, per language."""
    with urllib.request.urlopen(f"{site}gradio_api/info") as response:
        (function,) = json.load(response)["named_endpoints"].values()
    return function["code_snippets"]


def test_the_python_example_on_the_page_runs(snippets, monkeypatch, capsys, coffee):
    monkeypatch.chdir(ROOT)
    exec(snippets["python"], {})
    assert re.search(rf"^{coffee} ", capsys.readouterr().out, re.MULTILINE)


def test_the_curl_example_on_the_page_runs(snippets, coffee, curl):
    result = subprocess.run(
        ["bash", "-euc", snippets["bash"]], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert re.search(rf'"label": ?"{coffee}"', result.stdout), result.stderr


def test_no_example_on_the_page_sends_an_address_of_a_picture(snippets, site):
    for language, example in snippets.items():
        assert set(re.findall(r"https?://[^/\"' ]+", example)) == {site.rstrip("/")}, language
        assert "samples/coffee.jpg" in example, language


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.jpg", b"no picture"),
        ("picture.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("program.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
    ],
)
def test_what_is_no_picture_gets_a_friendly_message(client, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Exception, match="no picture in a known format"):
        classify(client, tmp_path / name)


def test_a_decompression_bomb_is_refused_by_its_header(client, tmp_path):
    bomb = tmp_path / "bomb.png"
    Image.new("1", (12_000, 12_000)).save(bomb)
    assert bomb.stat().st_size < 100_000
    with pytest.raises(Exception, match="megapixels"):
        classify(client, bomb)


def test_the_largest_pictures_at_once_cost_the_memory_of_one(client, site, server_memory, tmp_path):
    """Four of them, each as large as is taken and decoded in full."""
    bomb = tmp_path / "large.png"
    Image.new("RGBA", (2820, 2820)).save(bomb)
    jobs = [
        client.submit(gradio_client.handle_file(str(bomb)), api_name="/classify") for _ in range(4)
    ]
    assert {job.result(timeout=120)["label"] for job in jobs} <= {"Smoking", "NotSmoking"}
    assert server_memory() < MOST_MEMORY


def test_a_path_in_place_of_an_upload_gets_a_message_that_helps(site):
    for payload in ("samples/coffee.jpg", as_file("samples/coffee.jpg")):
        body = json.dumps({"data": [payload]}).encode()
        status, text = ask(f"{site}gradio_api/call/classify", body, **JSON)
        if status == 200:
            url = f"{site}gradio_api/call/classify/{json.loads(text)['event_id']}"
            status, text = ask(url)
        assert "handle_file" in text


def test_a_slow_upload_blocks_nobody(site, client, samples, coffee):
    with connection_to(site) as slow:
        slow.sendall(
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        assert classify(client, samples / "coffee.jpg")["label"] == coffee


def test_with_auth_only_the_password_opens_the_page(tmp_path, coffee):
    with served(tmp_path / "web", SMOKING_WEB_AUTH="ani:secret") as url:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{url}config", timeout=60)
        assert refused.value.code == 401
        client = gradio_client.Client(
            url, auth=("ani", "secret"), verbose=False, httpx_kwargs={"timeout": 120}
        )
        assert classify(client, ROOT / "samples" / "coffee.jpg")["label"] == coffee
