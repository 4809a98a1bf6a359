"""The HTML report of many pictures: its size, and how fast a browser shows it.

    python -m benchmarks.report 10000
    python -m benchmarks.report 480 --screenshot docs/scan_report.png

The pictures are 640 x 480 pixels: crops of the samples, mirrored and in other light, so that no two
of the distinct ones are alike and the model gives them different scores. Needs Chromium and
Playwright.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from pathlib import Path

import click
from PIL import Image, ImageEnhance, ImageOps
from playwright.sync_api import Page, sync_playwright

from benchmarks.machine import describe_machine
from benchmarks.scan import SAMPLES
from edge_app import Classifier
from edge_app.export import read_results, write_report
from edge_app.imaging import find_pictures
from edge_app.scan import run_scan

_NAMES = ("2024/garden", "2025/sea and hills", "2025/birthday", "2026/town", "scans")


def make_pictures(folder: Path, count: int, distinct: int = 500) -> None:
    """Writes pictures into a few folders, and three files that cannot be read."""
    rng = random.Random(2)
    samples = [
        ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in find_pictures(SAMPLES)
    ]
    made: list[Path] = []
    for number in range(count):
        path = folder / _NAMES[number % len(_NAMES)] / f"IMG_{1000 + number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number >= distinct:
            os.link(made[number % distinct], path)
            continue
        image = samples[number % len(samples)]
        side = rng.uniform(0.45, 0.95) * min(image.width, image.height * 4 / 3)
        left, top = rng.uniform(0, image.width - side), rng.uniform(0, image.height - side * 0.75)
        image = image.resize((640, 480), box=(left, top, left + side, top + side * 0.75))
        image = ImageOps.mirror(image) if rng.random() < 0.5 else image
        image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.7, 1.25))
        image = ImageEnhance.Color(image).enhance(rng.uniform(0.3, 1.6))
        image.save(path, quality=85)
        made.append(path)
    (folder / "scans" / "empty.jpg").touch()
    (folder / "scans" / "text.png").write_text("no picture")
    (folder / "2026" / "cut short.jpg").write_bytes(made[0].read_bytes()[:3000])


def visit(page: Page, report: Path) -> dict[str, float]:
    """Opens the report. Returns milliseconds to the first thumbnails, the end, and for a jump."""
    start = time.perf_counter()
    page.goto(report.as_uri(), wait_until="commit")
    page.wait_for_function("document.querySelectorAll('.card img[src]').length >= 6")
    times = {"first thumbnails": time.perf_counter() - start}
    page.wait_for_load_state("load")
    times["loaded"] = time.perf_counter() - start
    start = time.perf_counter()
    page.locator("#grid").focus()
    page.keyboard.press("End")
    page.wait_for_function(
        """() => {
            const grid = document.getElementById("grid");
            const card = document.getElementById(grid.getAttribute("aria-activedescendant"));
            return card && card.querySelector("img[src]")
                && card.getAttribute("aria-posinset") === card.getAttribute("aria-setsize");
        }"""
    )
    times["jump to the end"] = time.perf_counter() - start
    times["threshold moved"] = 0.001 * page.evaluate(
        """() => {
            const slider = document.getElementById("threshold"), start = performance.now();
            slider.value = 0.3;
            slider.dispatchEvent(new Event("input"));
            document.body.offsetHeight;  // has it laid out
            return performance.now() - start;
        }"""
    )
    return times


@click.command()
@click.argument("count", type=click.IntRange(10), default=10_000)
@click.option("--screenshot", type=click.Path(dir_okay=False, path_type=Path))
def main(count: int, screenshot: Path | None) -> None:
    """Print the size of a report and the times that its reader waits."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise click.UsageError("needs Chromium: apt-get install chromium")
    print(describe_machine())
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        pictures, db, report = (Path(name, part) for part in ("Pictures", "out.db", "report.html"))
        make_pictures(pictures, count)
        run_scan(pictures, db, Classifier().info)
        start = time.perf_counter()
        summary = write_report(read_results(db), report, count)
        print(f"{summary.text()}")
        print(f"written in       {time.perf_counter() - start:.1f} s")
        print(f"size             {report.stat().st_size / 1e6:.1f} MB")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 860}, bypass_csp=True)
        for what, seconds in visit(page, report).items():
            print(f"{what:<16} {seconds * 1000:.0f} ms")
        if screenshot:
            page = browser.new_page(viewport={"width": 1280, "height": 860}, bypass_csp=True)
            page.goto(report.as_uri())
            page.wait_for_selector(".card img[src]")
            page.locator("#folder").evaluate("e => { e.textContent = '/home/me/Pictures/'; }")
            page.wait_for_timeout(500)
            page.screenshot(path=screenshot)
        browser.close()


if __name__ == "__main__":
    main()
