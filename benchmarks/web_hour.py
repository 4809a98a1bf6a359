"""The page after it has been idle: everything used in a real browser, on desk and phone.

    python benchmarks/web_hour.py --wait 360

Starts the page, waits six minutes (uploads are deleted after five), then uses every tab in both
languages, both themes and two sizes, with axe on each tab after use. Prints one line per visit and
exits with 1 where something is wrong. Needs Chromium, Playwright and axe (requirements-dev.txt).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Browser, Page, expect, sync_playwright
from web_load import ROOT, start

_AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
_PATIENCE = 300_000
"""Milliseconds: nothing here is about speed."""
_SIZES = {
    "desk": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
    "small": {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True},
}
_VISITS = (
    ("desk", "en-US", "light"),
    ("desk", "id-ID", "dark"),
    ("phone", "id-ID", "light"),
    ("phone", "en-US", "dark"),
    ("small", "id-ID", "dark"),
)
_CAMERA = "--use-fake-device-for-media-stream"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wait", type=float, default=360, help="seconds before the first visit")
    parser.add_argument("--size", choices=_SIZES, help="only the visits on this kind of screen")
    options = parser.parse_args()
    expect.set_options(timeout=_PATIENCE)
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        process, url, _ = start(temporary)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-browser"),
            args=["--no-sandbox", "--disable-gpu", _CAMERA, "--use-fake-ui-for-media-stream"],
        )
        try:
            time.sleep(options.wait)
            for visit in _VISITS:
                if options.size not in (None, visit[0]):
                    continue
                found = use_everything(browser, url, *visit)
                wrong += len(found)
                print(f"{' '.join(visit):<22} {'all right' if not found else ''}", flush=True)
                for line in found:
                    print(f"    {line}", flush=True)
        finally:
            browser.close()
            process.terminate()
            process.wait(timeout=60)
        left = [path for path in Path(temporary).rglob("*") if path.is_file()]
        print(f"files after SIGTERM    {len(left)}")
    sys.exit(1 if wrong or left else 0)


def use_everything(browser: Browser, url: str, size: str, locale: str, scheme: str) -> list[str]:
    """One visit; what is wrong, in lines."""
    context = browser.new_context(
        locale=locale, color_scheme=scheme, permissions=["camera"], **_SIZES[size]
    )
    context.set_default_timeout(_PATIENCE)
    found: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: found.append(f"script: {error}"))
    page.on("console", lambda said: said.type == "error" and found.append(f"console: {said.text}"))
    page.on("response", lambda got: got.ok or found.append(f"HTTP {got.status} {got.url}"))
    try:
        page.goto(url)
        for number, use in enumerate((pictures, live, batch, history, about)):
            page.get_by_role("tab").nth(number).click()
            use(page)
            found += check(page, use.__name__)
        page.get_by_role("tab").first.click()
        other = "id" if locale.startswith("en") else "en"
        page.locator(f"#header nav button[lang={other}]").click()
        expect(page.locator("html")).to_have_attribute("lang", other)
        expect(page.locator("#result .answer").filter(visible=True)).to_be_visible()
        found += check(page, f"pictures in {other}")
    except AssertionError as error:
        found.append(" ".join(str(error).split())[:400])
    context.close()
    return found


def check(page: Page, where: str) -> list[str]:
    """What axe finds, and whether anything is wider than the screen."""
    page.evaluate(_AXE)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    found = [
        f"{where}: {violation['id']} {node['html'][:100]}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append(f"{where}: wider than the screen")
    return found


def pictures(page: Page) -> None:
    """Every example, and the sliders."""
    examples = page.locator("#examples button")
    for number in range(examples.count()):
        examples.nth(number).click()
        page.locator("#result section:not([data-seen])[data-score]").wait_for()
        expect(page.locator("#result .answer").filter(visible=True)).to_be_visible()
        page.evaluate("document.querySelector('#result section').dataset.seen = ''")
    for slider in ("#threshold", "#strength"):
        page.locator(f"{slider} input[type=range]").press("Home")
    for what in ("map", "card"):
        with page.expect_download():
            page.locator(f"[data-save={what}]").click()


def live(page: Page) -> None:
    """The camera, until there is a state."""
    camera = page.locator("#camera-input")
    camera.locator("[title] button").first.click()
    camera.locator("video").wait_for()
    camera.locator(".button-wrap button").first.click()
    expect(page.locator("#live-state .answer")).to_be_visible()
    camera.locator(".button-wrap button").first.click()


def batch(page: Page) -> None:
    files = [ROOT / "samples" / "coffee.jpg", ROOT / "samples" / "README.md"]
    page.locator("#batch-input input[type=file]").first.set_input_files(files)
    expect(page.locator("#batch-input .file-preview tr")).to_have_count(2)
    page.locator("#batch-run").click()
    expect(page.locator("#batch-table tbody tr")).to_have_count(2)


def history(page: Page) -> None:
    expect(page.locator("#history-gallery li").first).to_be_visible()
    with page.expect_download():
        page.locator("#history-csv a").click()


def about(page: Page) -> None:
    expect(page.locator(".about h2").first).to_be_visible()


if __name__ == "__main__":
    main()
