"""Many visitors at once: how long they wait, whether anything fails, whether memory grows.

    python benchmarks/web_load.py --visitors 50 --seconds 60

Starts the page, measures its start, its first visit in Chromium, and its first answer for a
picture of 1 megapixel, then lets every visitor classify that picture repeatedly through the API of
the page. Linux only. With ``--visitors 0`` it stops after the first answers.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import queue
import shutil
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
            waited, worked = first_page(url)
            print(f"first page       {waited:.2f} s in Chromium; {worked:.2f} s of processor time")
            with httpx.Client(timeout=60) as client:
                print(f"first answer     {classify(client, url, picture):.2f} s with upload")
                print(f"second answer    {classify(client, url, picture):.2f} s")
            if options.visitors:
                run(process.pid, url, picture, options)
        finally:
            process.terminate()
            process.wait(timeout=30)


def first_page(url: str) -> tuple[float, float]:
    """Opens the page in a new browser with an empty cache, until a picture can be given.

    Returns:
        Seconds that the visitor waits, and seconds of all processors that browser and server work.
        The second says what the first would be at most on a machine that does nothing else.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(600_000)
        page.goto("about:blank")
        worked, begin = processor_seconds(os.getpid()), time.perf_counter()
        page.goto(url)
        page.locator("#result[aria-live]").wait_for()  # page.js has run
        page.locator("#picture-input input[type=file]").wait_for(state="attached")
        waited = time.perf_counter() - begin
        worked = processor_seconds(os.getpid()) - worked
        browser.close()
    return waited, worked


def processor_seconds(pid: int) -> float:
    """Processor time of a process and of all below it that live."""
    used, parents = {}, {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            fields = file.read_text().rpartition(")")[2].split()
            parents[int(file.parent.name)] = int(fields[1])
            used[int(file.parent.name)] = int(fields[11]) + int(fields[12])
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(used[member] for member in family) / os.sysconf("SC_CLK_TCK")


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
