"""Files of a newer Keras: arguments that the installed version does not know."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

_OF_OBJECT = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")
_OF_LAYER = re.compile(r"Unrecognized keyword arguments passed to (\w+): (\{.*?\})")


def leave_out_unknown(config: object, error: BaseException) -> list[str]:
    """Takes arguments that Keras has just refused out of a model's description.

    Only those that change nothing: without a value, such as ``"input_axes": null`` of Keras 3.15's
    initializers, switched off, such as ``"renorm": false``, or belonging to such a switch, such as
    ``"renorm_momentum": 0.99``.

    Args:
        config: the description of the model; changed in place.
        error: what loading it raised.

    Returns:
        The arguments that were left out, as ``Class.name``; empty without any, or where one of
        them has a meaning.
    """
    refused = _refused(str(error))
    if refused is None:
        return []
    kind, names = refused
    found = [part for part in _configs_of(config, kind) if names & part.keys()]
    if not all(_is_off(part, name, names) for part in found for name in names & part.keys()):
        return []
    for part in found:
        for name in names:
            part.pop(name, None)
    return [f"{kind}.{name}" for name in sorted(names)] if found else []


def _refused(message: str) -> tuple[str, set[str]] | None:
    """Which class refused which arguments, by the innermost of the errors that Keras nests."""
    if layers := _OF_LAYER.findall(message):
        kind, arguments = layers[-1]
        try:
            return kind, set(ast.literal_eval(arguments))
        except (ValueError, SyntaxError):
            return None
    if objects := _OF_OBJECT.findall(message):
        kind, name = objects[-1]
        return kind, {name}
    return None


def _is_off(part: dict[str, Any], name: str, names: set[str]) -> bool:
    switches = [other for other in names if name.startswith(f"{other}_")]
    return part[name] is None or part[name] is False or any(part[s] is False for s in switches)


def _configs_of(config: object, kind: str) -> Iterator[dict[str, Any]]:
    """The arguments of every object of a class, at any depth."""
    if isinstance(config, dict):
        inner = config.get("config")
        if config.get("class_name") == kind and isinstance(inner, dict):
            yield inner
        for part in config.values():
            yield from _configs_of(part, kind)
    elif isinstance(config, list):
        for part in config:
            yield from _configs_of(part, kind)
