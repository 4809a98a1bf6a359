"""The page in a real browser for everyone: languages, keyboard, screen readers, small screens."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
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


def test_switching_the_language_keeps_the_rest_of_the_address(visit, site):
    page = visit(f"{site}?__theme=dark&__sign=abc&lang=en")
    page.get_by_role("button", name="Bahasa Indonesia").click()
    expect(page.locator("h1")).to_have_text("Apakah orang di gambar ini sedang merokok?")
    query = urlsplit(page.url).query
    assert "__theme=dark" in query and "__sign=abc" in query and "lang=id" in query
    page.reload()
    wait_until_ready(page)
    expect(page.locator("h1")).to_have_text("Apakah orang di gambar ini sedang merokok?")


@pytest.mark.parametrize("here", ["en", "id"])
def test_every_sentence_finds_its_translation(visit, site, here):
    """Each sentence of one language, with values in it, becomes that of the other in place."""
    from edge_app.web.texts import GRADIO, TEXTS

    there = {"en": "id", "id": "en"}[here]
    values = dict.fromkeys(re.findall(r"{(\w+)}", " ".join(TEXTS["en"].values())), "7")
    said = {key: sentence.format(**values) for key, sentence in TEXTS[here].items()}
    page = visit(f"{site}?lang={here}")
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
    choose_for_batch(page, as_upload(name, b"no picture"), as_upload("b.jpg", b"no picture"))
    cross = page.locator("#batch-input .label-clear-button").last.bounding_box()
    assert min(cross["width"], cross["height"]) >= 44 and cross["x"] + cross["width"] <= width
    page.locator("#batch-run").click()
    expect(page.locator("#batch-table")).to_contain_text(name)
    cell = page.locator("#batch-table td").first
    expect(cell).to_have_css("display", "grid" if width < 560 else "table-cell")
    for number in (PICTURE, LIVE, BATCH, HISTORY, ABOUT):
        open_tab(page, number)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = page.locator(".gallery figure, .scroll")
        assert boxes.evaluate_all("all => all.filter(e => e.scrollWidth > e.clientWidth)") == []


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
