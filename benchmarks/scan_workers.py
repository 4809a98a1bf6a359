"""Threads and processes for scanning, compared with what the cores could do.

    python -m benchmarks.scan_workers

The bound is the number of cores divided by the time that one core takes to decode and classify a
picture. "threads" is the scan as it is; "processes" is one scan per core with one thread each and
a share of the pictures. The pictures are made from the samples.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path

import click
from PIL import Image

from benchmarks.machine import describe_machine
from edge_app import Classifier
from edge_app.imaging import find_pictures
from edge_app.parallel import count_cores
from edge_app.scan import run_scan

SAMPLES = Path(__file__).parent.parent / "samples"


def make_pictures(folder: Path, size: tuple[int, int], count: int, shares: int) -> list[Path]:
    """Writes different JPEGs of a given size into folders ``0``, ``1``, ..."""
    originals = [Image.open(path).convert("RGB").resize(size) for path in find_pictures(SAMPLES)]
    paths = []
    for share in range(shares):
        (folder / str(share)).mkdir()
    for number in range(count):
        paths.append(folder / str(number % shares) / f"{number}.jpg")
        originals[number % len(originals)].save(paths[-1], quality=90)
    return paths


def seconds_on_one_core(paths: list[Path]) -> float:
    """The time of a bare loop over the pictures."""
    classifier = Classifier()
    start = time.perf_counter()
    for path in paths:
        classifier.classify(path)
    return time.perf_counter() - start


def seconds_in_threads(folder: Path, workers: int) -> float:
    """The time of a scan of a folder."""
    with tempfile.TemporaryDirectory() as name:
        start = time.perf_counter()
        run_scan(folder, Path(name, "out.db"), Classifier().info, workers)
        return time.perf_counter() - start


def _scan_share(folder: Path, begin: Event, started: Semaphore) -> None:
    info = Classifier().info
    with tempfile.TemporaryDirectory() as name:
        started.release()
        begin.wait()
        run_scan(folder, Path(name, "out.db"), info, 1)


def seconds_in_processes(folder: Path, count: int) -> float:
    """The time of several processes, each with a share, once they have started."""
    context = multiprocessing.get_context("spawn")
    begin, started = context.Event(), context.Semaphore(0)
    processes = [
        context.Process(target=_scan_share, args=(folder / str(share), begin, started))
        for share in range(count)
    ]
    for process in processes:
        process.start()
    for _ in processes:
        started.acquire()
    start = time.perf_counter()
    begin.set()
    for process in processes:
        process.join()
    return time.perf_counter() - start


@click.command()
@click.option(
    "--small", default=2000, show_default=True, help="Number of pictures of 250 x 250 pixels."
)
@click.option("--large", default=300, show_default=True, help="Number of 12-megapixel pictures.")
def main(small: int, large: int) -> None:
    """Print pictures per second, and the share of the bound that is reached."""
    cores = count_cores()
    print(describe_machine())
    for size, count in (((250, 250), small), ((4000, 3000), large)):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            paths = make_pictures(folder, size, count, cores)
            seconds_on_one_core(paths[: count // 10])  # what comes first is slower
            bound = cores * count / seconds_on_one_core(paths)
            print(f"{size[0]} x {size[1]}: bound {bound:.1f} per second")
            for kind, measure in (
                ("threads", seconds_in_threads),
                ("processes", seconds_in_processes),
            ):
                rate = count / measure(folder, cores)
                print(f"    {kind:<10} {rate:7.1f} per second, {rate / bound:.0%} of the bound")


if __name__ == "__main__":
    main()
