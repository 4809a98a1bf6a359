"""The pieces that the page is made of: cards, tables, texts, and a visitor's history."""

import dataclasses
import json
import re

import numpy as np
import pytest
from conftest import ROOT

pytest.importorskip("gradio", reason="needs requirements-web.txt")


def test_the_evidence_is_red_where_it_speaks_for_smoking():
    from edge_app.web.evidence import draw_evidence

    evidence = np.zeros((7, 7), np.float32)
    evidence[0, 0], evidence[6, 6] = 4, -4
    drawn = np.asarray(draw_evidence(evidence))
    red, blue, nothing = drawn[4, 4], drawn[-4, -4], drawn[112, 112]
    assert red[0] > red[2] and blue[2] > blue[0]
    assert red[3] > 200 and blue[3] > 200 and nothing[3] == 0


@pytest.mark.parametrize(
    ("label", "uncertain", "kind", "said"),
    [
        ("Smoking", False, "found", "Merokok"),
        ("NotSmoking", False, "clear", "Tidak merokok"),
        ("Smoking", True, "unsure", "Tidak pasti"),
    ],
)
def test_each_kind_of_answer_has_its_own_card(classifier, samples, label, uncertain, kind, said):
    from edge_app import Prediction
    from edge_app.imaging import read_thumbnail
    from edge_app.web.cards import result_card
    from edge_app.web.pool import UNCERTAIN, Answer, Pool
    from edge_app.web.texts import TEXTS

    evidence = np.linspace(-3, 3, 49, dtype=np.float32).reshape(7, 7)
    prediction = Prediction(label, 0.8123, 0.8123, uncertain=uncertain, evidence=evidence)
    pool, shown = Pool(classifier), UNCERTAIN if uncertain else label
    preview = read_thumbnail(samples / "coffee.jpg", 200)
    assert pool.kind(shown) == kind
    card = result_card("id", pool, Answer(prediction, shown, kind, 12.0, preview))
    assert f'class="result {kind}"' in card
    assert f"</svg>{said}</p>" in card
    assert "81,2%" in card
    assert TEXTS["id"][f"means_{kind}"] in card
    assert "data:image/png;base64," in card


def test_about_tells_what_the_model_and_its_evaluation_say(classifier):
    from edge_app.decision import Decision
    from edge_app.web.about import about
    from edge_app.web.texts import TEXTS

    told = about("en", classifier.info)
    evaluation = json.loads((ROOT / "models" / "evaluation" / "evaluation.json").read_text())
    for name, result in evaluation["datasets"].items():
        folder, comma, split = name.partition(",")
        row = f'<span>{TEXTS["en"][f"set_{folder}"]}</span><span translate="no">{comma}{split}'
        figures = f"</th><td>{result['pictures']}</td><td>{result['accuracy']:.1%}"
        assert f"{row}</span>{figures}" in told
    assert told.index("are optimistic") < told.index("<table>")
    assert classifier.info.sha256 in told
    assert "<details>" in told  # the known failures of the card
    other = dataclasses.replace(
        classifier.info, sha256="another", decision=Decision(uncertain=(0.25, 0.75))
    )
    told = about("en", other)
    assert "from 25.0% to 75.0%" in told
    assert "<table>" not in told and "<details>" not in told  # they are of another file


def test_both_languages_say_the_same_things():
    from edge_app.web.texts import TEXTS, language_of

    assert TEXTS["en"].keys() == TEXTS["id"].keys()
    for key, sentence in TEXTS["en"].items():
        holes = re.findall(r"{\w+}", sentence)
        assert sorted(re.findall(r"{\w+}", TEXTS["id"][key])) == sorted(holes), key
    assert [language_of(code) for code in ("id-ID,en", "de,en-GB", None)] == ["id", "en", "en"]


def test_the_history_is_bounded_in_number_and_bytes():
    from edge_app.web.history import MOST_BYTES, MOST_ENTRIES, Entry, History

    history = History()
    for number in range(MOST_ENTRIES + 5):
        history.add(Entry(f"{number}", b"x", "Smoking"))
    assert len(history.entries) == MOST_ENTRIES
    assert history.entries[0].name == f"{MOST_ENTRIES + 4}"
    for _ in range(4):
        history.add(Entry("large", bytes(MOST_BYTES // 3 - 5), "NotSmoking"))
    assert len(history.entries) == 3
    assert history.of("Smoking") == []


def test_the_histories_of_all_visitors_together_have_a_limit(monkeypatch):
    from edge_app.web import history

    monkeypatch.setattr(history, "MOST_BYTES_ALL", 1000)
    first, second = history.History(), history.History()
    first.add(history.Entry("a", bytes(600), "Smoking"))
    second.add(history.Entry("b", bytes(600), "Smoking"))
    assert first.entries == []
    assert [entry.name for entry in second.entries] == ["b"]


@pytest.mark.parametrize(
    "name",
    [
        "=cmd()",
        "=cmd()|x.jpg",
        "a;=cmd()",
        " =cmd()",
        "\uff1dcmd()",
        "\uff0b1+1",
        "@x",
        "a\n=cmd()",
        '"=cmd()',
    ],
)
def test_no_spreadsheet_runs_a_name(name):
    from edge_app.web.history import Entry
    from edge_app.web.spreadsheet import to_csv

    row = to_csv([Entry(name, shown="Smoking")]).splitlines()[1]
    assert row.startswith("\"'")
    assert row.count('","') == 5


def test_table_and_gallery_give_the_same_named_score():
    from edge_app.web.history import Entry
    from edge_app.web.results import gallery, results_table

    entry = Entry("a.jpg", b"", "NotSmoking", "clear", confidence=0.992, smoking=0.008)
    table = results_table("id", "Smoking", [entry])
    pictures = gallery("id", "Smoking", [entry])
    assert 'data-label="skor untuk Merokok" data-value="0.008000">0,8%' in table
    assert "Skor untuk Merokok: 0,8%" in pictures
    assert "99,2%" not in table + pictures


@pytest.mark.parametrize("share", [1, 0.9])
def test_a_picture_of_which_a_part_is_missing_is_marked_everywhere(classifier, samples, share):
    from edge_app.web.cards import result_card
    from edge_app.web.history import make_entry
    from edge_app.web.pool import Pool
    from edge_app.web.results import gallery, results_table
    from edge_app.web.spreadsheet import to_csv
    from edge_app.web.texts import TEXTS

    content, pool = (samples / "coffee.jpg").read_bytes(), Pool(classifier)
    answer = pool.classify(content[: int(share * len(content))])
    entry = make_entry("a.jpg", answer)
    is_cut = share < 1
    for language, words in TEXTS.items():
        sentence, mark = f">{words['incomplete']}<", f">{words['incomplete_mark']}<"
        assert (sentence in result_card(language, pool, answer)) == is_cut
        assert (mark in results_table(language, "Smoking", [entry])) == is_cut
        assert (mark in gallery(language, "Smoking", [entry])) == is_cut
    head, row = (line.split(",") for line in to_csv([entry]).splitlines())
    assert row[head.index('"incomplete"')] == f'"{int(is_cut)}"'
