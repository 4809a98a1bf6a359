"""What a hostile visitor sends, over real HTTP: refused early, cheaply, and for nobody else."""

import concurrent.futures
import contextlib
import json
import socket
import threading
import time
import urllib.request
from urllib.parse import urlsplit

import pytest
from webpage import (
    COFFEE,
    JSON,
    MULTIPART,
    as_file,
    ask,
    classify,
    connection_to,
    form,
    served,
    upload,
)

pytest.importorskip("gradio", reason="needs requirements-web.txt")


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
def test_no_body_is_read_beyond_what_its_route_needs(site, route, size, headers):
    status, _ = ask(site + route, b" " * size, **headers)
    assert status == 413


def test_a_body_of_countless_objects_is_refused_before_it_is_parsed(site):
    body = json.dumps({"data": [[]] * 10_000}).encode()
    assert ask(f"{site}gradio_api/queue/join", body, **JSON)[0] == 413


def test_a_part_without_a_file_name_and_countless_parts_are_refused(site):
    url = f"{site}gradio_api/upload"
    assert ask(url, form((None, bytes(2_000_000))), **MULTIPART)[0] == 413
    assert ask(url, form(*[("a.jpg", b"x")] * 300), **MULTIPART)[0] == 413
    assert ask(url, b"no form", **MULTIPART)[0] == 400
    assert "label" in classify(site)


def test_an_upload_is_cut_off_at_the_limit_whether_it_says_its_length_or_not(site):
    from edge_app.web.bodies import MOST_UPLOAD_MEGABYTES

    most = MOST_UPLOAD_MEGABYTES * 1_000_000
    head = b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nAccept-Language: id\r\n"
    with connection_to(site) as connection:
        connection.sendall(head + f"Content-Length: {most + 1}\r\n\r\n".encode())
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413") and b"server menerima paling banyak" in answer

    part = b"--x\r\nContent-Disposition: form-data; name=files; filename=a.jpg\r\n\r\n"
    head += b"Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connection_to(site) as connection:
        connection.sendall(head)
        for megabyte in range(MOST_UPLOAD_MEGABYTES + 1):
            if megabyte % 50 == 0:  # each file alone is within its limit
                connection.sendall(as_chunk(b"\r\n" + part))
            connection.sendall(as_chunk(bytes(1_000_000)))
        answer = connection.makefile("rb").readline()
    assert answer.startswith(b"HTTP/1.1 413")


def as_chunk(content):
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


@pytest.mark.slow
def test_slow_headers_and_silent_connections_are_closed(site):
    from edge_app.web.server import HEADER_SECONDS

    parts = urlsplit(site)
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


def test_one_address_cannot_fill_the_queue(site):
    """200 jobs with nobody listening: most are refused, and others are answered meanwhile."""
    path = upload(site, COFFEE.read_bytes())
    with urllib.request.urlopen(f"{site}config", timeout=60) as answer:
        functions = json.load(answer)["dependencies"]
    (batch,) = [f["id"] for f in functions if f["api_name"] == "classify_batch"]

    def join(number):
        body = {"data": [[as_file(path)] * 200, None], "fn_index": batch}
        body["session_hash"] = f"session{number}"
        return ask(f"{site}gradio_api/queue/join", json.dumps(body).encode(), **JSON)[0]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(join, range(60)))
    assert statuses.count(200) <= 20
    assert set(statuses) <= {200, 413, 429}
    assert '"label"' in classify(site)


def test_a_broken_request_is_one_line_without_what_the_visitor_sent(tmp_path):
    with served(tmp_path / "web") as url:
        body = json.dumps({"data": [{"path": 5, "meta": {"_type": "gradio.FileData"}}]}).encode()
        ask(f"{url}gradio_api/call/classify", body, **JSON)
        ask(f"{url}gradio_api/queue/join", b'{"fn_index": "secretname"}', **JSON)
        ask(f"{url}gradio_api/call/classify/secretname")
    said = (tmp_path / "web.txt").read_text()
    assert "Traceback" not in said
    assert "secretname" not in said


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
