"""Many visitors at once: how long they wait, whether anything fails, whether memory grows.

    python benchmarks/web_load.py --visitors 50 --seconds 60

Starts the page, measures its start and its first answer for a picture of 1 megapixel, then lets
every visitor classify that picture repeatedly through the API of the page. Linux only.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import queue
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
_JSON = {"Content-Type": "application/json"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument(
        "--pause", type=float, default=5, help="seconds from one picture to the next"
    )
    options = parser.parse_args()
    picture = one_megapixel()
    with tempfile.TemporaryDirectory() as temporary:
        process, url, seconds = start(temporary)
        try:
            print(f"machine          {os.cpu_count()} cores, {platform.machine()}")
            print(f"load before      {os.getloadavg()[0]:.1f}")
            print(f"start to ready   {seconds:.2f} s")
            with httpx.Client(timeout=60) as client:
                print(f"first answer     {classify(client, url, picture):.2f} s with upload")
                print(f"second answer    {classify(client, url, picture):.2f} s")
            run(process.pid, url, picture, options)
        finally:
            process.terminate()
            process.wait(timeout=30)


def one_megapixel() -> bytes:
    """A sample at 1 megapixel, as JPEG."""
    buffer = io.BytesIO()
    with Image.open(ROOT / "samples" / "astronaut.jpg") as image:
        image.resize((1000, 1000)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def start(temporary: str) -> tuple[subprocess.Popen, str, float]:
    """Starts the page. Returns its process, its address, and the seconds until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_app", "web", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": temporary},
        stdout=subprocess.PIPE,
        text=True,
    )
    if "Serving on" not in process.stdout.readline():
        sys.exit("the page did not start")
    return process, f"http://127.0.0.1:{port}", time.perf_counter() - begin


def classify(client: httpx.Client, url: str, picture: bytes) -> float:
    """Uploads and classifies a picture. Returns the seconds that the visitor waited.

    Raises:
        httpx.HTTPError: the server refused or did not answer.
        ValueError: it answered with an error.
    """
    begin = time.perf_counter()
    upload = client.post(f"{url}/gradio_api/upload", files={"files": ("a.jpg", picture)})
    upload.raise_for_status()
    data = {"data": [{"path": upload.json()[0], "meta": {"_type": "gradio.FileData"}}]}
    joined = client.post(f"{url}/gradio_api/call/classify", content=json.dumps(data), headers=_JSON)
    joined.raise_for_status()
    answer = client.get(f"{url}/gradio_api/call/classify/{joined.json()['event_id']}").text
    if "event: complete" not in answer:
        raise ValueError(answer[:200])
    return time.perf_counter() - begin


def run(pid: int, url: str, picture: bytes, options: argparse.Namespace) -> None:
    results: queue.Queue[float | Exception] = queue.Queue()
    end = time.perf_counter() + options.seconds

    def visit(number: int) -> None:
        time.sleep(options.pause * number / options.visitors)
        with httpx.Client(timeout=60) as client:
            while time.perf_counter() < end:
                try:
                    waited = classify(client, url, picture)
                except (httpx.HTTPError, ValueError) as error:
                    results.put(error)
                    waited = 0.0
                else:
                    results.put(waited)
                time.sleep(max(0.0, options.pause - waited))

    visitors = [threading.Thread(target=visit, args=(n,)) for n in range(options.visitors)]
    before = megabytes(pid)
    for visitor in visitors:
        visitor.start()
    memory = []
    while time.perf_counter() < end:
        time.sleep(min(2.0, max(0.0, end - time.perf_counter()) + 0.01))
        memory.append(megabytes(pid))
    for visitor in visitors:
        visitor.join()
    everything = [results.get() for _ in range(results.qsize())]
    waits = sorted(result for result in everything if not isinstance(result, Exception))
    errors = [result for result in everything if isinstance(result, Exception)]
    half = memory[len(memory) // 2 :]
    print(f"visitors         {options.visitors}, a picture every {options.pause:g} s each")
    print(f"answers          {len(waits)} in {options.seconds:g} s, {len(errors)} errors")
    if waits:
        p95 = waits[int(0.95 * (len(waits) - 1))]
        print(f"waited           median {statistics.median(waits):.2f} s, p95 {p95:.2f} s")
    print(f"memory           {before:.0f} MB, {half[0]:.0f} at half, {half[-1]:.0f} after")
    for error in errors[:3]:
        print(f"error            {type(error).__name__}: {error}")


def megabytes(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
