"""Griffe extension: examples in docstrings become code blocks; Markdown sees quotations in them."""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)


class Doctests(griffe.Extension):
    """Puts every paragraph that begins with ``>>>`` into a fence."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        objects: list[griffe.Object] = [pkg]
        while objects:
            current = objects.pop()
            if current.docstring:
                current.docstring.value = _EXAMPLE.sub(
                    r"```pycon\n\g<0>\n```", current.docstring.value
                )
            objects += [member for member in current.members.values() if not member.is_alias]
