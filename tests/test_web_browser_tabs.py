"""The Live, Batch, History and About tabs in a real browser."""

import io
import json
import re
import zipfile
from pathlib import Path

from conftest import SHIPPED_INT8
from PIL import Image
from webpage import WAIT, launched
from webvisit import (
    ABOUT,
    BATCH,
    HISTORY,
    LIVE,
    PICTURE,
    answer,
    as_upload,
    choose_for_batch,
    expect,
    open_tab,
    upload,
    wait_until_ready,
)

from edge_app.web.texts import TEXTS


def png(width, height):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "PNG")
    return buffer.getvalue()


def zipped(members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def test_the_live_camera_gets_a_state_and_a_time_line_and_no_frame_is_stored(visit, temporary):
    page = visit(permissions=["camera"])
    open_tab(page, LIVE)
    camera = page.locator("#camera-input")
    camera.get_by_title("Click to allow the camera").first.click()
    camera.locator("video").wait_for()
    before = sorted(temporary.rglob("*"))
    camera.locator(".button-wrap button").first.click()
    expect(page.locator("#live-state .answer")).to_have_text(re.compile("smoking|Uncertain", re.I))
    page.wait_for_function(
        "document.querySelector('#live-state polyline').getAttribute('points').split(' ')[3]"
    )
    assert sorted(temporary.rglob("*")) == before


def test_a_visitor_without_a_camera_is_told_so(browser, site):
    none = "--use-fake-device-for-media-stream=device-count=0"
    with launched(browser.browser_type, none) as without:
        page = without.new_page(locale="id-ID")
        page.set_default_timeout(WAIT)
        page.goto(site)
        wait_until_ready(page)
        open_tab(page, LIVE)
        page.locator("#camera-input").get_by_title("Klik untuk mengizinkan kamera").first.click()
        expect(page.locator("#live-state")).to_have_text(TEXTS["id"]["camera_none"])


def test_the_camera_of_the_live_tab_stops_when_another_tab_is_opened(visit):
    page = visit(permissions=["camera"])
    open_tab(page, LIVE)
    camera = page.locator("#camera-input")
    camera.get_by_title("Click to allow the camera").first.click()
    camera.locator("video").wait_for()
    button = camera.locator(".button-wrap button").first
    button.click()
    expect(page.locator("#live-state .answer")).to_be_visible()
    expect(button).to_have_text("Stop")
    expect(button).to_have_accessible_name("Stop")
    open_tab(page, HISTORY)
    open_tab(page, LIVE)
    expect(button).to_have_text("Start")


def test_a_batch_of_pictures_and_a_zip_gives_table_gallery_csv_and_history(
    visit, samples, classifier
):
    page = visit()
    members = [
        ("inner/coffee.jpg", (samples / "coffee.jpg").read_bytes()),
        ("broken.jpg", b"no picture"),
        ("notes.txt", b"not looked at"),
        ("inner.zip", zipped([("a.jpg", b"not looked into")])),
    ]
    choose_for_batch(
        page,
        as_upload("astronaut.jpg", (samples / "astronaut.jpg").read_bytes()),
        as_upload("more.zip", zipped(members)),
    )
    page.locator("#batch-run").click()
    expect(page.locator("#batch-gallery li figure")).to_have_count(2)
    expect(page.locator("#batch-gallery")).to_contain_text("Could not be read (1)")
    expect(page.locator("#batch-message")).to_have_text("2 pictures classified, 1 not.")

    table = page.locator("#batch-table")
    first_row = table.locator("tbody tr").first
    expect(first_row).to_contain_text("astronaut.jpg")
    expect(table).to_contain_text("inner/coffee.jpg")
    by_file = table.get_by_role("button", name="Sort by file")
    by_file.click()
    by_file.click()
    expect(table.get_by_role("columnheader").first).to_have_attribute("aria-sort", "descending")
    expect(first_row).to_contain_text("inner/coffee.jpg")

    with page.expect_download() as download:
        page.locator("#batch-csv a").click()
    rows = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert rows[0] == '"file","answer","confidence","smoking","incomplete","error"'
    assert len(rows) == 4
    smoking = classifier.classify(samples / "coffee.jpg").smoking
    assert rows[2].startswith('"inner/coffee.jpg",') and f"{smoking:.4f}" in rows[2]

    open_tab(page, HISTORY)
    expect(page.locator("#history-gallery li")).to_have_count(2)


def test_what_cannot_be_a_batch_is_said_in_place(visit, tmp_path):
    page = visit(locale="id-ID")
    open_tab(page, BATCH)
    page.locator("#batch-run").click()
    message = page.locator("#batch-message")
    expect(message).to_have_text("Pilih gambar atau berkas ZIP terlebih dahulu.")
    with (tmp_path / "large.zip").open("wb") as file:
        file.truncate(101_000_000)
    page.locator("#batch-input input[type=file]").set_input_files(tmp_path / "large.zip")
    expect(message).to_contain_text("Lebih besar daripada yang diterima server")
    expect(message).to_contain_text("large.zip")
    choose_for_batch(page, as_upload("pictures.zip", zipped([("a.txt", b"x")])))
    page.locator("#batch-run").click()
    told = page.locator("#batch-table")
    expect(told).to_contain_text("Tidak ada gambar di dalam berkas ZIP ini.")
    expect(told).to_contain_text("pictures.zip")
    expect(page.locator("#batch-input .stem")).to_have_text("pictures")  # a name, not a word


def test_who_has_to_wait_sees_the_place_in_the_queue(visit):
    first, second = visit(), visit()
    many = as_upload("many.zip", zipped((f"{n}.png", png(3000, 2500)) for n in range(8)))
    one = as_upload("one.png", png(30, 30))
    choose_for_batch(first, many)
    choose_for_batch(second, one)
    second.evaluate(  # notes it however short it is shown
        """() => new MutationObserver(() => {
            const shown = document.querySelector("#batch-input").textContent;
            if (shown.includes("queue: 1/1")) document.body.classList.add("queued");
        }).observe(document.querySelector("#batch-input"),
                   {subtree: true, childList: true, characterData: true})"""
    )
    first.locator("#batch-run").click()
    expect(first.locator("#batch-input")).to_contain_text("pictures")
    second.locator("#batch-run").click()
    expect(second.locator("body.queued")).to_be_attached()
    open_tab(second, PICTURE)  # which does not wait for anybody's batch
    upload(second, {**one, "mimeType": "image/png"})
    expect(answer(second)).to_be_visible()
    open_tab(second, BATCH)
    expect(second.locator("#batch-gallery li figure")).to_have_count(1)


def test_the_history_is_each_visitors_own_and_can_be_filtered_saved_and_cleared(
    visit, samples, words
):
    first, second = visit(), visit()
    upload(first, samples / "coffee.jpg")
    upload(second, samples / "astronaut.jpg")
    for page, own, other in ((first, "coffee", "astronaut"), (second, "astronaut", "coffee")):
        expect(answer(page)).to_be_visible()
        open_tab(page, HISTORY)
        gallery = page.locator("#history-gallery")
        expect(gallery).to_contain_text(own)
        expect(gallery).not_to_contain_text(other)
        expect(gallery.locator("img")).to_have_count(1)
    open_tab(first, PICTURE)
    first.locator("#picture-input").get_by_label(re.compile("clear|remove", re.I)).first.click()
    expect(answer(first)).to_have_count(0)
    upload(first, samples / "cameraman.jpg")
    expect(answer(first)).to_be_visible()
    open_tab(first, HISTORY)
    entries = first.locator("#history-gallery li")
    expect(entries).to_have_count(2)
    said = [words(samples / f"{name}.jpg") for name in ("coffee", "cameraman")]
    for shown in ("Smoking", "Not smoking", "Uncertain"):
        first.get_by_role("radio", name=shown, exact=True).check()
        expect(entries).to_have_count(said.count(shown))
    first.get_by_role("radio", name="All").check()
    expect(entries).to_have_count(2)
    with first.expect_download() as download:
        first.locator("#history-csv a").click()
    assert len(Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()) == 3
    first.locator("#history-clear").click()
    expect(entries).to_have_count(0)
    expect(second.locator("#history-gallery li")).to_have_count(1)
    second.reload()  # the session is a new one
    wait_until_ready(second)
    open_tab(second, HISTORY)
    expect(second.locator("#history-gallery")).to_contain_text("Nothing here yet")


def test_of_two_pictures_in_quick_succession_both_are_in_the_history(visit, samples):
    """The second is answered while the history with the first is still under way."""
    page, held = visit(), []
    functions = page.evaluate("gradio_config.dependencies.map(({id, api_name}) => [id, api_name])")
    shows = {number for number, name in functions if str(name).startswith("show")}

    def hold_the_first(route):
        if not held and route.request.post_data_json["fn_index"] in shows:
            held.append((route, route.fetch()))  # the server has answered, the page does not know
        else:
            route.continue_()

    page.route("**/queue/join?*", hold_the_first)
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_be_visible()
    page.evaluate("document.querySelector('#result section').classList.add('old')")
    upload(page, samples / "astronaut.jpg", replace=True)
    expect(page.locator("#result section[data-score]:not(.old)")).to_be_visible()
    ((route, response),) = held
    route.fulfill(response=response)
    open_tab(page, HISTORY)
    expect(page.locator("#history-gallery li")).to_have_count(2)


def test_the_about_tab_has_the_figures_of_the_evaluation(visit):
    page = visit()
    open_tab(page, ABOUT)
    evaluation = json.loads((SHIPPED_INT8.parent / "evaluation" / "evaluation.json").read_text())
    for name, result in evaluation["datasets"].items():
        folder, comma, split = name.partition(",")
        name = f"{TEXTS['en'][f'set_{folder}']}{comma}{split}"
        header = page.get_by_role("rowheader", name=name, exact=True)
        row = page.get_by_role("row").filter(has=header)
        expect(row.first).to_contain_text(f"{result['accuracy']:.1%}")
    page.locator(".about summary").click()
    expect(page.locator(".about details li").first).to_be_visible()


def test_the_page_about_the_api_stays_on_the_machine_too(visit):
    page = visit()
    page.get_by_role("button", name="Use via API").click()
    expect(page.get_by_text("/classify").filter(visible=True).first).to_be_visible()
