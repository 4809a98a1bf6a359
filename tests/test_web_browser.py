"""The page in a real browser: what a visitor does, sees, and never sees."""

import io
import json
import re
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from webpage import chromium, served

playwright_api = pytest.importorskip("playwright.sync_api", reason="needs requirements-dev.txt")
expect = playwright_api.expect

WAIT = 20_000  # milliseconds; a busy machine


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with served(tmp_path_factory.mktemp("temporary") / "web") as address:
        yield address


@pytest.fixture(scope="module")
def browser(tmp_path_factory, samples):
    """Chromium, whose camera shows the coffee sample over and over."""
    video = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    video.write_bytes((samples / "coffee.jpg").read_bytes() * 30)
    with chromium(f"--use-file-for-fake-video-capture={video}") as browser:
        yield browser


@pytest.fixture
def visit(browser, url):
    """Opens the page as a new visitor; at the end no request may have left the machine."""
    contexts, outside, errors = [], [], []

    def note(request):
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(url).netloc:
            outside.append(request.url)

    def open_page(address=url, **options):
        context = browser.new_context(**{"locale": "en-US", **options})
        contexts.append(context)
        context.set_default_timeout(WAIT)
        context.on("request", note)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#picture-input input[type=file]", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert outside == []
    assert errors == []


def upload(page, path):
    page.locator("#picture-input input[type=file]").first.set_input_files(path)


def answer(page):
    return page.locator("#result .answer")


def open_tab(page, number):
    page.get_by_role("tab").nth(number).click()


def test_an_uploaded_picture_is_answered_with_class_bar_meaning_and_time(
    visit, samples, classifier
):
    page = visit()
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_have_text("Not smoking", timeout=WAIT)
    meter = page.get_by_role("meter")
    confidence = classifier.classify(samples / "coffee.jpg").confidence
    assert meter.get_attribute("aria-valuetext") == f"{confidence:.1%}"
    expect(page.locator("#result .means")).to_contain_text("no gesture of smoking")
    assert re.search(
        r"in \d+ ms by smoking_mobilenetv2", page.locator("#result .took").inner_text()
    )


def test_an_example_is_answered_when_it_is_clicked(visit):
    page = visit()
    page.get_by_role("button", name="coffee").click()
    expect(answer(page)).to_have_text("Not smoking", timeout=WAIT)


def test_a_pasted_picture_is_answered(visit, samples):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async bytes => {
            const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
            canvas.getContext("2d").drawImage(bitmap, 0, 0);
            const png = await new Promise(done => canvas.toBlob(done, "image/png"));
            await navigator.clipboard.write([new ClipboardItem({"image/png": png})]);
        }""",
        list((samples / "astronaut.jpg").read_bytes()),
    )
    page.locator("#picture-input").get_by_label("Paste from clipboard").click()
    expect(answer(page)).to_have_text("Not smoking", timeout=WAIT)


def test_a_shot_of_the_camera_is_answered(visit):
    page = visit(permissions=["camera"])
    page.locator("#picture-input").get_by_label("Capture from camera").click()
    page.locator("#picture-input").get_by_title("grant webcam access").click()
    page.get_by_label("capture photo").click()
    expect(answer(page)).to_have_text("Not smoking", timeout=WAIT)


def test_the_live_camera_gets_a_state_and_a_time_line(visit):
    page = visit(permissions=["camera"])
    open_tab(page, 1)
    camera = page.locator("#camera-input")
    camera.get_by_title("grant webcam access").click()
    camera.locator("video").wait_for()
    camera.locator(".button-wrap button").first.click()
    expect(page.locator("#live-state .answer")).to_have_text(
        re.compile("Not smoking|Uncertain"), timeout=WAIT
    )
    page.wait_for_function(
        "document.querySelector('#live-state polyline').getAttribute('points').split(' ')[3]"
    )


def test_a_batch_of_pictures_and_a_zip_gives_table_gallery_and_csv(visit, samples):
    page = visit()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(samples / "coffee.jpg", "inner/coffee.jpg")
        archive.writestr("broken.jpg", b"no picture")
        archive.writestr("notes.txt", b"not looked at")
    open_tab(page, 2)
    page.locator("#batch-input input[type=file]").first.set_input_files(
        [
            {
                "name": "astronaut.jpg",
                "mimeType": "image/jpeg",
                "buffer": (samples / "astronaut.jpg").read_bytes(),
            },
            {"name": "more.zip", "mimeType": "application/zip", "buffer": packed.getvalue()},
        ]
    )
    expect(page.locator("#batch-input")).to_contain_text("more.zip")
    page.locator("#batch-run").click()
    expect(page.locator("#batch-gallery")).to_contain_text("Not smoking (2)", timeout=WAIT)
    expect(page.locator("#batch-gallery")).to_contain_text("Could not be read (1)")
    expect(page.locator("#batch-table")).to_contain_text("inner/coffee.jpg")
    with page.expect_download() as download:
        page.locator("#batch-csv a").click()
    rows = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert rows[0] == "file,answer,confidence,smoking,error"
    assert len(rows) == 4
    assert rows[2].startswith("inner/coffee.jpg,NotSmoking,0.")


def test_the_history_is_each_visitors_own_and_can_be_filtered_and_cleared(visit, samples):
    first, second = visit(), visit()
    upload(first, samples / "coffee.jpg")
    upload(second, samples / "astronaut.jpg")
    expect(answer(first)).to_be_visible(timeout=WAIT)
    expect(answer(second)).to_be_visible(timeout=WAIT)
    for page, own, other in ((first, "coffee", "astronaut"), (second, "astronaut", "coffee")):
        open_tab(page, 3)
        gallery = page.locator("#history-gallery")
        expect(gallery).to_contain_text(own, timeout=WAIT)
        assert other not in gallery.inner_text()
        assert gallery.locator("img").count() == 1
    open_tab(first, 0)
    first.locator("#picture-input").get_by_label(re.compile("clear|remove", re.I)).first.click()
    upload(first, samples / "cameraman.jpg")
    open_tab(first, 3)
    expect(first.locator("#history-gallery li")).to_have_count(2, timeout=WAIT)
    first.get_by_role("radio", name="Uncertain").check()
    expect(first.locator("#history-gallery")).to_contain_text("Nothing here yet", timeout=WAIT)
    first.get_by_role("radio", name="Not smoking").check()
    expect(first.locator("#history-gallery li")).to_have_count(2, timeout=WAIT)
    first.locator("#history-clear").click()
    expect(first.locator("#history-gallery li")).to_have_count(0, timeout=WAIT)
    expect(second.locator("#history-gallery li")).to_have_count(1)


def test_an_indonesian_browser_gets_indonesian(visit, samples):
    page = visit(locale="id-ID")
    expect(page.locator("h1")).to_have_text("Apakah orang di gambar ini sedang merokok?")
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_have_text("Tidak merokok", timeout=WAIT)
    assert page.get_by_role("tab").all_inner_texts() == [
        "Gambar",
        "Langsung",
        "Banyak",
        "Riwayat",
        "Tentang",
    ]
    assert "__i18n__" not in page.locator("body").inner_text()


def test_what_is_no_picture_gets_a_friendly_message(visit, tmp_path):
    page = visit()
    (tmp_path / "notes.jpg").write_text("no picture")
    upload(page, tmp_path / "notes.jpg")
    expect(page.get_by_text("This file is no picture in a known format.")).to_be_visible(
        timeout=WAIT
    )


def test_the_keyboard_alone_reaches_tabs_and_examples(visit):
    page = visit()
    page.get_by_role("tab").first.wait_for()

    def tab_until(selector):
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({json.dumps(selector)})"):
                return
        raise AssertionError(f"{selector} cannot be reached by the Tab key")

    tab_until("[role=tab]")
    tab_until("#examples button")
    page.keyboard.press("Enter")
    expect(answer(page)).to_have_text("Not smoking", timeout=WAIT)


@pytest.mark.parametrize("width", [360, 768])
def test_nothing_is_wider_than_a_small_screen(visit, samples, width):
    page = visit(viewport={"width": width, "height": 780}, has_touch=True)
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_be_visible(timeout=WAIT)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = answer(page).bounding_box()
    assert 0 <= box["x"] < box["x"] + box["width"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_tab(visit, samples, scheme):
    axe = pytest.importorskip("axe_playwright_python", reason="needs requirements-dev.txt")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text()
    page = visit(color_scheme=scheme, reduced_motion="reduce")
    assert page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_be_visible(timeout=WAIT)
    page.evaluate(script)
    found = []
    for number in range(5):
        open_tab(page, number)
        page.wait_for_timeout(300)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found += [
            (number, violation["id"], node["html"][:160], node["failureSummary"][:160])
            for violation in result["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]
    assert found == []
