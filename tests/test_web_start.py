"""The page's login, and how it starts and stops."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import pytest
from conftest import ROOT
from webpage import COFFEE, MULTIPART, ask, form, free_port, served, upload

pytest.importorskip("gradio", reason="needs requirements-web.txt")


def test_guessing_the_password_is_slow_and_the_user_name_stays(tmp_path):
    from edge_app.lockout import MOST_WRONG

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


def test_a_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run(
            [sys.executable, "-m", "edge_app", "web", "--port", str(port)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert result.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in result.stderr


@pytest.mark.parametrize(
    ("end", "code"),
    [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)],
)
@pytest.mark.slow
def test_nothing_of_a_visitor_stays_on_the_disk(tmp_path, end, code):
    """Once the server is stopped; where it is killed, once it is started again."""
    with started(tmp_path) as (process, url):
        upload(url, COFFEE.read_bytes())
        assert list(tmp_path.rglob("a.jpg"))
        process.send_signal(end)
        said, _ = process.communicate(timeout=120)
    assert "Traceback" not in said
    assert process.returncode == code
    if end == signal.SIGKILL:
        assert list(tmp_path.rglob("a.jpg"))
        with started(tmp_path) as (process, _):
            assert not list(tmp_path.rglob("a.jpg"))
            process.terminate()
            process.communicate(timeout=120)
    assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def started(temporary):
    """The page of a user without a home, once it answers: its process and its URL."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_app", "web", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary), "HOME": "/nonexistent"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert "Serving on" in process.stdout.readline()
        yield process, f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
