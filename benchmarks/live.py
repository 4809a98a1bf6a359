"""The live mode against a plain loop over ``cap.read()``, with the same model in the same run.

    python3 run.py bench live

Each line is a fresh process that reads a camera made of software (benchmarks/camera.py) for some
seconds. Latency is the time from the moment at which a frame was due at the camera to its result.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import click
import cv2
import numpy as np

from benchmarks.camera import Camera, read_number, unwrap
from benchmarks.machine import describe_machine, resident_megabytes
from edge_app import Classifier, Prediction
from edge_app.imaging import from_frame
from edge_app.live import Outputs, run_live
from edge_app.live.frames import Frame, Item
from edge_app.live.sources import open_frames

SMALL, LARGE = (640, 480), (1920, 1080)
CPU_GOAL = 0.15
"""Share of one core that 640x480 at 15 fps may take."""

_WARM_UP_SECONDS = 2.0  # connecting and the first inference are no part of the figures


@dataclass
class Results:
    """The records of a run.

    Attributes:
        numbers: read from the pictures of the frames that were classified.
        times: `time.monotonic` of their results, in seconds.
        work: seconds of preprocessing and inference of each.
        cpu: seconds of processor time of the process, at each result.
        memory: resident memory at the end, in MB.
    """

    numbers: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: float = 0.0

    def add(self, pixels: np.ndarray, began: float) -> None:
        """Records the result of a frame, given when its preprocessing started."""
        self.times.append(time.monotonic())
        self.cpu.append(time.process_time())
        self.work.append(self.times[-1] - began)
        self.numbers.append(read_number(pixels))


class _Noting(Outputs):
    """Outputs of a live run that record its results."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.results = Results()
        self.began = 0.0

    def frames(self, source: str, **options) -> Iterator[Item]:
        """Like `open_frames`, with the time at which each frame was delivered."""
        for item in open_frames(source, **options):
            self.began = time.monotonic()
            yield item

    def frame(self, frame: Frame, prediction: Prediction, in_event: bool) -> None:
        self.results.add(frame.pixels, self.began)


def live(url: str, seconds: float) -> Results:
    """Runs the live mode."""
    outputs = _Noting()
    with contextlib.redirect_stdout(io.StringIO()):  # its status lines
        run_live(url, Classifier(), "none", seconds, outputs=outputs, frames=outputs.frames)
    return outputs.results


def plain_loop(url: str, seconds: float) -> Results:
    """Reads and classifies frame by frame, like the usual examples."""
    classifier, results = Classifier(), Results()
    capture = cv2.VideoCapture(url)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, pixels = capture.read()
        if not found:
            break
        began = time.monotonic()
        classifier.classify_pixels(from_frame(pixels, classifier.info.size))
        results.add(pixels, began)
    return results


def measure(run, camera: Camera, seconds: float) -> tuple[Results, float]:
    """Runs ``run(url, seconds)`` in its own process.

    Returns:
        Its results, and when the camera gave it frame 0.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_results, args=(run, camera.url, seconds, sender))
    process.start()
    sender.close()
    try:
        results = receiver.recv()
    except EOFError:
        sys.exit(f"{run.__name__} ended without results")
    process.join()
    return results, camera.started()


def _send_results(run, url: str, seconds: float, sender) -> None:
    results = run(url, seconds)
    results.memory = resident_megabytes()
    sender.send(results)


@dataclass(frozen=True)
class Figures:
    """The printed figures of a run; in seconds unless stated otherwise."""

    rate: float  # frames classified per second
    latencies: np.ndarray  # of each frame
    dropped: int
    cpu: float  # share of one core
    memory: float  # MB
    work: float  # median of preprocessing and inference

    @classmethod
    def of(cls, results: Results, start: float, fps: float) -> Figures:
        """Computes them, leaving out the first seconds."""
        places, times = unwrap(results.numbers), np.array(results.times)
        settled = times > times[0] + _WARM_UP_SECONDS
        places, times = places[settled], times[settled]
        cpu = np.array(results.cpu)[settled]
        took = times[-1] - times[0]
        return cls(
            rate=(len(times) - 1) / took,
            latencies=times - (start + places / fps),
            dropped=int(places[-1] - places[0] + 1 - len(places)),
            cpu=float(cpu[-1] - cpu[0]) / took,
            memory=results.memory,
            work=float(np.median(np.array(results.work)[settled])),
        )

    def row(self, scene: str, name: str) -> str:
        """One row of the table."""
        tenth = max(1, len(self.latencies) // 10)
        early, late = self.latencies[:tenth].mean(), self.latencies[-tenth:].mean()
        milliseconds = [*np.percentile(self.latencies, [50, 95, 99]), early, late]
        cells = [f"{value * 1000:.0f}" for value in milliseconds]
        cells = [f"{self.rate:.1f}", *cells, f"{self.dropped}", f"{self.cpu:.0%}"]
        return f"| {scene} | {name} | {' | '.join(cells)} | {self.memory:.0f} |"


_COLUMNS = ("source", "reader", "fps", "median", "95 %", "99 %", "early", "late", "dropped")


def _table_head() -> str:
    names = [*_COLUMNS, "CPU", "MB"]
    return f"| {' | '.join(names)} |\n|---|---|{'--:|' * (len(names) - 2)}"


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(5),
    default=15,
    show_default=True,
    help="Duration of each row.",
)
def main(seconds: float) -> None:
    """Compare live with a plain loop over cap.read(): latency, CPU, memory."""
    click.echo(f"{describe_machine()}\nload before: {os.getloadavg()[0]:.1f}\n")
    click.echo(_table_head())
    too_fast = round(1.5 / _seconds_a_frame(SMALL))
    scenes = [(SMALL, 30), (LARGE, 30), (SMALL, too_fast)]
    fresh = []
    for size, fps in scenes:
        scene = f"{size[0]}x{size[1]}, {fps} fps"
        with Camera(size, fps) as camera:
            for name, run in (("plain loop", plain_loop), ("live", live)):
                results, start = measure(run, camera, seconds + _WARM_UP_SECONDS)
                figures = Figures.of(results, start, fps)
                click.echo(figures.row(scene, name))
        fresh.append((scene, figures, fps))
    with Camera(SMALL, 15) as camera:
        results, start = measure(live, camera, seconds + _WARM_UP_SECONDS)
        slow = Figures.of(results, start, 15)
        click.echo(slow.row("640x480, 15 fps", "live"))
    click.echo(
        "\nfps: frames classified per second; latency in ms; early and late: mean latency of"
    )
    click.echo("the first and last tenth; CPU: of one core; MB: resident memory\n")
    for scene, figures, fps in fresh:
        latency = np.percentile(figures.latencies, 95)
        bound = 1 / fps + 2 * figures.work
        click.echo(
            f"{scene}: 95 % within {latency * 1000:.0f} ms; goal, an interval and twice "
            f"preprocessing and inference ({figures.work * 1000:.1f} ms): {bound * 1000:.0f} ms: "
            f"{_verdict(latency <= bound)}"
        )
    click.echo(
        f"640x480, 15 fps: {slow.cpu:.1%} of a core; goal {CPU_GOAL:.0%}: "
        f"{_verdict(slow.cpu < CPU_GOAL)}"
    )


def _seconds_a_frame(size: tuple[int, int]) -> float:
    """Median time of the plain loop for one frame: decoding, preprocessing, inference."""
    classifier, taken = Classifier(), []
    with Camera(size, 1000) as camera:
        capture = cv2.VideoCapture(camera.url)
        for _ in range(100):
            began = time.monotonic()
            _, pixels = capture.read()
            classifier.classify_pixels(from_frame(pixels, classifier.info.size))
            taken.append(time.monotonic() - began)
        capture.release()
    return float(np.median(taken))


def _verdict(reached: bool) -> str:
    return "reached" if reached else "MISSED"


if __name__ == "__main__":
    main()
