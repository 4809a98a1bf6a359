"""The documentation as a website: builds without a warning and loads nothing from other hosts."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading

import pytest
from conftest import ROOT

pytest.importorskip("mkdocs")
pytestmark = pytest.mark.slow
PAGES = ("index", "api", "architecture", "scan", "troubleshooting", "models/index")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    result = subprocess.run(
        [*command, "--config-file", str(ROOT / "mkdocs.yml")],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    return folder


def test_examples_in_docstrings_are_code(site):
    api = (site / "api.html").read_text()
    assert '<span class="gp">&gt;&gt;&gt;' in api
    assert "<blockquote>" not in api


def test_pages_ask_no_other_host_and_fit_a_phone(site):
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs Chromium")
    handler = functools.partial(Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}/"
    asked = set()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width in (1280, 390):
            page = browser.new_page(viewport={"width": width, "height": 850})
            page.on("request", lambda request: asked.add(request.url))
            for name in PAGES:
                assert page.goto(f"{base}{name}.html", timeout=120_000).ok, name
                page.wait_for_load_state("networkidle", timeout=120_000)
                wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wider <= 0, (name, width)
        browser.close()
    server.shutdown()
    foreign = {url for url in asked if not url.startswith((base, "data:", "blob:"))}
    assert len(asked) > len(PAGES)
    assert not foreign
