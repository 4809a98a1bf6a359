"""What hostile visitors can do to the page: memory, disk, and others' answers meanwhile.

    python benchmarks/web_attacks.py
    python benchmarks/web_attacks.py unread_answers unheard_batches

Starts the page, sends each attack (or those named), and prints the most memory that the process
had, the files that are left, and how long an ordinary visitor waited meanwhile. Exits with 1 where
a promise of docs/web.md is broken. Linux only.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import io
import json
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from PIL import Image
from web_load import classify, one_megapixel, start

MOST_MEGABYTES = 600
MOST_WAIT = 30
"""Seconds that an ordinary visitor waits at most during an attack."""
_FORM = {"Content-Type": "multipart/form-data; boundary=x"}
_JSON = {"Content-Type": "application/json"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [attack.__name__ for attack in ATTACKS]
    parser.add_argument("attacks", nargs="*", choices=[*names, []], metavar="ATTACK")
    chosen = parser.parse_args().attacks or names
    with tempfile.TemporaryDirectory() as temporary:
        process, url, _ = start(temporary)
        broken = 0
        try:
            for attack in ATTACKS:
                if attack.__name__ not in chosen:
                    continue
                with Visitor(url) as visitor:
                    begin = time.perf_counter()
                    with contextlib.suppress(httpx.HTTPError, OSError):
                        attack(url)
                    took = time.perf_counter() - begin
                memory, files = peak(process.pid), len(files_in(temporary))
                bad = memory > MOST_MEGABYTES or visitor.errors or visitor.longest > MOST_WAIT
                broken += bool(bad)
                print(
                    f"{attack.__name__:<24} {took:5.1f} s  peak {memory:4.0f} MB  "
                    f"files {files:3}  others: {visitor.answers} answers, "
                    f"{len(visitor.errors)} errors, longest {visitor.longest:.1f} s"
                    f"{'  BROKEN' if bad else ''}",
                    flush=True,
                )
                for error in visitor.errors:
                    print(f"    {error}", flush=True)
        finally:
            process.terminate()
            process.wait(timeout=60)
        left = files_in(temporary)
        print(f"files after SIGTERM      {len(left)}")
    sys.exit(1 if broken or left else 0)


class Visitor:
    """An ordinary visitor, who classifies a picture again and again from another address."""

    def __init__(self, url: str):
        self.url, self.answers, self.longest = url, 0, 0.0
        self.errors: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._visit)

    def __enter__(self) -> Visitor:
        self._thread.start()
        return self

    def __exit__(self, *arguments: object) -> None:
        self._stop.set()
        self._thread.join()

    def _visit(self) -> None:
        picture = one_megapixel()
        # 127.0.0.1 is a proxy that is believed: the visitor's address is what it tells.
        with httpx.Client(timeout=60, headers={"X-Forwarded-For": "192.0.2.7"}) as client:
            while not self._stop.is_set() or not (self.answers or self.errors):
                try:
                    self.longest = max(self.longest, classify(client, self.url, picture))
                    self.answers += 1
                except (httpx.HTTPError, ValueError) as error:
                    self.errors.append(f"{type(error).__name__}: {error}")
                self._stop.wait(0.5)


def peak(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def files_in(folder: str) -> list[Path]:
    return [path for path in Path(folder).rglob("*") if path.is_file() and path.name != ".lock"]


def together(count: int, function: Callable[[], object]) -> None:
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(function) for _ in range(count)]:
            with contextlib.suppress(httpx.HTTPError, OSError):
                future.result()


def post(url: str, route: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(f"{url}/{route}", content=body, headers=headers, timeout=60)


def part(name: str, content: bytes) -> bytes:
    head = f"--x\r\nContent-Disposition: form-data; name=files{name}\r\n\r\n".encode()
    return head + content + b"\r\n--x--\r\n"


def upload(url: str, content: bytes) -> dict:
    sent = part("; filename=a.jpg", content)
    answer = post(url, "gradio_api/upload", sent, _FORM)
    answer.raise_for_status()
    return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}


def picture_of(form: str, width: int, height: int, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (width, height), "white").save(buffer, form, **options)
    return buffer.getvalue()


def large_json(url: str) -> None:
    """Four bodies of 120 MB."""
    body = b'{"data": ["' + b"x" * 120_000_000 + b'"]}'
    together(4, lambda: post(url, "gradio_api/queue/join", body, _JSON))


def countless_objects(url: str) -> None:
    body = b'{"session_hash": "a", "fn_index": 0, "data": [' + b"[]," * 190_000 + b"0]}"
    together(20, lambda: post(url, "gradio_api/queue/join", body, _JSON))


def part_without_name(url: str) -> None:
    body = part("", b"x" * 180_000_000)
    together(2, lambda: post(url, "gradio_api/upload", body, _FORM))


def large_login(url: str) -> None:
    body = b"username=a&password=" + b"x" * 100_000_000
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for route in ("login", "gradio_api/component_server", "gradio_api/process_recording"):
        post(url, route, body, form)


def slow_connections(url: str) -> None:
    """350 that never end their headers."""
    parts, held = urlsplit(url), []
    for _ in range(350):
        connection = socket.create_connection((parts.hostname, parts.port), timeout=30)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ")
        held.append(connection)
    time.sleep(20)
    for connection in held:
        connection.close()


def jobs_of(url: str, picture: bytes, count: int) -> None:
    file = upload(url, picture)
    body = json.dumps({"data": [file]}).encode()
    together(min(count, 30), lambda: post(url, "gradio_api/call/classify", body, _JSON))


def progressive_jpegs(url: str) -> None:
    """Five of the largest progressive JPEGs at once."""
    jobs_of(url, picture_of("JPEG", 6300, 6300, progressive=True, subsampling=0), 5)
    time.sleep(15)


def largest_png(url: str) -> None:
    jobs_of(url, picture_of("PNG", 2820, 2820, "RGBA"), 5)
    time.sleep(10)


def largest_webp(url: str) -> None:
    jobs_of(url, picture_of("WEBP", 2820, 2820), 5)
    time.sleep(10)


def unheard_batches(url: str) -> None:
    """200 batches of 200 times one JPEG of 64 megapixels, with nobody listening."""
    file = upload(url, picture_of("JPEG", 8000, 8000))
    config = httpx.get(f"{url}/config", timeout=60).json()
    (batch,) = [f["id"] for f in config["dependencies"] if f["api_name"] == "classify_batch"]
    body = {"data": [[file] * 100, None], "fn_index": batch}
    for number in range(0, 200, 20):
        together(
            20,
            lambda number=number: post(
                url,
                "gradio_api/queue/join",
                json.dumps({**body, "session_hash": f"{number}{time.time()}"}).encode(),
                _JSON,
            ),
        )
    time.sleep(15)


def unread_answers(url: str) -> None:
    """Answers that nobody fetches, from many sessions."""
    file = upload(url, one_megapixel())
    config = httpx.get(f"{url}/config", timeout=60).json()
    (job,) = [f["id"] for f in config["dependencies"] if f["api_name"] == "classify_1"]
    for number in range(150):
        body = {"data": [file, None], "fn_index": job, "session_hash": f"unread{number}"}
        post(url, "gradio_api/queue/join", json.dumps(body).encode(), _JSON)


ATTACKS = (
    large_json,
    countless_objects,
    part_without_name,
    large_login,
    slow_connections,
    progressive_jpegs,
    largest_png,
    largest_webp,
    unheard_batches,
    unread_answers,
)

if __name__ == "__main__":
    main()
