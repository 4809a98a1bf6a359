"""What a hostile visitor sends, over real HTTP: refused early, cheaply, and for nobody else."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from urllib.parse import urlsplit

import pytest
from conftest import ROOT
from webpage import free_port, served

pytest.importorskip("gradio", reason="needs requirements-web.txt")

COFFEE = ROOT / "samples" / "coffee.jpg"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with served(tmp_path_factory.mktemp("temporary") / "web") as url:
        yield url


def ask(url, data=None, method=None, **headers):
    """Status and text of an answer, whatever it is."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=120)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    # An answer that comes before the whole body was sent closes the connection.
    with contextlib.closing(connection):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method or ("GET" if data is None else "POST"), target, data, headers)
        answer = connection.getresponse()
        try:
            content = answer.read()
        except http.client.IncompleteRead as cut_short:
            content = cut_short.partial
        return answer.status, content.decode(errors="replace")


def form(*parts):
    """A multipart body of (filename or None, content)."""
    body = b""
    for name, content in parts:
        file = f"; filename={name}" if name else ""
        head = f"--x\r\nContent-Disposition: form-data; name=files{file}\r\n\r\n"
        body += head.encode() + content + b"\r\n"
    return body + b"--x--\r\n"


MULTIPART = {"Content_Type": "multipart/form-data; boundary=x"}
JSON = {"Content_Type": "application/json"}


def upload(page, content):
    status, text = ask(f"{page}gradio_api/upload", form(("a.jpg", content)), **MULTIPART)
    assert status == 200, text
    return json.loads(text)[0]


def as_file(path):
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def classify(page):
    body = json.dumps({"data": [as_file(upload(page, COFFEE.read_bytes()))]}).encode()
    status, text = ask(f"{page}gradio_api/call/classify", body, **JSON)
    assert status == 200, text
    status, text = ask(f"{page}gradio_api/call/classify/{json.loads(text)['event_id']}")
    return text


@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("GET", "gradio_api/runs"),
        ("GET", "gradio_api/deep_link?session_hash=abc"),
        ("GET", "?deep_link=abc"),
        ("GET", "gradio_api/file=http://127.0.0.1:9/a.jpg"),
        ("GET", "gradio_api/file=/etc/passwd"),
        ("GET", "gradio_api/proxy=http://127.0.0.1:9/a.jpg"),
        ("GET", "monitoring"),
        ("GET", "gradio_api/vibe-code"),
        ("GET", "docs"),
        ("GET", "openapi.json"),
        ("GET", "samples/../app.py"),
        ("POST", "gradio_api/process_recording"),
        ("POST", "gradio_api/component_server"),
        ("POST", "gradio_api/run/classify"),
        ("POST", "gradio_api/api/classify"),
        ("POST", "gradio_api/call/v2/classify"),
        ("POST", "gradio_api/call/classify_batch"),
        ("PUT", "gradio_api/upload"),
        ("DELETE", ""),
    ],
)
def test_what_the_page_does_not_need_is_not_there(page, method, route):
    status, _ = ask(page + route, b"{}" if method == "POST" else None, method)
    assert status == 404


def test_every_route_that_gradio_has_is_either_needed_or_refused():
    """A new version of Gradio may add routes: none of them opens without a decision."""
    import re

    import fastapi
    import gradio as gr
    from starlette.routing import Mount

    from edge_app.web.guard import _ALLOWED

    with gr.Blocks() as blocks:
        pass
    app = gr.mount_gradio_app(fastapi.FastAPI(), blocks, "/", ssr_mode=False)
    (mounted,) = [route.app for route in app.routes if isinstance(route, Mount)]
    # FastAPI keeps the routes of an included router in the router.
    included = [getattr(route, "original_router", None) for route in mounted.routes]
    routes = [*mounted.routes, *(r for router in included if router for r in router.routes)]
    paths = {route.path for route in routes if hasattr(route, "path")}
    assert len(paths) > 30
    opened = {
        path
        for path in paths
        if any(rule.fullmatch(re.sub(r"{\w+(:path)?}", "x", path)) for rule in _ALLOWED.values())
    }
    wanted = ("config", "theme", "favicon", "robots", "manifest", "login", "logout", "static")
    wanted += ("assets", "info", "startup", "app_id", "heartbeat", "queue", "upload", "call")
    wanted += ("file=", "stream", "cancel", "reset")
    assert {path for path in opened if path != "/" and not any(w in path for w in wanted)} == set()


@pytest.mark.parametrize(
    ("route", "size", "headers"),
    [
        ("gradio_api/queue/join", 700_000, JSON),
        ("gradio_api/call/classify", 60_000, JSON),
        ("gradio_api/cancel", 60_000, JSON),
        ("gradio_api/stream/abc", 700_000, JSON),
        ("login", 60_000, {"Content_Type": "application/x-www-form-urlencoded"}),
    ],
)
def test_no_body_is_read_beyond_what_its_route_needs(page, route, size, headers):
    status, _ = ask(page + route, b" " * size, **headers)
    assert status == 413


def test_a_body_of_countless_objects_is_refused_before_it_is_parsed(page):
    body = json.dumps({"data": [[]] * 10_000}).encode()
    assert ask(f"{page}gradio_api/queue/join", body, **JSON)[0] == 413


def test_a_part_without_a_file_name_and_countless_parts_are_refused(page):
    url = f"{page}gradio_api/upload"
    assert ask(url, form((None, bytes(2_000_000))), **MULTIPART)[0] == 413
    assert ask(url, form(*[("a.jpg", b"x")] * 300), **MULTIPART)[0] == 413
    assert ask(url, b"no form", **MULTIPART)[0] == 400
    assert "label" in classify(page)


def test_requests_of_another_site_are_refused(page):
    url, body = f"{page}gradio_api/queue/join", b"{}"
    assert ask(url, body, **JSON, Origin="https://evil.example")[0] == 403
    assert ask(url, body, **JSON, Origin="null")[0] == 403
    assert ask(url, body, **JSON, Sec_Fetch_Site="cross-site")[0] == 403
    assert ask(url, body, **JSON, Origin=page.rstrip("/"))[0] not in (403, 404)


def test_a_foreign_host_name_is_refused_and_told_how_to_allow_it(page):
    status, text = ask(page, Host="evil.example")
    assert status == 421 and "--allow-host evil.example" in text
    assert ask(page, Host=f"localhost:{urlsplit(page).port}")[0] == 200


@pytest.mark.slow
def test_slow_headers_and_silent_connections_are_closed(page):
    from edge_app.web.server import HEADER_SECONDS

    parts = urlsplit(page)
    slow = [socket.create_connection((parts.hostname, parts.port)) for _ in range(20)]
    for number, connection in enumerate(slow):
        if number % 2:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ")
        connection.settimeout(HEADER_SECONDS + 60)
    start = time.monotonic()
    for connection in slow:
        assert connection.recv(1000) == b""  # closed by the server
        connection.close()
    assert time.monotonic() - start < HEADER_SECONDS + 50


def test_a_connection_that_is_used_again_stays_open_for_its_own_time(monkeypatch):
    """Not for what is left of the time of an answer before: who sends then would be cut off."""
    uvicorn = pytest.importorskip("uvicorn")
    from edge_app.web import server

    async def app(scope, receive, send):
        head = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", b"0")],
        }
        await send(head)
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setattr(server, "HEADER_SECONDS", 1.0)
    config = uvicorn.Config(
        app, http=server.PatientProtocol, ws="none", lifespan="off", log_config=None
    )
    listening = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        with contextlib.closing(socket.create_connection(listening.getsockname())) as connection:
            request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
            connection.sendall(request)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
            time.sleep(0.5)  # half of the time
            again = time.monotonic()
            connection.sendall(request)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
            while connection.recv(1000):  # until the server closes it
                pass
            assert time.monotonic() - again >= 1
    finally:
        running.should_exit = True
        thread.join()
        listening.close()


def test_one_address_cannot_fill_the_queue(page):
    """200 jobs with nobody listening: most are refused, and others are answered meanwhile."""
    path = upload(page, COFFEE.read_bytes())
    with urllib.request.urlopen(f"{page}config", timeout=60) as answer:
        functions = json.load(answer)["dependencies"]
    (batch,) = [f["id"] for f in functions if f["api_name"] == "classify_batch"]

    def join(number):
        body = {"data": [[as_file(path)] * 200, None], "fn_index": batch}
        body["session_hash"] = f"session{number}"
        return ask(f"{page}gradio_api/queue/join", json.dumps(body).encode(), **JSON)[0]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(join, range(60)))
    assert statuses.count(200) <= 20
    assert set(statuses) <= {200, 413, 429}
    assert '"label"' in classify(page)


def test_a_path_in_place_of_an_upload_gets_a_message_that_helps(page):
    for payload in ("samples/coffee.jpg", as_file("samples/coffee.jpg")):
        body = json.dumps({"data": [payload]}).encode()
        status, text = ask(f"{page}gradio_api/call/classify", body, **JSON)
        if status == 200:
            url = f"{page}gradio_api/call/classify/{json.loads(text)['event_id']}"
            status, text = ask(url)
        assert "handle_file" in text


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.slow
def test_nothing_of_a_visitor_stays_on_the_disk_when_the_server_is_stopped(tmp_path, end):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_app", "web", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert "Serving on" in process.stdout.readline()
    upload(f"http://127.0.0.1:{port}/", COFFEE.read_bytes())
    assert list(tmp_path.rglob("a.jpg"))
    process.send_signal(end)
    said, _ = process.communicate(timeout=120)
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_has_left_is_removed_at_the_next_start(tmp_path):
    from edge_app.web.folder import _lock, remove_dead_folders

    for name in ("dead", "alive", "young"):
        (tmp_path / f"smoking-web-{name}").mkdir()
    for name in ("dead", "alive"):
        (tmp_path / f"smoking-web-{name}" / ".lock").touch()
        (tmp_path / f"smoking-web-{name}" / "a.jpg").touch()
    held = _lock(tmp_path / "smoking-web-alive" / ".lock")
    remove_dead_folders(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    held.close()
    assert left == ["smoking-web-alive", "smoking-web-young"]


def test_guessing_the_password_is_slow_and_the_user_name_stays(tmp_path):
    from edge_app.web.login import MOST_WRONG

    def log_in(url, password, **headers):
        data = urllib.parse.urlencode({"username": "ani", "password": password}).encode()
        return ask(f"{url}login", data, **headers)

    with served(tmp_path / "web", SMOKING_WEB_AUTH="ani:secret") as url:
        assert ask(f"{url}gradio_api/upload", form(("a.jpg", b"x")), **MULTIPART)[0] == 401
        status, text = ask(url)
        assert status == 200 and 'autocomplete="current-password"' in text
        status, text = log_in(url, "wrong", Accept="text/html", Accept_Language="id")
        assert status == 400
        assert 'value="ani"' in text and "kata sandi salah" in text
        assert log_in(url, "secret")[0] == 200
        for _ in range(MOST_WRONG):
            log_in(url, "wrong")
        status, text = log_in(url, "secret")
        assert status == 429 and "Try again in" in text


def test_a_broken_request_is_one_line_without_what_the_visitor_sent(tmp_path):
    with served(tmp_path / "web") as url:
        body = json.dumps({"data": [{"path": 5, "meta": {"_type": "gradio.FileData"}}]}).encode()
        ask(f"{url}gradio_api/call/classify", body, **JSON)
        ask(f"{url}gradio_api/queue/join", b'{"fn_index": "secretname"}', **JSON)
        ask(f"{url}gradio_api/call/classify/secretname")
    said = (tmp_path / "web.txt").read_text()
    assert "Traceback" not in said
    assert "secretname" not in said


@pytest.mark.parametrize(
    "name",
    ["=cmd()", "a;=cmd()", " =cmd()", "\uff1dcmd()", "\uff0b1+1", "@x", "a\n=cmd()", '"=cmd()'],
)
def test_no_spreadsheet_runs_a_name(name):
    from edge_app.web.cards import to_csv
    from edge_app.web.history import Entry

    row = to_csv([Entry(name, shown="Smoking")]).splitlines()[1]
    assert row.startswith("\"'")
    assert row.count('","') == 4


def test_the_histories_of_all_visitors_together_have_a_limit(monkeypatch):
    from edge_app.web import history

    monkeypatch.setattr(history, "MOST_BYTES_ALL", 1000)
    first, second = history.History(), history.History()
    first.add(history.Entry("a", bytes(600), "Smoking"))
    second.add(history.Entry("b", bytes(600), "Smoking"))
    assert first.entries == []
    assert [entry.name for entry in second.entries] == ["b"]
