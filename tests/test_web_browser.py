"""The Picture tab in a real browser: what a visitor does, sees, and never sees."""

import io
import re
import warnings

import pytest
from conftest import SHIPPED_INT8
from PIL import Image
from webpage import WAIT, served, space_under_test
from webvisit import ABOUT, HISTORY, answer, as_upload, expect, open_tab, upload, wait_until_ready

from edge_app.web.texts import TEXTS, percent, text


def test_an_uploaded_picture_is_answered_with_class_bar_meaning_and_time(
    visit, samples, classifier, words
):
    page = visit()
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_have_text(words(samples / "coffee.jpg"))
    smoking = classifier.classify(samples / "coffee.jpg").smoking
    meters = page.locator("#result").get_by_role("meter")
    expect(meters.first).to_have_attribute("aria-valuetext", f"{smoking:.1%}")
    expect(meters.last).to_have_attribute("aria-valuetext", f"{1 - smoking:.1%}")
    expect(page.locator("#result .means").filter(visible=True)).not_to_be_empty()
    name = classifier.info.metadata.name
    expect(page.locator("#result .took")).to_have_text(re.compile(rf"in \d+ ms by {name}"))


def test_the_slider_sets_the_strength_of_the_evidence_map(visit, samples, classifier):
    if classifier.info.evidence is None:
        pytest.skip("the shipped model gives no evidence map")
    page = visit()
    slider = page.locator("#strength input[type=range]")
    expect(slider).to_be_hidden()  # nothing to set yet
    upload(page, samples / "coffee.jpg")
    overlay = page.locator("#result .evidence .map")
    expect(overlay).to_have_css("opacity", "0.55")
    slider.focus()
    page.keyboard.press("Home")
    expect(overlay).to_have_css("opacity", "0")
    page.keyboard.press("End")
    expect(overlay).to_have_css("opacity", "1")


def test_an_example_is_answered_when_it_is_clicked(visit, samples, words):
    page = visit()
    page.get_by_role("button", name="Cup of coffee").click()
    expect(answer(page)).to_have_text(words(samples / "coffee.jpg"))


def test_a_dropped_picture_is_answered(visit, samples, words):
    page = visit()
    transfer = page.evaluate_handle(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "a.jpg", {type: "image/jpeg"}));
            return transfer;
        }""",
        list((samples / "coffee.jpg").read_bytes()),
    )
    zone = page.locator("#picture-input button.upload-container")
    for event in ("dragenter", "dragover", "drop"):
        zone.dispatch_event(event, {"dataTransfer": transfer})
    expect(answer(page)).to_have_text(words(samples / "coffee.jpg"))


def copy_picture(page, path):
    """Puts a picture on the clipboard, as another program would."""
    page.evaluate(
        """async bytes => {
            const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
            canvas.getContext("2d").drawImage(bitmap, 0, 0);
            const png = await new Promise(done => canvas.toBlob(done, "image/png"));
            await navigator.clipboard.write([new ClipboardItem({"image/png": png})]);
        }""",
        list(path.read_bytes()),
    )


def test_a_pasted_picture_is_answered_by_button_and_by_key(visit, samples, words):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    copy_picture(page, samples / "astronaut.jpg")
    page.locator("#picture-input").get_by_label("Paste from the clipboard").click()
    expect(answer(page)).to_have_text(words(samples / "astronaut.jpg"))
    page.evaluate("document.querySelector('#result section').classList.add('old')")
    copy_picture(page, samples / "coffee.jpg")
    page.keyboard.press("Control+V")  # takes the place of the first
    expect(page.locator("#result section.result[data-score]:not(.old)")).to_be_visible()
    open_tab(page, HISTORY)
    expect(page.locator("#history-gallery li")).to_have_count(2)


def test_a_shot_of_the_camera_is_answered(visit):
    page = visit(permissions=["camera"])
    page.locator("#picture-input").get_by_label("Take a photo").click()
    page.locator("#picture-input").get_by_title("Click to allow the camera").first.click()
    page.get_by_label("Take the photo").click()
    expect(answer(page)).to_have_text(re.compile("smoking|Uncertain", re.I))


def test_an_error_takes_the_place_of_the_answer_before(visit, samples, tmp_path):
    page = visit()
    (tmp_path / "notes.jpg").write_text("no picture")
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_be_visible()
    upload(page, tmp_path / "notes.jpg", replace=True)
    expect(page.locator("#result")).to_have_text("This file is no picture in a known format.")


def test_an_uncertain_answer_is_told_as_such(visit, samples, tmp_path):
    from edge_app.decision import Decision, append_decision

    model = tmp_path / "unsure.tflite"
    model.write_bytes(SHIPPED_INT8.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the later one of a name counts
        append_decision(str(model), Decision(uncertain=(0.0, 1.0)))
    with served(tmp_path / "web", "--model", str(model)) as url:
        page = visit(url)
        upload(page, samples / "coffee.jpg")
        expect(answer(page)).to_have_text("Uncertain")
        means = page.locator("#result .means").filter(visible=True)
        expect(means).to_contain_text("Look for yourself")
        open_tab(page, ABOUT)
        about = page.get_by_role("tabpanel")
        expect(about.filter(visible=True)).to_contain_text("from 0.0% to 100.0% are shown as")


@pytest.mark.parametrize("locale", ["en-US", "id-ID"])
def test_an_answer_by_the_visitors_own_threshold_is_named_as_theirs(
    visit, samples, classifier, locale
):
    page, language = visit(locale=locale), locale[:2]

    def say(key, **values):
        return text(language, key, **values)

    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_be_visible()
    by_model = answer(page).text_content()
    threshold = percent(language, classifier.info.decision.threshold)
    note = page.locator("#result .threshold-note")
    expect(note).to_have_text(say("threshold_here", threshold=threshold))
    slider = page.locator("#threshold input[type=range]")
    slider.focus()
    page.keyboard.press("Home")
    zero = percent(language, 0)
    expect(answer(page)).to_have_text(say("own_above", threshold=zero))
    expect(note).to_have_text(say("own_threshold", threshold=zero, model=threshold))
    means = page.locator("#result .means").filter(visible=True)
    expect(means).to_contain_text(by_model)
    page.keyboard.press("End")  # the same answer as the model's
    expect(answer(page)).to_have_text(by_model)
    open_tab(page, HISTORY)
    told = page.get_by_role("tabpanel").filter(visible=True)
    expect(told).to_contain_text(say("model_threshold", threshold=threshold))


def test_a_score_below_the_visitors_own_threshold_is_not_called_clear(visit, samples):
    page = visit()
    upload(page, samples / "smoking.jpg")
    expect(answer(page)).to_have_text("Smoking")
    page.locator("#threshold input[type=range]").focus()
    page.keyboard.press("End")
    expect(answer(page)).to_have_text("Below your threshold of 100.0%")
    page.get_by_role("button", name="Bahasa Indonesia").click()
    expect(answer(page)).to_have_text("Di bawah ambang Anda, 100,0%")
    expect(page.locator("#result .means").filter(visible=True)).to_contain_text("Merokok")


def test_picture_with_map_and_result_card_can_be_saved(visit, samples):
    page = visit()
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_be_visible()
    sizes = {}
    for what, label in (("map", "Save picture with map"), ("card", "Save result card")):
        with page.expect_download() as download:
            page.get_by_role("button", name=label).click()
        with Image.open(download.value.path()) as image:
            sizes[what] = image.size
            assert len(image.convert("RGB").getcolors(1_000_000) or "many") > 1000
    assert max(sizes["map"]) == 600 or max(sizes["map"]) == 640
    assert sizes["card"][1] > sizes["map"][1]


@pytest.mark.parametrize(
    ("form", "told"), [("TIFF", "image/tiff"), ("HEIF", "application/octet-stream")]
)
def test_a_format_that_the_browser_cannot_show_gets_the_servers_preview(visit, samples, form, told):
    """Most browsers on a desk know no type for HEIC, which Gradio alone would refuse."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    with Image.open(samples / "coffee.jpg") as image:
        image.save(buffer, form)
    page = visit()
    upload(page, {**as_upload(f"a.{form.lower()}", buffer.getvalue()), "mimeType": told})
    expect(answer(page)).to_be_visible()
    page.wait_for_function("document.querySelector('#picture-input img[alt]')?.naturalWidth > 100")


def test_a_file_that_is_too_large_is_not_sent_and_the_next_one_is_answered(
    visit, samples, tmp_path
):
    page, sent = visit(locale="id-ID"), []
    page.on("request", lambda request: sent.append(request.url))
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(26_000_000)
    upload(page, tmp_path / "large.jpg")
    expect(page.locator("#result")).to_have_text(TEXTS["id"]["error_large"].format(mb=25))
    assert [url for url in sent if "/upload" in url] == []
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_be_visible()


def test_without_a_connection_it_says_so_and_goes_on_afterwards(visit, samples):
    page = visit(locale="id-ID")
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_be_visible()
    page.context.set_offline(True)
    page.get_by_label("Hapus gambar").click()
    # In the place of the answer; over it where the history was still under way.
    said = page.get_by_text(TEXTS["id"]["g_lost"]).filter(visible=True)
    expect(said).to_have_count(1)
    page.context.set_offline(False)
    expect(page.locator("#result")).to_have_text(TEXTS["id"]["empty"])  # it has loaded itself again
    wait_until_ready(page)
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_be_visible()


def test_on_a_phone_the_answer_comes_into_view(visit, samples):
    page = visit(viewport={"width": 390, "height": 664}, has_touch=True, is_mobile=True)
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_be_in_viewport()
    assert "Ctrl+V" not in page.locator("body").inner_text()


@pytest.mark.parametrize("name", ["index-*.js", "Blocks-*.js", "Image-*.js"])
def test_where_a_file_of_the_page_does_not_arrive_it_is_loaded_again(browser, site, name):
    """As on a bad connection. Gradio's own page then stays empty forever."""
    context = browser.new_context(locale="id-ID")
    page, lost = context.new_page(), []
    page.set_default_timeout(WAIT)

    def lose_the_first(route):
        lost.append(route.request.url)
        route.abort() if len(lost) == 1 else route.continue_()

    page.route(f"**/assets/{name}", lose_the_first)
    page.goto(site)
    expect(page.locator("#arrival")).to_have_text("Sebagian halaman belum sampai. Mencoba lagi...")
    wait_until_ready(page)
    context.close()
    assert len(lost) >= 2


def test_where_a_file_of_the_page_never_arrives_it_says_so_and_stops(browser, site):
    context, loads = browser.new_context(locale="en-US"), []
    context.add_init_script("history.replaceState({loads: 5}, '')")  # four times in vain
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.route("**/assets/index-*.js", lambda route: (loads.append(route), route.abort()))
    page.goto(site)
    expect(page.locator("#arrival")).to_have_text(TEXTS["en"]["arrival_never"])
    context.close()
    assert len(loads) == 1


def test_in_a_space_it_asks_no_other_server_and_the_console_has_no_error(visit, tmp_path):
    variables = {"SYSTEM": "spaces", "SPACE_ID": "user/name", "SPACE_HOST": "user-name.hf.space"}
    space = {**space_under_test(), **variables}
    with served(tmp_path / "web", **space) as url:
        page = visit(url)
        said = []
        page.on("console", lambda message: said.append((message.type, message.text)))
        page.reload()
        wait_until_ready(page)
        page.get_by_role("button", name="Cup of coffee").click()
        wrong = page.get_by_role("link", name="This is wrong")
        expect(wrong).to_have_attribute("href", re.compile("spaces/user/name/discussions/new"))
    assert [text for kind, text in said if kind == "error"] == []
