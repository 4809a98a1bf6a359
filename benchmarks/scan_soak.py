"""Does the memory of a scan stay flat: 1,000,000 small pictures, one of 50 damaged.

    python -m benchmarks.scan_soak --pictures 1000000

Names of small JPEGs are scanned as a user would, with a model of one convolution, so that the time
goes into what is tested: walking, decoding, the process that may crash, the database. Memory is
that of the scan and the process it starts, every few seconds. The exit code is 1 if the mean of the
last tenth is more than 5 % above that of the second, when all libraries are loaded. Linux only.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import psutil

from benchmarks.machine import describe_machine
from benchmarks.scan_memory import ROOT, make_tree, memory_of, rows

ALLOWED = 0.05
_EVERY_SECONDS = 5.0
_DAMAGED = 50
_MODEL = """
import sys
import keras
import tensorflow as tf
layers = keras.layers
model = keras.Sequential([
    keras.Input((32, 32, 3)), layers.Conv2D(4, 3, strides=8), layers.GlobalAveragePooling2D(),
    layers.Dense(2, activation="softmax"),
])
open(sys.argv[1], "wb").write(tf.lite.TFLiteConverter.from_keras_model(model).convert())
"""


def make_model(path: Path) -> None:
    """Writes a model of one convolution."""
    subprocess.run([sys.executable, "-c", _MODEL, path], check=True, capture_output=True)


def soak(folder: Path, pictures: int, side: int, limit: float) -> tuple[list[float], int, float]:
    """Scans pictures, and stops after the given number of seconds.

    Returns:
        Megabytes every few seconds, the number of rows in the end, and the seconds it took.
    """
    model, tree, db = folder / "small.tflite", folder / "tree", folder / "out.db"
    make_model(model)
    tree.mkdir()
    make_tree(tree, pictures, side)
    for number in range(0, pictures, _DAMAGED):
        name = tree / f"picture_{number:07d}.jpg"
        name.unlink()
        name.write_bytes(b"\xff\xd8\xff\xe0 damaged")
    command = ["scan", tree, "--db", db, "--model", model, "--labels", "other,smoking"]
    scan = psutil.Popen(
        [sys.executable, "-m", "edge_app", *command, "--input-range", "0", "1"],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    start, shown = time.monotonic(), 0.0
    memory = []
    try:
        while scan.poll() is None:
            time.sleep(_EVERY_SECONDS)
            if time.monotonic() > start + limit:
                break
            memory.append(memory_of(scan) / 1e6)
            if time.monotonic() > shown + 60:
                shown = time.monotonic()
                print(f"{rows(db):>8} done, {memory[-1]:.1f} MB", file=sys.stderr, flush=True)
    finally:
        if scan.poll() is None:
            scan.terminate()  # SIGINT is ignored where a shell runs this in the background
            scan.wait()
    return [value for value in memory if value], rows(db), time.monotonic() - start


@click.command()
@click.option("--pictures", default=1_000_000, show_default=True, help="Scan this many.")
@click.option("--side", default=16, show_default=True, help="Side of the pictures, in pixels.")
@click.option("--minutes", default=600.0, show_default=True, help="Stop the scan after this time.")
def main(pictures: int, side: int, minutes: float) -> None:
    """Print the memory of a long scan, and fail if it grows."""
    print(describe_machine(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        memory, done, seconds = soak(Path(name), pictures, side, minutes * 60)
        tenth = max(1, len(memory) // 10)
        early = statistics.mean(memory[tenth : 2 * tenth] or memory[:1])
        late = statistics.mean(memory[-tenth:])
        print(
            f"{done} of {pictures} pictures in {seconds:.0f} s: {early:.1f} MB in the second "
            f"tenth, {late:.1f} MB in the last, {max(memory):.1f} MB at most",
            flush=True,
        )
    sys.exit(late > early * (1 + ALLOWED))


if __name__ == "__main__":
    main()
