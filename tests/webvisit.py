"""What a visitor does on the page in a browser; without Playwright, who imports it is skipped."""

import contextlib
from urllib.parse import urlsplit

import pytest
from webpage import WAIT

pytest.importorskip("gradio", reason="needs requirements-web.txt")
api = pytest.importorskip("playwright.sync_api", reason="needs requirements-dev.txt")
expect = api.expect
expect.set_options(timeout=WAIT)

PICTURE, LIVE, BATCH, HISTORY, ABOUT = range(5)
"""The tabs."""


@contextlib.contextmanager
def visits(browser, site):
    """Gives a function that opens a page as a new visitor.

    At the end no request may have left the machine, and no script may have failed.
    """
    contexts, outside, errors = [], [], []

    def note(request):
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            outside.append(request.url)

    def open_page(address=site, **options):
        context = browser.new_context(**{"locale": "en-US", **options})
        contexts.append(context)
        context.set_default_timeout(WAIT)
        context.on("request", note)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        wait_until_ready(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not outside, outside
    assert not errors, errors


def wait_until_ready(page):
    page.locator("#picture-input input[type=file]").wait_for(state="attached")
    page.locator("#result[aria-live]").wait_for()  # page.js has run


def upload(page, path, replace=False):
    if replace:
        page.get_by_label("Remove the picture").or_(page.get_by_label("Hapus gambar")).click()
    page.locator("#picture-input input[type=file]").set_input_files(path)


def answer(page):
    return page.locator("#result .answer").filter(visible=True)


def open_tab(page, number):
    tab = page.get_by_role("tab").nth(number)
    tab.click()
    expect(tab).to_have_attribute("aria-selected", "true")


def choose_for_batch(page, *files):
    """Gives files to the Batch tab, and waits until the server has them."""
    open_tab(page, BATCH)
    page.locator("#batch-input input[type=file]").set_input_files(list(files))
    expect(page.locator("#batch-input .file-preview tr")).to_have_count(len(files))


def as_upload(name, content):
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}
