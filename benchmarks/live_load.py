"""What watchers of the page cost, and how many cameras a machine carries.

    python -m benchmarks.live_load

Each row is a fresh process that classifies software cameras (benchmarks/camera.py) for some
seconds. ``--cores`` bounds it with the scheduler's affinity, as ``taskset`` does. Linux only.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import statistics
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import click

from benchmarks.camera import Camera as Software
from benchmarks.machine import describe_machine, resident_megabytes
from edge_app import Classifier
from edge_app.live import Camera, Moment, run_live
from edge_app.live.view.hub import Hub
from edge_app.live.view.server import Server

_WARM_UP_SECONDS = 2.0
_SIZE, _RATE = (640, 480), 15


@dataclass
class Figures:
    """The printed figures of one row."""

    frames: dict[str, int] = field(default_factory=dict)  # of each camera
    latencies: list[float] = field(default_factory=list)  # seconds
    dropped: int = 0
    seconds: float = 0.0
    cpu: float = 0.0  # share of one core
    memory: float = 0.0  # MB
    encoded: int = 0  # pictures for the page

    def row(self, name: str) -> str:
        """One row of the table."""
        rates = sorted(count / self.seconds for count in self.frames.values())
        latency = sorted(self.latencies)
        cells = [
            *(f"{rates[0]:.1f}", f"{sum(rates):.1f}"),
            f"{statistics.median(latency) * 1000:.0f}",
            f"{latency[int(0.95 * len(latency))] * 1000:.0f}",
            *(f"{self.cpu:.0%}", f"{self.cpu / sum(rates) * 1000:.1f}"),
            *(f"{self.memory:.0f}", f"{self.encoded / self.seconds:.1f}"),
        ]
        return f"| {name} | {' | '.join(cells)} |"


def watch(urls: list[str], fps: float, seconds: float, cores: int, sender: Connection) -> None:
    """Runs the live mode with the page; sends the page's address, then the figures."""
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:cores]))
    os.cpu_count = lambda: cores  # type: ignore[assignment]  # one interpreter per core
    cameras = [Camera(url, f"{number}", fps) for number, url in enumerate(urls)]
    hub, figures = Hub(cameras), Figures(dict.fromkeys((camera.name for camera in cameras), 0))
    begin = end = (0.0, 0.0)

    def note(moment: Moment) -> None:
        nonlocal begin, end
        hub.frame(moment)
        now = time.monotonic()
        if not begin[0]:
            begin = now + _WARM_UP_SECONDS, 0.0
        if now < begin[0]:
            return
        if not begin[1]:
            begin = now, time.process_time()
        end = now, time.process_time()
        figures.frames[moment.camera.name] += 1
        figures.latencies.append(moment.latency)

    with Server(hub, ("127.0.0.1", 0)) as server:
        sender.send(server.url)
        run_live(
            cameras,
            Classifier(),
            "none",
            seconds + _WARM_UP_SECONDS,
            patient=True,
            on_frame=note,
        )
        figures.seconds = end[0] - begin[0]
        figures.cpu = (end[1] - begin[1]) / figures.seconds
        figures.memory = resident_megabytes()
        figures.encoded = sum(seen.encoded for seen in hub.cameras.values())
    sender.send(figures)


def measure(urls: list[str], fps: float, seconds: float, cores: int, watchers: int) -> Figures:
    """Runs `watch` in its own process, with so many watchers of each camera."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    arguments = (urls, fps, seconds, cores, sender)
    process = context.Process(target=watch, args=arguments)
    process.start()
    page = receiver.recv()
    streams = [f"{page}/stream/{number}-{number}.mjpg" for number in range(len(urls))]
    for url in streams * watchers:
        threading.Thread(target=_take, args=(url,), daemon=True).start()
    figures: Figures = receiver.recv()
    process.join()
    return figures


def _take(url: str) -> None:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=60) as stream:
        while stream.read(65536):
            pass  # as a browser takes it, without looking


@contextlib.contextmanager
def software_cameras(count: int, fps: float) -> Iterator[list[str]]:
    """Starts cameras made of software; gives their addresses."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Software(_SIZE, fps)).url for _ in range(count)]


@click.command()
@click.option("--seconds", type=click.FloatRange(3), default=15, show_default=True)
@click.option("--cores", type=click.IntRange(1), default=2, show_default=True)
@click.option("--cameras", default="1,4,8,16", show_default=True, help="Numbers of 5-fps cameras.")
@click.option("--watchers", default="0,1,5", show_default=True, help="Numbers of watchers.")
def main(seconds: float, cores: int, cameras: str, watchers: str) -> None:
    """Measure the cost of watchers, and how many 5-fps cameras some cores carry."""
    click.echo(f"{describe_machine()}\nload before: {os.getloadavg()[0]:.1f}; {cores} cores\n")
    columns = ("slowest fps", "all fps", "median ms", "95 % ms", "CPU", "CPU ms", "MB", "encoded/s")
    head = f" | {' | '.join(columns)} |\n|---|{'--:|' * len(columns)}"
    click.echo(f"| watchers of one camera, {_RATE} fps{head}")
    with software_cameras(1, _RATE) as urls:
        for count in map(int, watchers.split(",")):
            click.echo(measure(urls, _RATE, seconds, cores, count).row(f"{count}"))
    click.echo(f"\n| 5-fps cameras{head}")
    for count in map(int, cameras.split(",")):
        with software_cameras(count, 5) as urls:
            click.echo(measure(urls, 5, seconds, cores, 0).row(f"{count}"))
    click.echo("\nfps: frames classified per second; ms: from a frame read to its result;")
    click.echo(
        "CPU: of one core; CPU ms: processor time per frame, which hardly depends on other load;"
    )
    click.echo("encoded: pictures for the page")


if __name__ == "__main__":
    main()
