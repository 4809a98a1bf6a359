"""The page of `live` in a browser."""

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from itertools import chain

import numpy as np
import pytest
from conftest import ROOT

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")
pytest.importorskip("uvicorn", reason="needs requirements-live.txt")

from live_servers import MjpegServer, RtspServer, get, wait_for  # noqa: E402

from edge_app.live.view.texts import TEXTS  # noqa: E402


@pytest.fixture(scope="module")
def run(samples, tmp_path_factory):
    """The command on two RTSP streams; gives its address, the streams and its output."""
    streams = [RtspServer(samples / name) for name in ("astronaut.jpg", "coffee.jpg")]
    for stream in streams:
        stream.start()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "edge_app", "live", "--serve", "0", "--threshold", "0"),
            *("--archive", tmp_path_factory.mktemp("archive")),
            *("--source", streams[0].url, "--source", streams[1].url),
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process.stderr.readline().split()[-1], streams
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
        for stream in streams:
            stream.stop()


@pytest.fixture(scope="module")
def browser():
    pytest.importorskip("playwright.sync_api", reason="needs requirements-dev.txt")
    from webpage import chromium

    with chromium() as running:
        yield running


@pytest.fixture
def visit(run, browser):
    """Opens the page as a new visitor; at the end there was no error and no foreign request."""
    contexts, faults = [], []

    def note(request):
        if not request.url.startswith((run[0], "data:", "blob:")):
            faults.append(request.url)

    def open_page(path="/", **options):
        context = browser.new_context(**{"locale": "en-US", **options})
        contexts.append(context)
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("request", note)
        page.on("pageerror", lambda error: faults.append(str(error)))
        refused = "Content Security Policy"
        page.on("console", lambda line: refused in line.text and faults.append(line.text))
        page.goto(run[0] + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def until(page, expression):
    """Waits until something is true on a page, which allows no script to be made from text."""
    wait_for(lambda: page.evaluate(expression), 90)


def wait_for_pictures(page, count=2):
    until(
        page,
        f"[...document.querySelectorAll('.picture')].filter(p => p.naturalWidth == 320).length"
        f" >= {count}",
    )
    until(page, "document.querySelectorAll('.stats:empty').length == 0")


def test_a_phone_shows_both_cameras_with_score_and_state(visit):
    page = visit(**PHONE)
    wait_for_pictures(page)
    assert page.locator(".camera h2").all_inner_texts() == ["camera 1", "camera 2"]
    until(page, "document.querySelector('.state').textContent.startsWith('Smoking')")
    assert re.fullmatch(r"\d+%", page.locator(".score").first.inner_text())
    assert "frames per second" in page.locator(".stats").first.inner_text()
    until(
        page,
        "document.querySelector('.chart path').getAttribute('d').split(' ').length > 3",
    )
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390  # nothing reaches beyond the screen


def test_the_evidence_map_can_be_switched_on(visit):
    page = visit()
    wait_for_pictures(page)
    page.locator(".evidence").first.click()
    drawn = (
        "(() => { const map = document.querySelector('.map'); if (map.hidden || !map.width) "
        "return false; const data = map.getContext('2d').getImageData(0, 0, map.width, map.height)"
        ".data; return data.some((value, place) => place % 4 == 3 && value > 0); })()"
    )
    until(page, drawn)
    page.locator(".evidence").first.click()
    assert page.locator(".map").first.is_hidden()


def test_a_region_is_drawn_and_its_line_for_the_file_works(visit, run):
    from edge_app.live.zone import corners

    page = visit(**PHONE)
    wait_for_pictures(page)
    card = page.locator(".camera").first
    card.locator(".draw").click()
    stage = card.locator(".stage").bounding_box()
    for x, y in ((0.25, 0.25), (0.75, 0.25), (0.5, 0.75)):
        page.touchscreen.tap(stage["x"] + x * stage["width"], stage["y"] + y * stage["height"])
    option = card.locator(".option").inner_text()
    name, _, text = option.partition(" = ")
    assert name == "region"  # of several cameras, which take no --region
    assert "camera 1" in card.locator(".restart").inner_text()
    expected = ((80, 60), (240, 60), (160, 180))
    assert np.abs(np.subtract(corners(text.strip('"')), expected)).max() <= 2
    code, button = (card.locator(part).bounding_box() for part in (".option", ".copy"))
    beside = code["x"] + code["width"] <= button["x"]
    assert beside or code["y"] + code["height"] <= button["y"]
    card.locator("input[value='mask']").check()
    assert card.locator(".option").inner_text().startswith('mask = ["')
    card.locator(".undo").click()
    assert card.locator(".option").inner_text() == ""


def test_it_speaks_indonesian(visit):
    page = visit(locale="id-ID")
    assert page.locator("html").get_attribute("lang") == "id"
    assert page.locator("h1").inner_text() == TEXTS["id"]["title"]
    page.locator("#language").click()
    until(page, "document.documentElement.lang == 'en'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_everybody(visit, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(color_scheme=scheme)
    wait_for_pictures(page)
    found = axe.run(page).response["violations"]
    assert [(entry["id"], entry["nodes"][0]["html"][:200]) for entry in found] == []


def test_a_stream_that_dies_is_shown_and_comes_back_while_the_other_goes_on(visit, run):
    page = visit(**PHONE)
    wait_for_pictures(page)
    first, second = page.locator(".camera").nth(0), page.locator(".camera").nth(1)
    run[1][0].stop()
    first.locator(".lost").wait_for(timeout=90_000)
    assert re.match(r"Lost since [\d:]+.*\n.*\w", first.locator(".lost").inner_text())
    assert first.locator(".waiting").is_hidden()
    assert first.locator(".score").inner_text() == first.locator(".stats").inner_text() == ""
    assert first.locator(".zone").is_hidden()
    name = first.locator("h2")
    assert name.bounding_box()["height"] < 2 * 1.45 * 16  # one line
    assert second.get_attribute("data-state") == "smoking"
    # The event that the camera was in is over; it has its best frame.
    page.locator("#events img").first.wait_for()
    until(page, "document.querySelector('#events img').naturalWidth == 320")
    page.locator("#events li button").first.click()
    assert page.locator("#viewer img").is_visible()
    page.locator("#viewer form button").click()
    page.locator("#events .clip").first.click()
    until(page, "document.querySelector('video')?.readyState >= 2")
    assert page.evaluate("document.querySelector('video').duration") > 3
    page.locator("#viewer form button").click()
    run[1][0].start()
    first.locator(".lost").wait_for(state="hidden", timeout=120_000)
    until(page, "document.querySelector('.camera').dataset.state == 'smoking'")
    until(page, "document.querySelector('.chart path').getAttribute('d').split('M').length > 2")
    metrics = get(f"{run[0]}/metrics")[2].decode()
    assert 'smoking_live_reconnects_total{camera="camera 1"} 1' in metrics
    assert 'smoking_live_outages_total{camera="camera 2"} 0' in metrics


def test_a_hidden_page_takes_no_pictures(visit, run):
    page = visit()
    wait_for_pictures(page)
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {get: () => true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    figure = re.compile(r"^smoking_live_watchers (\d+)", re.M)
    wait_for(lambda: figure.search(get(f"{run[0]}/metrics")[2].decode())[1] == "0", 60)


def test_a_camera_that_is_off_at_the_start_is_waited_for(samples):
    with MjpegServer(samples / "coffee.jpg") as server:
        server.stop()
        command = [sys.executable, "-m", "edge_app", "live", "--serve", "0"]
        process = subprocess.Popen(
            [*command, "--source", server.url],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            url = process.stderr.readline().split()[-1]
            assert "trying again" in process.stderr.readline()
            assert get(f"{url}/health")[0] == 503
            server.start()
            assert process.stdout.readline().startswith("frame ")
            wait_for(lambda: get(f"{url}/health")[0] == 200)
        finally:
            process.kill()
            process.communicate()


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://me:s3#cr/et?@127.0.0.1:9/live",
        pytest.param(
            "rtsp://127.0.0.1:9/user=me_password=s3#cr/et_channel=1_stream=0.sdp",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "http://127.0.0.1:9/video.cgi?loginuse=me&loginpas=s3#cr/et",
            marks=pytest.mark.slow,
        ),
        pytest.param("rtsp://me:s3#cr/et@127.0.0.1:x/live", marks=pytest.mark.slow),
    ],
)
def test_a_run_shows_no_password_in_anything_that_it_gives_away(source, tmp_path):
    secrets = (b"s3#", b"cr/", b"et_", b"s3%23", b"/et")
    settings = [("--serve", "127.0.0.1:0"), ("--archive", tmp_path)]
    settings += [("--mqtt", "mqtt://me:s3#cr/et@127.0.0.1:9/hall"), ("--source", source)]
    log, events = tmp_path / "log", tmp_path / "events.jsonl"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [*(sys.executable, "-m", "edge_app", "live"), *map(str, chain(*settings))],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        wait_for(lambda: b"trying again" in log.read_bytes(), 90)
        wait_for(lambda: b"the broker cannot be reached" in log.read_bytes(), 60)
        wait_for(lambda: events.exists() and b'"lost"' in events.read_bytes(), 60)
        url = re.search(r"Open (\S+)", log.read_text())[1]
        given = [get(url + path)[2] for path in ("/", "/metrics", "/health", "/history/0")]
        with urllib.request.urlopen(f"{url}/updates", timeout=60) as updates:
            given.append(b"".join(updates.readline() for _ in range(5)))
        assert b'"reason": ' in given[-1]
        process.terminate()
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    errors = log.read_bytes()
    for text in (output, errors, events.read_bytes(), *given):
        assert not [secret for secret in secrets if secret in text], text
