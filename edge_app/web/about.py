"""The About tab: what the model file and its evaluation say, never repeated here."""

from __future__ import annotations

import html
import json

from edge_app.classifier import ModelInfo
from edge_app.web.texts import text


def about(language: str, info: ModelInfo) -> str:
    """The essentials of the model card, as HTML.

    The figures come from ``evaluation/evaluation.json`` beside the model, if it is of this file.
    """

    def say(key: str, **values: object) -> str:
        return html.escape(text(language, key, **values))

    runs = say(
        "about_runs",
        name=info.metadata.name,
        version=info.metadata.version,
        size=info.size,
        megabytes=f"{info.path.stat().st_size / 1e6:.1f}",
        runtime=info.runtime,
    )
    threshold = say("threshold", threshold=f"{info.decision.threshold:g}")
    return (
        f'<div class="about"><section><h2>{say("about_model")}</h2><p>{runs}. {threshold}</p>'
        f'<p class="took">SHA-256 <code>{info.sha256}</code></p></section>{_figures(say, info)}'
        f"<section><h2>{say('about_limits')}</h2><p>{say('about_limits_text')}</p></section>"
        f"<section><h2>{say('about_privacy')}</h2><p>{say('about_privacy_text')}</p></section></div>"
    )


def _figures(say, info: ModelInfo) -> str:
    try:
        file = info.path.parent / "evaluation" / "evaluation.json"
        evaluation = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""  # a model of the user's own
    if evaluation["sha256"] != info.sha256:
        return ""
    rows = []
    for name, result in evaluation["datasets"].items():
        wanted, other = (
            result["classes"][label] for label in (info.decision.label, info.other_label)
        )
        rows.append(
            f'<tr><th scope="row">{html.escape(name)}</th><td>{result["pictures"]}</td>'
            f"<td>{result['accuracy']:.1%}</td><td>{_share(wanted['recall'], wanted)}</td>"
            f"<td>{_share(1 - other['recall'], other)}</td></tr>"
        )
    heads = ("about_set", "about_pictures", "about_accuracy", "about_recall", "about_false")
    head = "".join(f'<th scope="col">{say(key)}</th>' for key in heads)
    return (
        f"<section><h2>{say('about_figures')}</h2><p>{say('about_figures_note')}</p>"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{say("about_figures")}">'
        f"<table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _share(value: float, group: dict) -> str:
    return f"{value:.1%}" if group["pictures"] else "-"
