"""The page in a real browser: what a visitor does, sees, and never sees."""

import io
import json
import re
import warnings
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import SHIPPED_INT8
from PIL import Image
from webpage import WAIT, chromium, served, space_under_test

playwright_api = pytest.importorskip("playwright.sync_api", reason="needs requirements-dev.txt")
pytest.importorskip("gradio", reason="needs requirements-web.txt")
expect = playwright_api.expect
expect.set_options(timeout=WAIT)

PICTURE, LIVE, BATCH, HISTORY, ABOUT = range(5)


@pytest.fixture(scope="module")
def temporary(tmp_path_factory):
    """Where the page keeps what visitors upload."""
    return tmp_path_factory.mktemp("temporary") / "web"


@pytest.fixture(scope="module")
def url(temporary):
    with served(temporary, **space_under_test()) as address:
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
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            outside.append(request.url)

    def open_page(address=url, **options):
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
    assert outside == []
    assert errors == []


@pytest.fixture(scope="session")
def words(classifier):
    """The answer expected on the page for a picture, taken from the model itself."""
    from edge_app.web.pool import UNCERTAIN
    from edge_app.web.texts import TEXTS

    def words_of(path, language="en"):
        prediction = classifier.classify(path)
        return TEXTS[language][UNCERTAIN if prediction.uncertain else prediction.label]

    return words_of


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
    assert rows[0] == '"file","answer","confidence","smoking","error"'
    assert len(rows) == 4
    smoking = classifier.classify(samples / "coffee.jpg").smoking
    assert rows[2].startswith('"inner/coffee.jpg",') and f"{smoking:.4f}" in rows[2]

    open_tab(page, HISTORY)
    expect(page.locator("#history-gallery li")).to_have_count(2)


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


def test_an_indonesian_browser_gets_indonesian_and_may_switch(visit, samples, words):
    page = visit(locale="id-ID")
    expect(page.locator("h1")).to_have_text("Apakah orang di gambar ini sedang merokok?")
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_have_text(words(samples / "coffee.jpg", "id"))
    tabs = ["Gambar", "Langsung", "Massal", "Riwayat", "Tentang"]
    assert page.get_by_role("tab").all_inner_texts() == tabs
    assert page.evaluate("document.documentElement.lang") == "id"
    page.get_by_role("button", name="English").click()
    expect(page.locator("h1")).to_have_text("Is the person in this picture smoking?")
    expect(answer(page)).to_have_text(words(samples / "coffee.jpg"))  # it is still there
    assert page.evaluate("document.documentElement.lang") == "en"
    upload(page, samples / "astronaut.jpg", replace=True)  # the server's words follow
    expect(answer(page)).to_have_text(words(samples / "astronaut.jpg"))
    open_tab(page, HISTORY)
    expect(page.locator("#history-gallery li")).to_have_count(2)


@pytest.mark.parametrize(
    ("locale", "language", "word"),
    [("id-ID", "id", "Pilih berkas"), ("de-DE", "en", "Choose a file")],
)
def test_gradios_own_words_are_in_the_language_of_the_page(visit, locale, language, word):
    page = visit(locale=locale)
    expect(page.locator("#picture-input")).to_contain_text(word)
    assert page.evaluate("document.documentElement.lang") == language


def test_switching_the_language_keeps_the_rest_of_the_address(visit, url):
    page = visit(f"{url}?__theme=dark&__sign=abc&lang=en")
    page.get_by_role("button", name="Bahasa Indonesia").click()
    expect(page.locator("h1")).to_have_text("Apakah orang di gambar ini sedang merokok?")
    query = urlsplit(page.url).query
    assert "__theme=dark" in query and "__sign=abc" in query and "lang=id" in query
    page.reload()
    wait_until_ready(page)
    expect(page.locator("h1")).to_have_text("Apakah orang di gambar ini sedang merokok?")


@pytest.mark.parametrize("here", ["en", "id"])
def test_every_sentence_finds_its_translation(visit, url, here):
    """Each sentence of one language, with values in it, becomes that of the other in place."""
    from edge_app.web.texts import GRADIO, TEXTS

    there = {"en": "id", "id": "en"}[here]
    values = dict.fromkeys(re.findall(r"{(\w+)}", " ".join(TEXTS["en"].values())), "7")
    said = {key: sentence.format(**values) for key, sentence in TEXTS[here].items()}
    page = visit(f"{url}?lang={here}")
    page.evaluate(
        """said => {
            const box = document.createElement("div");
            box.id = "said";
            for (const [key, words] of Object.entries(said))
                box.append(Object.assign(document.createElement("p"),
                    {id: `s-${key}`, textContent: words}));
            document.querySelector("main").append(box);
        }""",
        {
            **{key.replace(" ", "_"): words for key, words in said.items()},
            **{f"gradio{number}": words for number, words in enumerate(GRADIO)},
        },
    )
    page.evaluate(f"page.choose('{there}')")
    for key, sentence in TEXTS[there].items():
        found = page.locator(f"[id='s-{key.replace(' ', '_')}']").text_content()
        assert found == sentence.format(**values), key
    for number, key in enumerate(GRADIO.values()):
        assert page.locator(f"#s-gradio{number}").text_content() == TEXTS[there][key]


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


def test_the_visitors_own_threshold_changes_the_answer_in_place(visit, samples):
    page = visit()
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_be_visible()
    slider = page.locator("#threshold input[type=range]")
    slider.focus()
    page.keyboard.press("Home")
    expect(answer(page)).to_have_text("Smoking")
    page.keyboard.press("End")
    expect(answer(page)).to_have_text("Not smoking")


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


@pytest.mark.parametrize("form", ["TIFF", "HEIF"])
def test_a_format_that_the_browser_cannot_show_gets_the_servers_preview(visit, samples, form):
    import pillow_heif

    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    with Image.open(samples / "coffee.jpg") as image:
        image.save(buffer, form)
    page = visit()
    upload(page, {**as_upload(f"a.{form.lower()}", buffer.getvalue()), "mimeType": "image/tiff"})
    expect(answer(page)).to_be_visible()
    page.wait_for_function("document.querySelector('#picture-input img[alt]')?.naturalWidth > 100")


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
    open_tab(page, HISTORY)
    open_tab(page, LIVE)
    expect(button).to_have_text("Record")


def test_a_zip_without_pictures_and_an_empty_batch_say_so_in_place(visit):
    page = visit(locale="id-ID")
    open_tab(page, BATCH)
    page.locator("#batch-run").click()
    message = page.locator("#batch-message")
    expect(message).to_have_text("Pilih gambar atau berkas ZIP terlebih dahulu.")
    choose_for_batch(page, as_upload("a.zip", zipped([("a.txt", b"x")])))
    page.locator("#batch-run").click()
    expect(message).to_have_text("Tidak ada gambar di dalam berkas ZIP ini.")


def test_on_a_phone_the_answer_comes_into_view(visit, samples):
    page = visit(viewport={"width": 390, "height": 664}, has_touch=True, is_mobile=True)
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_be_in_viewport()
    assert "Ctrl+V" not in page.locator("body").inner_text()


def test_the_about_tab_has_the_figures_of_the_evaluation(visit):
    page = visit()
    open_tab(page, ABOUT)
    evaluation = json.loads((SHIPPED_INT8.parent / "evaluation" / "evaluation.json").read_text())
    for name, result in evaluation["datasets"].items():
        row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))
        expect(row.first).to_contain_text(f"{result['accuracy']:.1%}")
    page.locator(".about summary").click()
    expect(page.locator(".about details li").first).to_be_visible()


def test_the_keyboard_alone_reaches_tabs_and_examples(visit, samples, words):
    page = visit()
    page.get_by_role("tab").first.wait_for()

    def tab_until(selector):
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({json.dumps(selector)})"):
                return
        raise AssertionError(f"{selector} cannot be reached by the Tab key")

    tab_until("#header nav button")
    tab_until("[role=tab]")
    tab_until("#examples button")
    page.keyboard.press("Enter")
    expect(answer(page)).to_be_visible()


@pytest.mark.parametrize(("width", "locale"), [(320, "id-ID"), (360, "en-US"), (768, "en-US")])
def test_nothing_is_wider_than_a_small_screen(visit, samples, width, locale):
    page = visit(viewport={"width": width, "height": 780}, has_touch=True, locale=locale)
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_be_visible()
    box = answer(page).bounding_box()
    assert 0 <= box["x"] < box["x"] + box["width"] <= width
    name = "a picture whose name is far longer than a phone is wide, and then some.jpg"
    choose_for_batch(page, as_upload(name, b"no picture"))
    page.locator("#batch-run").click()
    expect(page.locator("#batch-table")).to_contain_text(name)
    for number in (PICTURE, LIVE, BATCH, HISTORY, ABOUT):
        open_tab(page, number)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-US"), ("dark", "id-ID")])
def test_axe_finds_nothing_on_any_tab_after_use(visit, samples, scheme, locale):
    axe = pytest.importorskip("axe_playwright_python", reason="needs requirements-dev.txt")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text()
    page = visit(color_scheme=scheme, reduced_motion="reduce", locale=locale)
    assert page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
    upload(page, samples / "coffee.jpg")
    expect(answer(page)).to_be_visible()
    choose_for_batch(page, samples / "coffee.jpg")
    page.locator("#batch-run").click()
    expect(page.locator("#batch-gallery li figure")).to_have_count(1)
    page.evaluate(script)
    found = []
    for number in (PICTURE, LIVE, BATCH, HISTORY, ABOUT):
        open_tab(page, number)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found += [
            (number, violation["id"], node["html"][:160], node["failureSummary"][:160])
            for violation in result["violations"]
            for node in violation["nodes"]
        ]
    assert found == []


def test_the_page_about_the_api_stays_on_the_machine_too(visit):
    page = visit()
    page.get_by_role("button", name="Use via API").click()
    expect(page.get_by_text("/classify").filter(visible=True).first).to_be_visible()
