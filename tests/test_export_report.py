"""The report in a real browser, opened as a file, as its reader does."""

import os
import random
import shutil

import pytest
from click.testing import CliRunner
from conftest import put_score
from webpage import chromium

from edge_app.cli import main
from edge_app.scan import Store

playwright_api = pytest.importorskip("playwright.sync_api", reason="needs requirements-dev.txt")
expect = playwright_api.expect

WAIT = 20_000  # milliseconds; a busy machine
HOSTILE = (
    "<img src=x onerror=alert(1)>.jpg",
    "<script>alert(2)<",  # the rest of the end tag is a folder, see below
    "'\"><svg onload=alert(3)>.jpg",
    "{{SCRIPT}}\u2028.jpg",
    "-->]]>.jpg",
)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def make_report(tmp_path, samples, info):
    """Makes a report of pictures with these scores; None is unreadable."""

    def make(scores, *options, picture=samples / "coffee.jpg", keep=lambda path: True):
        with Store(tmp_path / "out.db") as store:
            for name, score in scores.items():
                path = tmp_path / "pictures" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if keep(name) and not path.exists():
                    os.link(picture, path) if len(scores) > 50 else shutil.copy(picture, path)
                put_score(store, path, info, score, "is damaged <b>badly</b>")
        out = tmp_path / "report.html"
        arguments = ["export", str(tmp_path / "out.db"), "--format", "html", "--out", str(out)]
        return CliRunner().invoke(main, [*arguments, *options]), out

    return make


@pytest.fixture
def visit(browser):
    """Opens a report; at the end it may have asked for nothing, and thrown nothing."""
    contexts, requests, trouble = [], [], []

    def open_page(report, **options):
        context = browser.new_context(**{"locale": "en-US", **options})
        contexts.append(context)
        context.set_default_timeout(WAIT)
        context.on("request", lambda request: requests.append(request.url))
        page = context.new_page()
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda message: trouble.append(message.text))
        page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
        page.goto(report.as_uri())
        page.wait_for_selector("#count:not(:empty)")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [url[:60] for url in requests if not url.startswith(("data:", "blob:"))] == [
        url[:60] for url in requests if url.endswith("/report.html")
    ]
    assert trouble == []


FEW = {"high.jpg": 0.97, "inner/low.jpg": 0.02, "middle.jpg": 0.64, "bad.jpg": None}


def names(page):
    page.wait_for_selector(".card")
    cards = page.locator(".card").all()
    return [card.locator(".name").inner_text() for card in sorted_by_index(cards)]


def sorted_by_index(cards):
    return sorted(cards, key=lambda card: int(card.get_attribute("data-index")))


def set_threshold(page, value):
    page.locator("#threshold").fill(str(value))


def test_thumbnails_stand_in_order_of_score(make_report, visit):
    done, report = make_report(FEW)
    assert done.exit_code == 0, done.output
    assert "3 pictures, 2 found, 1 unreadable" in done.output
    page = visit(report)
    assert names(page) == ["high.jpg", "middle.jpg", "low.jpg"]
    page.wait_for_selector(".card img[src]")
    sizes = page.locator(".card img").evaluate_all(
        "images => Promise.all(images.map(i => i.decode().then(() => i.naturalWidth)))"
    )
    assert sizes == [192, 192, 192]


def test_the_head_says_what_was_scanned_with_which_model(make_report, visit, info):
    page = visit(make_report(FEW)[1])
    head = page.locator("header")
    metadata = info.metadata
    for text in ("/pictures/", f"{metadata.name} {metadata.version}", "P(Smoking) ≥"):
        expect(head).to_contain_text(text)
    facts = dict(
        zip(head.locator("dt").all_inner_texts(), head.locator("dd").all_inner_texts(), strict=True)
    )
    assert (facts["Pictures"], facts["Smoking"], facts["Unreadable"]) == ("3", "2", "1")
    assert head.locator("dd[title]").get_attribute("title") == f"SHA-256 {info.sha256}"
    assert "20" in facts["Scanned"]  # a year


def test_the_threshold_changes_labels_counts_and_bars(make_report, visit):
    page = visit(make_report(FEW)[1])
    expect(page.locator("#threshold-says")).to_contain_text("2 of 3")
    set_threshold(page, 0.7)
    expect(page.locator("#threshold-says")).to_have_text("P(Smoking) ≥ 0.7: 1 of 3")
    expect(page.locator("#threshold-hint code")).to_have_text("export --min-score 0.7")
    middle = page.locator(".card", has_text="middle.jpg")
    expect(middle).to_contain_text("NotSmoking")
    bars = page.locator("#histogram rect.found")
    assert bars.count() == 30
    page.get_by_role("button", name="Back to the scan's").click()
    expect(page.locator("#threshold-says")).to_contain_text("2 of 3")
    expect(middle.locator(".answer span").first).to_have_text("Smoking")


def test_pictures_are_filtered_by_label_and_name_and_sorted(make_report, visit):
    page = visit(make_report(FEW)[1])
    page.get_by_role("button", name="NotSmoking 1").click()
    assert names(page) == ["low.jpg"]
    page.get_by_role("button", name="Smoking 2", exact=True).click()
    assert names(page) == ["high.jpg", "middle.jpg"]
    page.get_by_role("button", name="All 3").click()
    page.get_by_label("Search in names").fill("INNER")
    assert names(page) == ["low.jpg"]
    expect(page.locator("#count")).to_have_text("1 of 3 pictures")
    page.get_by_label("Search in names").fill("nowhere")
    expect(page.locator("#nothing")).to_be_visible()
    page.get_by_label("Search in names").fill("")
    page.get_by_label("Order").select_option("Lowest score first")
    assert names(page) == ["low.jpg", "middle.jpg", "high.jpg"]
    page.get_by_label("Order").select_option("By name")
    assert names(page) == ["high.jpg", "low.jpg", "middle.jpg"]


def test_the_unreadable_are_listed_with_their_reason(make_report, visit):
    page = visit(make_report(FEW)[1])
    page.get_by_role("button", name="Unreadable 1").click()
    item = page.locator("#unreadable li")
    expect(item).to_have_text("bad.jpgis damaged <b>badly</b>")
    expect(page.locator("#grid")).to_be_hidden()


def test_hostile_names_are_text(make_report, visit, samples):
    scores = {name: 0.9 - 0.1 * place for place, name in enumerate(HOSTILE)}
    scores["<script>alert(2)</script>.jpg"] = scores.pop("<script>alert(2)<")
    scores["<b onmouseover=alert(4)>x"] = None
    page = visit(make_report(scores)[1])
    assert sorted(names(page)) == sorted(name.rpartition("/")[2] for name in scores if scores[name])
    page.get_by_role("listbox").focus()
    for _ in scores:
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Unreadable").click()
    expect(page.locator("#unreadable li")).to_contain_text("<b onmouseover=alert(4)>x")
    assert page.locator("script").count() == 3  # data, behaviour, one block of thumbnails
    assert page.locator("#unreadable b, .card svg, .card script").count() == 0


def test_a_name_that_is_not_utf8_is_shown_and_linked(make_report, visit):
    name = os.fsdecode(b"caf\xe9 #1.jpg")
    try:
        _, report = make_report({name: 0.9, "b.jpg": 0.1})
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    page = visit(report)
    page.locator(".card").first.click()
    expect(page.locator("#viewer-name")).to_have_text("caf\\xe9 #1.jpg")
    address = page.locator("#original").get_attribute("href")
    assert address == (report.parent / "pictures" / name).as_uri()


def test_the_keyboard_alone_reaches_everything(make_report, visit, tmp_path):
    page = visit(make_report({f"{n:03}.jpg": n / 200 for n in range(200)})[1])
    page.locator("#save").focus()
    page.keyboard.press("Tab")
    grid = page.get_by_role("listbox")
    expect(grid).to_be_focused()

    def active():
        return page.locator("#" + grid.get_attribute("aria-activedescendant"))

    expect(active().locator(".name")).to_have_text("199.jpg")
    page.keyboard.press("ArrowRight")
    expect(active().locator(".name")).to_have_text("198.jpg")
    page.keyboard.press("End")
    expect(active().locator(".name")).to_have_text("000.jpg")
    expect(active()).to_be_in_viewport()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    viewer = page.get_by_role("dialog")
    expect(viewer).to_be_visible()
    below = viewer.locator("#viewer-name").inner_text()
    assert below not in ("199.jpg", "198.jpg")
    page.keyboard.press("ArrowLeft")
    expect(viewer.locator("#viewer-name")).to_have_text(f"{int(below[:3]) + 1}.jpg")
    link = page.locator("#original").get_attribute("href")
    assert link == (tmp_path / "pictures" / f"{int(below[:3]) + 1}.jpg").as_uri()
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    expect(grid).to_be_focused()


def test_the_list_can_be_saved(make_report, visit, tmp_path):
    page = visit(make_report(FEW)[1])
    page.get_by_role("button", name="Smoking 2", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save list").click()
    download.value.save_as(tmp_path / "list.txt")
    paths = [str(tmp_path / "pictures" / name) for name in ("high.jpg", "middle.jpg")]
    assert (tmp_path / "list.txt").read_text().splitlines() == paths


def test_originals_that_are_gone_have_a_place_without_a_thumbnail(make_report, visit):
    done, report = make_report(FEW, keep=lambda name: name != "middle.jpg")
    assert done.exit_code == 1
    assert "1 cannot be shown" in done.output
    page = visit(report)
    expect(page.locator(".card", has_text="middle.jpg")).to_contain_text("original missing")
    page.wait_for_selector(".card img[src]")
    assert page.locator(".card img[src]").count() == 2


def test_the_limit_keeps_the_highest_and_the_totals_of_all(make_report, visit):
    scores = {f"{n}.jpg": (n + 0.5) / 100 for n in range(100)}
    done, report = make_report(scores, "--limit", "10")
    assert "the report shows the 10 with the highest scores" in done.output
    page = visit(report)
    expect(page.locator("#count")).to_contain_text("this file holds the 10 with the highest")
    for threshold, found in ((0.95, 5), (0.2, 80), (0, 100)):
        set_threshold(page, threshold)
        expect(page.locator("#threshold-says")).to_contain_text(f"{found} of 100")


def test_ten_thousand_pictures_stay_light(make_report, visit, samples, tmp_path):
    """Only what is in sight is in the page, the whole way down; and the file stays small."""
    from PIL import Image

    tiny = tmp_path / "tiny.jpg"
    Image.open(samples / "coffee.jpg").resize((96, 64)).save(tiny)
    rng = random.Random(0)
    scores = {f"{n}.jpg": rng.random() for n in range(10_000)}
    done, report = make_report(scores, picture=tiny)
    assert done.exit_code == 0, done.output
    page = visit(report)
    order = sorted(scores, key=scores.get, reverse=True)
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    last = page.locator('.card[aria-posinset="10000"]')
    expect(last).to_be_in_viewport()
    expect(last.locator(".name")).to_have_text(order[-1])
    expect(last.locator("img[src]")).to_be_visible()
    page.evaluate("window.scrollTo(0, document.body.scrollHeight / 2)")
    page.wait_for_function("document.querySelectorAll('.card img[src]').length > 8")
    assert page.locator(".card").count() < 120


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility_has_no_violations(make_report, visit, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = visit(make_report(FEW)[1], color_scheme=scheme, bypass_csp=True)
    set_threshold(page, 0.5)
    for act in (
        lambda: page.wait_for_selector(".card img[src]"),
        lambda: page.locator(".card").first.click(),
        lambda: (page.keyboard.press("Escape"), page.get_by_role("button", name="Unre").click()),
    ):
        act()
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def test_a_phone_shows_two_columns_and_scrolls_one_way(make_report, visit):
    page = visit(make_report(FEW)[1], viewport={"width": 360, "height": 740})
    page.wait_for_selector(".card")
    lefts = page.locator(".card").evaluate_all(
        "cards => cards.map(c => Math.round(c.getBoundingClientRect().left))"
    )
    assert len(set(lefts)) == 2
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_an_empty_result_is_a_report_too(make_report, visit):
    done, report = make_report({"only.jpg": None})
    assert done.exit_code == 0, done.output
    page = visit(report)
    expect(page.locator("#nothing")).to_be_visible()
    expect(page.locator("#facts")).to_contain_text("Unreadable")
