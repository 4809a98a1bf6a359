"""Streams of servers that restart, stall or do not answer."""

import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import ROOT, run_module

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from live_servers import (  # noqa: E402
    MjpegServer,
    RtspServer,
    until,
    wait_for,
)

from edge_app.live.errors import SourceError  # noqa: E402
from edge_app.live.frames import Found, Frame, Lost  # noqa: E402
from edge_app.live.sources import open_frames  # noqa: E402


def start_live(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "edge_app", "live", "--display", "none", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("kind", [MjpegServer, RtspServer])
def test_a_server_that_restarts_is_found_again_and_the_events_file_says_so(samples, tmp_path, kind):
    events = tmp_path / "events.jsonl"
    server = kind(samples / "astronaut.jpg")
    server.start()
    process = start_live("--source", server.url, "--events", events)
    try:
        assert process.stdout.readline().startswith("frame ")
        server.stop()
        wait_for(lambda: any(record["event"] == "lost" for record in records(events)), 60)
        server.start()
        wait_for(lambda: any(record["event"] == "restored" for record in records(events)), 90)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        server.stop()
    assert process.returncode == 0
    assert errors.count("lost (") == 1
    assert "restored after" in errors
    assert [record["event"] for record in records(events)] == ["lost", "restored"]


def test_an_rtsp_stream_shows_what_the_server_shows(samples):
    with RtspServer(samples / "astronaut.jpg") as server:
        frames = open_frames(server.url)
        seen = [until(frames, Frame)[-1] for _ in range(5)]
        frames.close()
    expected = cv2.resize(cv2.imread(str(samples / "astronaut.jpg")), (320, 240))
    assert seen[-1].pixels.shape == expected.shape
    assert np.abs(seen[-1].pixels.astype(int) - expected).mean() < 12  # of a lossy video


@pytest.mark.parametrize("stalled", [False, True], ids=["running", "stalled"])
def test_sigterm_ends_it_cleanly_within_a_second(samples, stalled):
    with MjpegServer(samples / "astronaut.jpg") as server:
        process = start_live("--source", server.url)
        try:
            assert process.stdout.readline().startswith("frame ")
            if stalled:
                server.stalled.set()
                assert "lost (" in process.stderr.readline()
            sent = time.monotonic()
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=60)
            took = time.monotonic() - sent
        finally:
            process.kill()
    assert process.returncode == (1 if stalled else 0)
    assert " classified in " in output
    assert took < 4.5  # the goal is 1 s, on a machine that may be busy; a stall takes 5 s


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_while_it_waits_for_a_camera_that_does_not_answer(kind):
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = start_live("--source", f"http://127.0.0.1:{server.getsockname()[1]}/")
        try:
            connection, _ = server.accept()
            process.send_signal(kind)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
        connection.close()
    assert (process.returncode, errors) == (130 if kind == signal.SIGINT else 0, "")
    assert "0 frames classified" in output


def test_a_stream_that_stalls_is_noticed_and_found_again(samples, quick_retries):
    with MjpegServer(samples / "astronaut.jpg") as server:
        frames = open_frames(server.url)
        until(frames, Frame)
        server.stalled.set()
        until(frames, Lost)
        server.stalled.clear()
        assert isinstance(until(frames, Found)[-1], Found)
        frames.close()


class Refusing(socketserver.StreamRequestHandler):
    """A camera, by HTTP or RTSP, that no account pleases."""

    def handle(self):
        while request := self.rfile.readline():
            sequence = b""
            while (line := self.rfile.readline()).strip():
                if line.lower().startswith(b"cseq"):
                    sequence = line
            protocol = request.split()[-1]
            self.wfile.write(
                protocol + b" 401 Unauthorized\r\n" + sequence + b"Content-Length: 0\r\n"
                b'WWW-Authenticate: Basic realm="camera"\r\n\r\n'
            )


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
@pytest.mark.parametrize(
    ("account", "words"),
    [
        ("me:s3cret@", "refuses the user name or password"),
        ("", "asks for a user name and password. Write them as"),
    ],
)
def test_a_camera_that_refuses_the_account_is_said_to_do_so(scheme, account, words):
    pytest.importorskip("av", reason="needs requirements-live.txt")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refusing) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"{scheme}://{account}127.0.0.1:{server.server_address[1]}/live"
        with pytest.raises(SourceError, match=words) as raised:
            open_frames(url)
        server.shutdown()
    assert "s3cret" not in str(raised.value)


def test_the_password_of_a_stream_is_never_shown():
    # A process of its own: FFmpeg itself writes to stderr.
    result = run_module("edge_app", "live", "--source", "rtsp://me:secret@127.0.0.1:9/live")
    assert result.returncode == 2
    assert "rtsp://me@127.0.0.1:9/live: cannot be opened" in result.stderr
    assert "secret" not in result.stderr + result.stdout
