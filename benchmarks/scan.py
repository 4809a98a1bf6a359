"""Scanning compared with the usual ways to do the same, in one run, as ratios.

    python3 run.py bench scan
    python3 run.py bench scan --ray

The pictures are made of the samples: 12 megapixels of 3.7 MB, as cameras write them, and 250 x 250
pixels. Every contender is a fresh process. OpenVINO takes part where it is installed
(`pip install openvino`), Ray with `--ray`.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageOps

from benchmarks import contenders
from benchmarks.machine import describe_machine, resident_megabytes
from edge_app import Classifier
from edge_app.imaging import REDUCED_DECODE, find_pictures, read_pixels
from edge_app.parallel import count_cores
from edge_app.scan import Store, read_rows, run_scan
from edge_app.scan.rows import FileState

SAMPLES = Path(__file__).parent.parent / "samples"
LARGE, SMALL = (4000, 3000), (250, 250)
_ROUNDS = 3  # of what the goals compare; the median counts

OTHERS = (
    ("Keras `model.predict`", contenders.keras_predict),
    ("MediaPipe `ImageClassifier`", contenders.mediapipe_classifier),
    ("OpenVINO, float model, all cores", contenders.openvino_float),
)


def make_pictures(folder: Path, size: tuple[int, int], count: int, distinct: int) -> list[Path]:
    """Writes JPEGs of a given size, each with its own sensor-like noise."""
    rng = np.random.default_rng(0)
    samples = [Image.open(path).convert("RGB") for path in find_pictures(SAMPLES)]
    folder.mkdir()
    paths = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if number >= distinct:
            shutil.copy(paths[number % distinct], path)
            continue
        sample = samples[number % len(samples)]
        sample = ImageOps.mirror(sample) if number // len(samples) % 2 else sample
        pixels = np.asarray(sample.resize(size, Image.Resampling.BICUBIC), np.float32)
        pixels = pixels + rng.normal(0, 10, (size[1], size[0], 1))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=87)
    return paths


def in_process(function: Callable, *arguments: object) -> object:
    """Calls a function in a fresh process, hiding what its libraries write to stderr."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_quietly, function, *arguments).result()


def _quietly(function: Callable, *arguments: object) -> object:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    return function(*arguments)


def time_scan(folder: Path) -> tuple[float, list[float], int]:
    """Scans a folder from the walk to the last commit.

    Returns:
        Seconds, scores in order, and how many pictures were looked at more than once.
    """
    info = Classifier().info
    with tempfile.TemporaryDirectory() as name:
        db = Path(name, "out.db")
        start = time.perf_counter()
        summary = run_scan(folder, db, info)
        seconds = time.perf_counter() - start
        return seconds, [row.smoking for row in read_rows(db)], summary.looked_again


def bound_of_all_cores(paths: Sequence[Path]) -> float:
    """Pictures per second of a loop of decoding and inference on each core at the same time."""
    cores = count_cores()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, mp_context=context) as pool:
        list(pool.map(contenders.decode_and_infer, [paths[:3]] * cores))  # starts them
        seconds = pool.map(contenders.decode_and_infer, [paths] * cores)
        return sum(len(paths) / one for one, _ in seconds)


def stages(paths: Sequence[Path]) -> dict[str, float]:
    """Milliseconds per picture of each stage, on one core."""
    classifier = Classifier()
    spent: dict[str, list[float]] = {name: [] for name in ("read", "decode", "resize", "infer")}
    with tempfile.TemporaryDirectory() as name, Store(Path(name, "out.db")) as store:
        results = []
        for path in [paths[0], *paths]:
            times = [time.perf_counter()]
            content = path.read_bytes()
            times.append(time.perf_counter())
            image = Image.open(io.BytesIO(content))
            image.draft("RGB", (round(224 * REDUCED_DECODE),) * 2)
            image.load()
            times.append(time.perf_counter())
            pixels = read_pixels(content)
            times.append(time.perf_counter())
            results.append(classifier.classify_pixels(pixels))
            times.append(time.perf_counter())
            read, decode, decode_and_resize, infer = np.diff(times) * 1000
            for stage, value in zip(
                spent, (read, decode, decode_and_resize - decode, infer), strict=True
            ):
                spent[stage].append(value)
        start = time.perf_counter()
        for path, result in zip(paths, results, strict=False):
            store.put(path, FileState.of(path), classifier.info, result)
        store.commit()
        write = (time.perf_counter() - start) * 1000 / len(paths)
    return {stage: statistics.mean(values[1:]) for stage, values in spent.items()} | {
        "write": write
    }


def time_ray(folder: Path, workers: int) -> tuple[float, float]:
    """Returns pictures per second once all workers are busy, and the seconds until then."""
    from edge_app.scan.parquet import read_parquet
    from edge_app.scan.ray_engine import run_ray_scan

    with tempfile.TemporaryDirectory() as out:
        summary = run_ray_scan([str(folder)], out, Classifier().info, workers=workers)
        times = sorted(np.datetime64(row.scanned_at[:23]) for row in read_parquet(out))
    seconds = (times[-1] - times[0]) / np.timedelta64(1, "s")
    return (len(times) - 1) / seconds, summary.seconds - seconds


def listing_megabytes(count: int) -> float:
    """Memory of the driver of a Ray scan, by number of names."""
    from edge_app.scan.batches import Listed, cut_batches

    before = resident_megabytes()
    name = "s3://bucket/archive/2024/05/IMG_{:08}.jpg"
    listed = [Listed(name.format(n), FileState(3_800_000 + n, 10**18 + n)) for n in range(count)]
    batches = cut_batches(listed, workers=100)
    return resident_megabytes() - before if batches else 0.0


def compare(name: str, paths: list[Path], others_count: int, with_ray: bool) -> None:
    """Prints the tables of one kind of picture."""
    size = statistics.mean(path.stat().st_size for path in paths)
    few = paths[:others_count]
    print(f"\n### {name}, {size / 1e6:.2g} MB\n")
    measured = in_process(stages, few)
    print("| stage, ms a picture on one core | " + " | ".join(measured) + " |")
    print("|---|" + "--:|" * len(measured))
    print("| | " + " | ".join(f"{value:.2f}" for value in measured.values()) + " |\n")

    plain, scans, bounds, one_core = [], [], [], []
    for _ in range(_ROUNDS):  # interleaved, so that other load affects all of them
        seconds, plain_scores = in_process(contenders.plain_loop, few)
        plain.append(len(few) / seconds)
        bounds.append(bound_of_all_cores(few))
        seconds, _ = in_process(contenders.decode_and_infer, few)
        one_core.append(count_cores() * len(few) / seconds)
        seconds, scores, again = in_process(time_scan, paths[0].parent)
        scans.append(len(paths) / seconds)
    reference = statistics.median(plain)
    print("| | pictures/s | relative to the plain loop | same label |")
    print("|---|--:|--:|--:|")

    def line(kind: str, rate: float, found: Sequence[float] | None = None) -> None:
        same = ""
        if found is not None:
            threshold = Classifier().info.decision.threshold
            pairs = list(zip(found, scores, strict=False))
            same = f"{sum((a >= threshold) == (b >= threshold) for a, b in pairs)} of {len(pairs)}"
        print(f"| {kind} | {rate:.1f} | {rate / reference:.1f} | {same} |", flush=True)

    line("plain loop: Pillow full decode, one interpreter, one thread", reference, plain_scores)
    line("**scan**", statistics.median(scans), scores)
    line(f"bound: decode + inference alone, on {count_cores()} cores", statistics.median(bounds))
    for kind, contender in OTHERS:
        try:
            seconds, found = in_process(contender, few)
            line(kind, len(few) / seconds, found)
        except ImportError as error:
            print(f"| {kind} | left out: {error} | | |")
    print()
    if with_ray:
        ray_table(paths[0].parent)
    scan, bound = statistics.median(scans), statistics.median(bounds)
    print(
        f"scan: {scan / reference:.1f} times the plain loop, {scan / bound:.0%} of the bound "
        f"({scan / statistics.median(one_core):.0%} of {count_cores()} times what one core does "
        f"while the others are idle); {again} of {len(paths)} pictures looked at again"
    )


def ray_table(folder: Path) -> None:
    """Prints how throughput grows from one to two workers."""
    print("| Ray | pictures/s | relative to one worker | start, s |")
    print("|---|--:|--:|--:|")
    first = None
    for workers in (1, 2):
        try:
            rate, start = in_process(time_ray, folder, workers)
        except ImportError as error:
            print(f"| left out: {error} | | | |\n")
            return
        first = first or rate
        print(f"| {workers} | {rate:.1f} | {rate / first:.2f} | {start:.1f} |", flush=True)
    print()


@click.command(epilog="Example: python3 run.py bench scan --ray")
@click.option("--large", default=120, show_default=True, help="Number of 12-megapixel pictures.")
@click.option(
    "--small", default=2000, show_default=True, help="Number of pictures of 250 x 250 pixels."
)
@click.option("--ray", "with_ray", is_flag=True, help="Also measure Ray with one and two workers.")
def main(large: int, small: int, with_ray: bool) -> None:
    """Compare scanning with the usual ways to do the same."""
    load = f", load before {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{describe_machine()}{load}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, size, count, few in (
            ("12 megapixels", LARGE, large, 20),
            ("250 x 250", SMALL, small, 200),
        ):
            paths = make_pictures(folder / kind, size, count, distinct=12 if size == LARGE else 200)
            compare(kind, paths, min(few, count), with_ray)
        if with_ray:
            megabytes = in_process(listing_megabytes, 1_000_000)
            print(f"\ndriver of a Ray scan: {megabytes:.0f} MB for a million names")
