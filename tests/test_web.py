"""The page over HTTP: its documented API, and what it refuses."""

import dataclasses
import http.server
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import tracemalloc
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from conftest import ROOT, lacks
from PIL import Image
from webpage import served

gradio_client = pytest.importorskip("gradio_client", reason="needs gradio (requirements-web.txt)")

MOST_MEMORY = 600
"""MB that the process takes at most, whatever is sent."""

DOCUMENT = (ROOT / "docs" / "web.md").read_text()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page as a user starts it; its URL."""
    with served(tmp_path_factory.mktemp("temporary") / "web") as url:
        yield url


@pytest.fixture
def server_memory(page):
    """The most memory that the server has ever had, in MB."""
    if not Path("/proc").is_dir():
        pytest.skip("needs /proc")
    port = page.rstrip("/").rsplit(":", 1)[1]
    (pid,) = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if f"--port\0{port}\0".encode() in path.read_bytes()
    ]
    status = Path("/proc", pid, "status")
    return lambda: int(re.search(r"VmHWM:\s+(\d+)", status.read_text()).group(1)) / 1024


@pytest.fixture
def client(page):
    """A visitor of their own."""
    return gradio_client.Client(page, verbose=False, httpx_kwargs={"timeout": 120})


@pytest.fixture(scope="session")
def coffee(classifier, samples):
    """What the model says of that sample."""
    return classifier.classify(samples / "coffee.jpg").label


def classify(client, path):
    return client.predict(gradio_client.handle_file(str(path)), api_name="/classify")


def call(page, payload):
    """The answer of the API to a request that the page never sends."""
    request = urllib.request.Request(
        f"{page}gradio_api/call/classify",
        json.dumps({"data": [payload]}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            event = json.load(response)["event_id"]
        with urllib.request.urlopen(
            f"{page}gradio_api/call/classify/{event}", timeout=60
        ) as response:
            return response.read().decode()
    except urllib.error.HTTPError as error:
        return f"event: error {error}"


def test_a_picture_gets_the_answer_of_the_library(client, classifier, samples):
    answer = classify(client, samples / "astronaut.jpg")
    prediction = classifier.classify(samples / "astronaut.jpg")
    assert answer["label"] == prediction.label
    assert answer["confidence"] == pytest.approx(prediction.confidence, abs=1e-4)
    assert answer["uncertain"] == prediction.uncertain
    assert (answer["evidence"] is None) == (prediction.evidence is None)
    assert answer["elapsed_ms"] > 0


def test_the_python_example_of_the_documentation_runs(page, monkeypatch, capsys, coffee):
    monkeypatch.chdir(ROOT)
    example = re.search(r"```python\n(from gradio_client .*?)```", DOCUMENT, re.DOTALL).group(1)
    exec(example.replace("http://127.0.0.1:7860/", page), {})
    assert re.search(rf"^{coffee} ", capsys.readouterr().out, re.MULTILINE)


@pytest.fixture
def curl():
    if shutil.which("curl") is None:
        lacks("needs the package curl")


def test_the_curl_example_of_the_documentation_runs(page, coffee, curl):
    example = re.search(r"```sh\n(HOST=.*?)```", DOCUMENT, re.DOTALL).group(1)
    script = example.replace("http://127.0.0.1:7860", page.rstrip("/"))
    result = subprocess.run(
        ["bash", "-euc", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert "event: complete" in result.stdout, result.stderr
    assert re.search(rf'"label": ?"{coffee}"', result.stdout)


@pytest.fixture(scope="module")
def snippets(page):
    """What *Use via API* shows, per language."""
    with urllib.request.urlopen(f"{page}gradio_api/info") as response:
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


def test_no_example_on_the_page_sends_an_address_of_a_picture(snippets, page):
    for language, example in snippets.items():
        assert set(re.findall(r"https?://[^/\"' ]+", example)) == {page.rstrip("/")}, language
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


def test_the_largest_pictures_at_once_cost_the_memory_of_one(client, page, server_memory, tmp_path):
    """Four of them, each as large as is taken and decoded in full."""
    bomb = tmp_path / "large.png"
    Image.new("RGBA", (2820, 2820)).save(bomb)
    before = server_memory()
    jobs = [
        client.submit(gradio_client.handle_file(str(bomb)), api_name="/classify") for _ in range(4)
    ]
    assert {job.result(timeout=120)["label"] for job in jobs} <= {"Smoking", "NotSmoking"}
    assert before < server_memory() < MOST_MEMORY


def test_only_uploaded_files_are_read(page, samples):
    for path in (
        samples / "coffee.jpg",
        ROOT / "models" / "README.md",
        Path("/etc/passwd"),
        "../../../../etc/passwd",
        "samples/coffee.jpg",
    ):
        answer = call(page, {"path": str(path), "meta": {"_type": "gradio.FileData"}})
        assert "event: error" in answer
        assert "label" not in answer
        assert "event: error" in call(page, {"path": str(path)})


def test_no_address_is_asked_for(page):
    asked = []

    class Note(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments):
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Note) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/picture.jpg"
        for payload in ({"path": address}, {"path": address, "url": address}):
            answer = call(page, {**payload, "meta": {"_type": "gradio.FileData"}})
            assert "event: error" in answer
        for route in ("proxy=", "file="):
            with pytest.raises(urllib.error.HTTPError):
                opener = urllib.request.build_opener(NoRedirect)
                opener.open(f"{page}gradio_api/{route}{address}", timeout=60)
        server.shutdown()
    assert asked == []


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None


def test_files_of_the_server_are_not_served(page):
    for path in ("/etc/passwd", "../../../../etc/passwd", str(ROOT / "README.md"), "README.md"):
        for route in (f"gradio_api/file={path}", f"static/{path}", f"assets/{path}"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(f"{page}{route}", timeout=60)
            assert caught.value.code in (403, 404)


def test_the_page_keeps_to_itself_and_says_so_in_its_headers(page):
    with urllib.request.urlopen(page, timeout=60) as response:
        html, headers = response.read().decode(), response.headers
    outside = set(re.findall(r'(?:src|href)="(https?://[^"]+)"', html))
    assert {url for url in outside if "127.0.0.1" not in url} == set()
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_slow_upload_blocks_nobody(page, client, samples, coffee):
    with connection_to(page) as slow:
        slow.sendall(
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        assert classify(client, samples / "coffee.jpg")["label"] == coffee


def test_an_upload_over_the_limit_is_refused(tmp_path):
    from edge_app.imaging import PictureError
    from edge_app.web.uploads import LimitError, check_picture

    big = tmp_path / "big.jpg"
    with big.open("wb") as file:
        file.truncate(26_000_000)
    with pytest.raises(LimitError, match="error_large"):
        check_picture(str(big))
    with pytest.raises(LimitError, match="error_gone"):
        check_picture(str(tmp_path / "deleted.jpg"))
    with pytest.raises(PictureError, match="is empty"):
        check_picture(b"")


@pytest.mark.parametrize("form", ["AVIF", "BMP", "GIF", "HEIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_every_format_that_is_promised_is_taken(tmp_path, samples, form):
    import pillow_heif

    from edge_app.web.uploads import check_picture

    pillow_heif.register_heif_opener()  # to write it
    path = tmp_path / f"picture.{form.lower()}"
    with Image.open(samples / "coffee.jpg") as image:
        image.save(path, form)
    assert not check_picture(str(path)).is_large
    assert not check_picture(path.read_bytes()).is_large


def test_a_jpeg_of_countless_scans_is_refused_before_it_is_decoded(tmp_path, samples):
    from edge_app.web.uploads import LimitError, check_picture

    path = tmp_path / "scans.jpg"
    Image.open(samples / "coffee.jpg").save(path, progressive=True)
    check_picture(str(path))  # an ordinary progressive one is fine
    content = path.read_bytes()
    last_scan = content[content.rindex(b"\xff\xda") : -2]
    path.write_bytes(content[:-2] + last_scan * 100 + content[-2:])
    with pytest.raises(LimitError, match="error_scans"):
        check_picture(str(path))


def test_only_jpegs_may_be_as_large_as_phones_make_them(tmp_path):
    from edge_app.web.uploads import LimitError, check_picture

    picture = Image.new("L", (8000, 8000))
    picture.save(tmp_path / "large.jpg")
    picture.resize((5000, 5000)).save(tmp_path / "large.png")
    assert not check_picture(str(tmp_path / "large.jpg")).is_large
    with pytest.raises(LimitError, match="error_pixels"):
        check_picture(str(tmp_path / "large.png"))


def peak_of(function):
    """The memory that Python had at most while a function ran, in MB."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def test_a_zip_bomb_costs_no_more_than_one_picture_at_a_time(tmp_path):
    from edge_app.web.uploads import MOST_MEGABYTES, LimitError, check_picture, unpack

    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.jpg", "w") as file,
    ):
        for _ in range(100):
            file.write(bytes(1_000_000))
    assert path.stat().st_size < 200_000
    ((name, content),) = unpack(str(path))
    assert (name, len(content)) == ("a.jpg", MOST_MEGABYTES * 1_000_000 + 1)
    with pytest.raises(LimitError, match="error_large"):
        check_picture(content)
    assert peak_of(lambda: list(unpack(str(path)))) < 4 * MOST_MEGABYTES
    (tmp_path / "cut.zip").write_bytes(path.read_bytes()[:50] + path.read_bytes()[-100:])
    with pytest.raises(LimitError, match="error_zip"):
        list(unpack(str(tmp_path / "cut.zip")))


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_whose_packing_knows_no_bounds_is_refused(tmp_path, packing):
    """Of these, zipfile unpacks a piece of the file into as much as it holds, gigabytes or not."""
    from edge_app.web.uploads import LimitError, unpack

    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("a.jpg", bytes(50_000_000))
    assert path.stat().st_size < 20_000

    def refuse():
        with pytest.raises(LimitError, match="error_zip"):
            list(unpack(str(path)))

    assert peak_of(refuse) < 5


def test_a_zip_of_countless_names_is_refused_before_they_are_read(tmp_path):
    from edge_app.web.uploads import LimitError, unpack

    path = tmp_path / "names.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(5_000):
            archive.writestr(f"{number:0400}.txt", b"")

    def refuse():
        with pytest.raises(LimitError, match="error_zip_names"):
            list(unpack(str(path)))

    assert peak_of(refuse) < 5


def test_a_zip_in_a_zip_is_not_looked_into(tmp_path, samples):
    from edge_app.imaging import PictureError
    from edge_app.web.uploads import check_picture, unpack

    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.write(samples / "coffee.jpg", "coffee.jpg")
    path = tmp_path / "outer.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
        archive.writestr("disguised.jpg", inner.getvalue())
        archive.writestr("f" * 5000 + "/" + "n" * 50 + ".jpg", b"x")
    (_, content), (long_name, _) = unpack(str(path))
    with pytest.raises(PictureError, match="no picture"):
        check_picture(content)
    assert len(long_name) == 200 and long_name.endswith(".jpg")


def test_an_upload_is_cut_off_at_the_limit_whether_it_says_its_length_or_not(page):
    from edge_app.web.bodies import MOST_UPLOAD_MEGABYTES

    most = MOST_UPLOAD_MEGABYTES * 1_000_000
    head = b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nAccept-Language: id\r\n"
    with connection_to(page) as connection:
        connection.sendall(head + f"Content-Length: {most + 1}\r\n\r\n".encode())
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413") and b"server menerima paling banyak" in answer

    part = b"--x\r\nContent-Disposition: form-data; name=files; filename=a.jpg\r\n\r\n"
    head += b"Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connection_to(page) as connection:
        connection.sendall(head)
        for megabyte in range(MOST_UPLOAD_MEGABYTES + 1):
            if megabyte % 50 == 0:  # each file alone is within its limit
                connection.sendall(as_chunk(b"\r\n" + part))
            connection.sendall(as_chunk(bytes(1_000_000)))
        answer = connection.makefile("rb").readline()
    assert answer.startswith(b"HTTP/1.1 413")


def connection_to(page):
    parts = urlsplit(page)
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


def as_chunk(content):
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


def test_nothing_is_taken_where_the_disk_is_full(tmp_path, monkeypatch):
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    from edge_app.web import bodies, guard

    app = guard.Limits(Starlette(), tmp_path)
    assert TestClient(app).post("/gradio_api/upload").status_code == 404  # handed on
    monkeypatch.setattr(bodies, "_FREE_MEGABYTES", 1e12)
    refused = TestClient(app).post("/gradio_api/upload")
    assert refused.status_code == 507
    assert "disk is full" in refused.text


def test_old_uploads_are_deleted_with_their_folders(tmp_path):
    from edge_app.web.folder import remove_old_uploads

    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").touch()
    (tmp_path / "abandoned").touch()
    for name in ("old/a.jpg", "old", "abandoned"):
        os.utime(tmp_path / name, (0, 0))
    remove_old_uploads(tmp_path, 60)
    os.utime(tmp_path / "old", (0, 0))
    remove_old_uploads(tmp_path, 60)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new"]
    assert (tmp_path / "new" / "a.jpg").exists()
    remove_old_uploads(tmp_path / "gone", 60)


def test_other_interfaces_do_not_answer_unless_asked(page):
    port = urlsplit(page).port
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", port), timeout=10).close()


def test_the_history_is_bounded_in_number_and_bytes():
    from edge_app.web.history import MOST_BYTES, MOST_ENTRIES, Entry, History

    history = History()
    for number in range(MOST_ENTRIES + 5):
        history.add(Entry(f"{number}", b"x", "Smoking"))
    assert len(history.entries) == MOST_ENTRIES
    assert history.entries[0].name == f"{MOST_ENTRIES + 4}"
    for _ in range(4):
        history.add(Entry("large", bytes(MOST_BYTES // 3 - 5), "NotSmoking"))
    assert len(history.entries) == 3
    assert history.of("Smoking") == []


def test_a_spreadsheet_does_not_run_a_pictures_name():
    from edge_app.web.cards import to_csv
    from edge_app.web.history import Entry

    table = to_csv([Entry("=cmd()|x.jpg", shown="Smoking")])
    assert table.splitlines()[1].startswith("\"'=cmd()")


def test_the_evidence_is_red_where_it_speaks_for_smoking():
    from edge_app.web.cards import draw_evidence

    evidence = np.zeros((7, 7), np.float32)
    evidence[0, 0], evidence[6, 6] = 4, -4
    drawn = np.asarray(draw_evidence(evidence))
    red, blue, nothing = drawn[4, 4], drawn[-4, -4], drawn[112, 112]
    assert red[0] > red[2] and blue[2] > blue[0]
    assert red[3] > 200 and blue[3] > 200 and nothing[3] == 0


@pytest.mark.parametrize(
    ("label", "uncertain", "kind", "said"),
    [
        ("Smoking", False, "found", "Merokok"),
        ("NotSmoking", False, "clear", "Tidak merokok"),
        ("Smoking", True, "unsure", "Tidak pasti"),
    ],
)
def test_each_kind_of_answer_has_its_own_card(classifier, samples, label, uncertain, kind, said):
    from edge_app import Prediction
    from edge_app.imaging import read_thumbnail
    from edge_app.web.cards import result_card
    from edge_app.web.pool import UNCERTAIN, Answer, Pool
    from edge_app.web.texts import TEXTS

    evidence = np.linspace(-3, 3, 49, dtype=np.float32).reshape(7, 7)
    prediction = Prediction(label, 0.8123, 0.8123, uncertain=uncertain, evidence=evidence)
    pool, shown = Pool(classifier), UNCERTAIN if uncertain else label
    preview = read_thumbnail(samples / "coffee.jpg", 200)
    assert pool.kind(shown) == kind
    card = result_card("id", pool, Answer(prediction, shown, kind, 12.0, preview))
    assert f'class="result {kind}"' in card
    assert f"</svg>{said}</p>" in card
    assert "81,2%" in card
    assert TEXTS["id"][f"means_{kind}"] in card
    assert "data:image/png;base64," in card


def test_about_tells_what_the_model_and_its_evaluation_say(classifier):
    from edge_app.decision import Decision
    from edge_app.web.about import about

    told = about("en", classifier.info)
    evaluation = json.loads((ROOT / "models" / "evaluation" / "evaluation.json").read_text())
    for name, result in evaluation["datasets"].items():
        assert f"{name}</th><td>{result['pictures']}</td><td>{result['accuracy']:.1%}" in told
    assert classifier.info.sha256 in told
    assert "<details>" in told  # the known failures of the card
    other = dataclasses.replace(
        classifier.info, sha256="another", decision=Decision(uncertain=(0.25, 0.75))
    )
    told = about("en", other)
    assert "from 25.0% to 75.0%" in told
    assert "<table>" not in told and "<details>" not in told  # they are of another file


def test_both_languages_say_the_same_things():
    from edge_app.web.texts import TEXTS, language_of

    assert TEXTS["en"].keys() == TEXTS["id"].keys()
    for key, sentence in TEXTS["en"].items():
        holes = re.findall(r"{\w+}", sentence)
        assert sorted(re.findall(r"{\w+}", TEXTS["id"][key])) == sorted(holes), key
    assert [language_of(code) for code in ("id-ID,en", "de,en-GB", None)] == ["id", "en", "en"]


def test_with_auth_only_the_password_opens_the_page(tmp_path, coffee):
    with served(tmp_path / "web", SMOKING_WEB_AUTH="ani:secret") as url:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{url}config", timeout=60)
        assert refused.value.code == 401
        client = gradio_client.Client(
            url, auth=("ani", "secret"), verbose=False, httpx_kwargs={"timeout": 120}
        )
        assert classify(client, ROOT / "samples" / "coffee.jpg")["label"] == coffee


@pytest.mark.parametrize("auth", ["ani", "ani:", ":secret"])
def test_half_a_login_is_refused(auth):
    result = subprocess.run(
        [sys.executable, "-m", "edge_app", "web", "--auth", auth],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2
    assert "USER:PASSWORD" in result.stderr


def test_a_taken_port_is_named(page):
    port = page.rstrip("/").rsplit(":", 1)[1]
    result = subprocess.run(
        [sys.executable, "-m", "edge_app", "web", "--port", port],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in result.stderr
