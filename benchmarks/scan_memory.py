"""The memory of a scan, and the time to its first result.

    python -m benchmarks.scan_memory 1000 100000
    python -m benchmarks.scan_memory 500000 --seconds 60

For each number it makes a folder with that many links to small pictures and runs
``python -m edge_app scan`` on it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import psutil
from PIL import Image

from benchmarks.machine import describe_machine

ROOT = Path(__file__).parent.parent
_LINKS_PER_FILE = 10_000  # file systems allow a limited number of names for one file


def make_tree(folder: Path, count: int, side: int) -> None:
    """Fills a folder with ``count`` names of small JPEGs."""
    with Image.open(ROOT / "samples" / "coffee.jpg") as picture:
        small = picture.convert("RGB").resize((side, side))
    for number in range(count):
        name = folder / f"picture_{number:07d}.jpg"
        if number % _LINKS_PER_FILE == 0:
            original = name
            small.save(original)
        else:
            os.link(original, name)


def memory_of(process: psutil.Process) -> int:
    """Resident bytes of a process and all that it started; on Linux, what is shared counts once."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            memory = one.memory_full_info()
            total += getattr(memory, "pss", memory.rss)
    return total


def rows(db: Path) -> int:
    """The number of results so far."""
    with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute("SELECT count(*) FROM pictures").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


def measure(count: int, side: int, seconds: float | None) -> str:
    """Scans a number of pictures and reports what it took."""
    with tempfile.TemporaryDirectory() as name:
        tree, db = Path(name, "tree"), Path(name, "out.db")
        tree.mkdir()
        make_tree(tree, count, side)
        start = time.monotonic()
        command = [sys.executable, "-m", "edge_app", "scan", tree, "--db", db]
        scan = psutil.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        peak, first = 0, None
        while scan.poll() is None:
            peak = max(peak, memory_of(scan))
            passed = time.monotonic() - start
            if first is None and db.exists() and rows(db):
                first = passed
            if seconds and passed > seconds:
                scan.send_signal(2)  # as Ctrl-C
                scan.wait()
            time.sleep(0.05)
        took, done = time.monotonic() - start, rows(db)
    return (
        f"{count:>8} entries: peak {peak / 1e6:.0f} MB, first result after {first or took:.2f} s, "
        f"{done} results after {took:.1f} s"
    )


@click.command()
@click.argument("counts", nargs=-1, required=True, type=int)
@click.option("--side", default=64, show_default=True, help="Side of the pictures, in pixels.")
@click.option(
    "--seconds", type=float, help="Stop each scan after this time.  [default: when it ends]"
)
def main(counts: tuple[int, ...], side: int, seconds: float | None) -> None:
    """Print peak memory over all processes and the time to the first result."""
    print(describe_machine())
    for count in counts:
        print(measure(count, side, seconds), flush=True)


if __name__ == "__main__":
    main()
