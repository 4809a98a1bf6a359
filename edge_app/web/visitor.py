"""What every tab needs of a visitor's request: the language, and a friendly no."""

from __future__ import annotations

import html

import gradio as gr

from edge_app.imaging import PictureError
from edge_app.web.pool import Answer, Pool
from edge_app.web.texts import TEXTS, language_of, percent, text
from edge_app.web.uploads import LimitError


def language_in(request: gr.Request) -> str:
    """The language that the visitor chose on the page, or else that of the browser."""
    chosen = request.query_params.get("lang")
    return chosen if chosen in TEXTS else language_of(request.headers.get("accept-language"))


def classify_or_tell(
    pool: Pool, source: str | bytes, language: str, preview: bool = True
) -> Answer:
    """Classifies a file as `Pool.classify` does.

    Raises:
        gradio.Error: why not, in the visitor's language.
    """
    try:
        return pool.classify(source, preview)
    except (LimitError, PictureError) as error:
        raise gr.Error(reason(error, language), print_exception=False) from None


def reason(error: LimitError | PictureError, language: str) -> str:
    """Why a file was not classified, in a sentence for the visitor."""
    if isinstance(error, LimitError):
        return text(language, error.key, **error.values)
    what = str(error).partition(" (")[0]  # the words of a decoder do not help here
    return text(language, "error_picture", reason=text(language, what))


def note(key: str, kind: str = "", /, **values: object) -> str:
    """A sentence in a paragraph of its own, in English: ``language.js`` translates it."""
    return f'<p class="{f"note {kind}".strip()}">{html.escape(text("en", key, **values))}</p>'


def model_threshold(pool: Pool) -> str:
    """A note where answers do not follow the threshold slider of the Picture tab."""
    return note("model_threshold", threshold=percent("en", pool.info.decision.threshold))
