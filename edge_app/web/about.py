"""The About tab: what the model file, its evaluation and its card say, never repeated here."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_app.classifier import ModelInfo
from edge_app.web.markup import sentences
from edge_app.web.texts import TEXTS, decimal, percent
from edge_app.web.uploads import PIXELS

_INHERITED = {
    "smoker, Validation",
    "stanford40, Validation",
    "smoking_wild, Validation",
    "smoking_film, Validation",
}
"""Sets that the weights which the model began with were trained on; see the model card."""


def about(language: str, info: ModelInfo) -> str:
    """The essentials of the model card, as HTML.

    The figures come from ``evaluation/evaluation.json`` beside the model, if it is of this file,
    and the known failures from ``README.md`` beside it.
    """
    say = sentences(language)
    figures = _figures(language, say, info)
    model = " ".join(f"<span>{sentence}</span>" for sentence in _model(language, say, info))
    limits = "about_limits_text" if info.decision.label == "Smoking" else "about_limits_other"
    return (
        f'<div class="about">{figures}'
        f"<section><h2>{say('about_limits')}</h2><p>{say(limits)}</p>"
        f"<p>{say('limits_pixels', **PIXELS)}</p>"
        f"{_failures(say, info.path.parent) if figures else ''}</section>"
        f"<section><h2>{say('about_model')}</h2><p>{model}</p>"
        f'<p class="took">SHA-256 <code>{info.sha256}</code></p></section>'
        f"<section><h2>{say('about_privacy')}</h2><p>{say('about_privacy_text')}</p></section></div>"
    )


def megabytes(language: str, info: ModelInfo) -> str:
    """The size of the model file."""
    return decimal(language, f"{info.path.stat().st_size / 1e6:.1f}")


def _model(language: str, say: Callable[..., str], info: ModelInfo) -> list[str]:
    runs = say(
        "about_runs",
        name=info.metadata.name,
        version=info.metadata.version,
        size=info.size,
        megabytes=megabytes(language, info),
        runtime=info.runtime,
    )
    decision = info.decision
    threshold = percent(language, decision.threshold)
    called = say("threshold", threshold=threshold)
    if decision.label != "Smoking":
        called = say("threshold_other", threshold=threshold, label=decision.label)
    told = [runs, called]
    if decision.uncertain is not None:
        low, high = (percent(language, score) for score in decision.uncertain)
        told.append(say("band", low=low, high=high))
    return told


def _figures(language: str, say: Callable[..., str], info: ModelInfo) -> str:
    try:
        file = info.path.parent / "evaluation" / "evaluation.json"
        evaluation = json.loads(file.read_text(encoding="utf-8"))
        if evaluation["sha256"] != info.sha256:
            return ""
        return _table(language, say, info, evaluation)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""  # a model of the user's own, or an evaluation in a format that is not ours


def _table(
    language: str, say: Callable[..., str], info: ModelInfo, evaluation: dict[str, Any]
) -> str:
    def share(value: float, group: dict[str, Any]) -> str:
        return percent(language, value) if group["pictures"] else "-"

    rows = []
    for name, result in evaluation["datasets"].items():
        wanted, other = (
            result["classes"][label] for label in (info.decision.label, info.other_label)
        )
        rows.append(
            f'<tr><th scope="row">{_set(say, name)}</th>'
            f"<td>{result['pictures']}</td>"
            f"<td>{percent(language, result['accuracy'])}</td>"
            f"<td>{share(wanted['recall'], wanted)}</td>"
            f"<td>{share(1 - other['recall'], other)}</td></tr>"
        )
    inherited = _INHERITED & evaluation["datasets"].keys()
    note = f"<p>{say('about_figures_note')}</p>" if inherited else ""
    heads = ("about_set", "pictures", "about_accuracy", "about_recall", "about_false")
    head = "".join(f'<th scope="col">{say(key)}</th>' for key in heads)
    return (
        f"<section><h2>{say('about_figures')}</h2>{note}"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{say("about_figures")}">'
        f"<table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _set(say: Callable[..., str], name: str) -> str:
    """The name of a data set for readers; that of its folder where we know none."""
    folder, comma, split = name.partition(",")
    key = f"set_{folder}"
    words = f"<span>{say(key)}</span>" if key in TEXTS["en"] else html.escape(folder)
    return f'{words}<span translate="no">{html.escape(comma + split)}</span>'


def _failures(say: Callable[..., str], folder: Path) -> str:
    """The list under "Known failures" in the model card, folded; empty without one."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    section = re.search(r"^## Known failures\n(.*?)(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
    items = re.findall(r"^- (.*(?:\n  .*)*)", section.group(1), re.MULTILINE) if section else []
    if not items:
        return ""
    listed = "".join(f"<li>{_plain(item)}</li>" for item in items)
    return f'<details><summary>{say("about_card")}</summary><ul lang="en">{listed}</ul></details>'


def _plain(markdown: str) -> str:
    """A sentence of Markdown as HTML, its links and marks reduced to their text."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"\s+", " ", markdown))
    return html.escape(re.sub(r"[`*]", "", text))
