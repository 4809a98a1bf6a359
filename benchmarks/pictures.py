"""Screenshots of the web page and the live window for the documentation.

    python -m benchmarks.pictures

Writes docs/web_picture.png, docs/web_history.png, docs/live_window.jpg and docs/live_page.jpg.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.web_load import ROOT, start
from edge_app import Classifier
from edge_app.live import Camera, Outputs, run_live
from edge_app.live.frames import Frame, Item
from edge_app.live.view.hub import Hub
from edge_app.live.view.server import Server
from edge_app.live.window import draw, overlay_evidence

DOCS, SAMPLES = ROOT / "docs", ROOT / "samples"
CAMERA_RATE = 15
"""Frame rate shown in the live window: that of a webcam indoors."""


def main() -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        sys.exit("needs Chromium: apt-get install chromium")
    write_live_window(DOCS / "live_window.jpg")
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        process, url, _ = start(temporary)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            write_picture_tab(browser, url, DOCS / "web_picture.png")
            write_history_tab(browser, url, DOCS / "web_history.png")
            write_live_page(browser, DOCS / "live_page.jpg")
        finally:
            browser.close()
            process.terminate()
            process.wait(timeout=30)


def write_live_window(file: Path) -> None:
    """The live window without and with the class activation map, side by side."""
    classifier = Classifier()
    picture = cv2.imread(str(SAMPLES / "astronaut.jpg"))
    picture = cv2.resize(picture, (480, 480), interpolation=cv2.INTER_AREA)
    begin = time.perf_counter()
    prediction = classifier.classify(picture[..., ::-1])
    latency = time.perf_counter() - begin
    shown = [picture, overlay_evidence(picture, prediction.evidence)]
    drawn = [draw(part, prediction, "clear", CAMERA_RATE, latency) for part in shown]
    gap = np.full((480, 10, 3), 255, np.uint8)
    cv2.imwrite(str(file), np.hstack([drawn[0], gap, drawn[1]]))


def write_live_page(browser: Browser, file: Path) -> None:
    """The page of ``live --serve`` with two cameras, on a phone."""
    cameras = [Camera("astronaut", "Front door"), Camera("smoking", "Kitchen")]
    classifier = Classifier()
    hub = Hub(cameras, classifier.info.decision)
    outputs = [Outputs(view=hub.sink(camera)) for camera in cameras]

    def frames(source: str, **_options: object) -> Iterator[Item]:
        picture = cv2.resize(cv2.imread(str(SAMPLES / f"{source}.jpg")), (640, 480))
        end = time.monotonic() + 30
        while time.monotonic() < end:
            now = time.monotonic()
            yield Frame(picture, 0, now, now)
            time.sleep(1 / CAMERA_RATE)

    options = {"outputs": outputs, "on_frame": hub.frame, "frames": frames}
    run = threading.Thread(target=run_live, args=(cameras, classifier), kwargs=options)
    with Server(hub, ("127.0.0.1", 0)) as server:
        run.start()
        page = browser.new_page(viewport={"width": 390, "height": 844}, device_scale_factor=1.5)
        page.goto(server.url)
        page.wait_for_timeout(15_000)
        page.locator(".evidence").first.click()
        page.wait_for_timeout(2_000)
        page.screenshot(path=file, type="jpeg", quality=80)
        run.join()


def write_picture_tab(browser: Browser, url: str, file: Path) -> None:
    """The first tab with an answer, light, English."""
    page = _visit(browser, url, locale="en-US", color_scheme="light")
    page.locator("#picture-input input[type=file]").set_input_files(SAMPLES / "smoking.jpg")
    page.locator("#result .answer").filter(visible=True).wait_for()
    page.wait_for_timeout(1000)
    page.screenshot(path=file, full_page=True)


def write_history_tab(browser: Browser, url: str, file: Path) -> None:
    """The history, dark, Indonesian."""
    page = _visit(browser, url, locale="id-ID", color_scheme="dark")
    samples = sorted(SAMPLES.glob("*.jpg"))
    page.get_by_role("tab").nth(2).click()
    page.locator("#batch-input input[type=file]").set_input_files(samples)
    page.locator("#batch-input .file-preview tr").nth(len(samples) - 1).wait_for()
    page.locator("#batch-run").click()
    page.locator("#batch-gallery li figure").nth(len(samples) - 1).wait_for()
    page.get_by_role("tab").nth(3).click()
    page.locator("#history-gallery li").nth(len(samples) - 1).wait_for()
    page.wait_for_timeout(1000)
    page.screenshot(path=file, full_page=True)


def _visit(browser: Browser, url: str, **options: str) -> Page:
    context = browser.new_context(viewport={"width": 1120, "height": 860}, **options)
    context.set_default_timeout(600_000)  # a busy machine takes its time
    page = context.new_page()
    page.goto(url)
    page.locator("#picture-input input[type=file]").wait_for(state="attached")
    page.locator("#result[aria-live]").wait_for()  # page.js has run
    return page


if __name__ == "__main__":
    main()
