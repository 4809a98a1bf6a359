"""The page as a user starts it, requests to it, and a browser, for the tests that need them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import ROOT, lacks

WAIT = int(os.environ.get("SMOKING_WAIT_MS", "180000"))
"""Milliseconds until a browser gives up: nothing here is about speed."""

COFFEE = ROOT / "samples" / "coffee.jpg"

MULTIPART = {"Content_Type": "multipart/form-data; boundary=x"}
JSON = {"Content_Type": "application/json"}

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


def space_under_test() -> dict:
    """What `served` needs to serve a Space's folder instead of the working tree, if told to."""
    folder = os.environ.get("SMOKING_SPACE")
    if folder is None:
        return {}
    command = (os.environ["SMOKING_SPACE_PYTHON"], "app.py")
    return {"command": command, "folder": Path(folder), "GRADIO_SERVER_PORT": ""}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def served(
    temporary: Path,
    *options: str,
    command: tuple[str, ...] = (sys.executable, "-m", "edge_app", "web"),
    folder: Path = ROOT,
    **variables: str,
) -> Iterator[str]:
    """Starts the page and gives its URL; at its end, nothing of the visitors may be left.

    Args:
        temporary: a new folder for its temporary files; what it says goes to a text beside it.
        options: of the command line.
        command: the program.
        folder: where it runs.
        variables: of its environment; with GRADIO_SERVER_PORT, a free port goes there and not
            to the command line.
    """
    temporary.mkdir(parents=True, exist_ok=True)
    output = temporary.with_suffix(".txt")
    port = free_port()
    port_option = ("--port", str(port))
    if "GRADIO_SERVER_PORT" in variables:
        port_option, variables["GRADIO_SERVER_PORT"] = (), str(port)
    with output.open("w") as file:
        process = subprocess.Popen(
            [*command, *port_option, *options],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(temporary), **variables},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        for _ in range(2400):
            if "Serving on" in output.read_text():
                break
            assert process.poll() is None, output.read_text()
            time.sleep(0.25)
        else:
            raise AssertionError(f"the page did not start in ten minutes: {output.read_text()}")
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    said = output.read_text()  # Gradio writes down paths that nobody uploaded, and broken requests
    assert not re.search(r"edge_app/(?!web/(server|guard)\.py)", said), said
    assert list(temporary.iterdir()) == []


@contextlib.contextmanager
def chromium(*options: str):
    """The system's Chromium, driven by Playwright; skips the test if it is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="needs requirements-dev.txt")
    with api.sync_playwright() as playwright, launched(playwright.chromium, *options) as browser:
        yield browser


@contextlib.contextmanager
def launched(kind, *options: str):
    """The same from a Playwright that runs already, of which a process has only one."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        lacks("needs Chromium: apt-get install chromium")
    browser = kind.launch(executable_path=program, args=[*QUIET, *options], timeout=WAIT)
    yield browser
    browser.close()


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


def upload(site, content):
    status, text = ask(f"{site}gradio_api/upload", form(("a.jpg", content)), **MULTIPART)
    assert status == 200, text
    return json.loads(text)[0]


def as_file(path):
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def classify(site):
    body = json.dumps({"data": [as_file(upload(site, COFFEE.read_bytes()))]}).encode()
    status, text = ask(f"{site}gradio_api/call/classify", body, **JSON)
    assert status == 200, text
    status, text = ask(f"{site}gradio_api/call/classify/{json.loads(text)['event_id']}")
    return text


def connection_to(site):
    parts = urlsplit(site)
    return socket.create_connection((parts.hostname, parts.port), timeout=60)
