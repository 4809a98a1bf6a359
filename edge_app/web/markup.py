"""What the page's own pieces of HTML share. Every name that a visitor sent is escaped."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable

from edge_app.web.texts import text


def sentences(language: str) -> Callable[..., str]:
    """A function that gives the sentence of a key, escaped, with its values filled in."""
    return lambda key, **values: html.escape(text(language, key, **values))


def icon(kind: str) -> str:
    """A sign beside the colour, for those who do not see the colour."""
    sign = {"found": "M12 7v6m0 3.5v.5", "clear": "m7.5 12.5 3 3 6-7", "unsure": "M8 12h8"}[kind]
    return (
        '<svg class="sign" viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="10"/>'
        f'<path d="{sign}"/></svg>'
    )


def data_url(kind: str, content: bytes) -> str:
    """A file of a media type as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
