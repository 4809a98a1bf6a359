"""The cameras of a run from a TOML file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from edge_app.files import printable, read_small
from edge_app.invocation import install_hint
from edge_app.live.camera import Camera
from edge_app.live.zone import Zone, corners

_KEYS = {"name", "source", "region", "mask", "threshold", "fps"}
_SHARED = {"threshold", "fps"}


def read_cameras(path: Path) -> list[Camera]:
    """Reads the cameras of a file such as::

        fps = 5                     # of all cameras that say nothing else

        [[camera]]
        name = "Front door"
        source = "rtsp://user:password@192.168.1.20/stream1"
        region = "100,0 500,0 300,400"
        mask = ["0,0,80,40"]
        threshold = 0.6

        [[camera]]
        name = "Yard"
        source = "/dev/video0"

    Raises:
        ValueError: it cannot be read or used; the message names the place and no password.
    """
    try:
        values = _load(path)
        shared = {key: values[key] for key in _SHARED & values.keys()}
        tables = values.get("camera")
        if unknown := sorted(values.keys() - _SHARED - {"camera"}):
            raise ValueError(f"unknown key {unknown[0]!r}; cameras begin with [[camera]]")
        if not isinstance(tables, list) or not tables:
            raise ValueError("no camera in it; each one begins with [[camera]]")
        cameras = [_camera(number, shared, table) for number, table in enumerate(tables, 1)]
        names = [camera.name for camera in cameras]
        if doubled := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two cameras have the name {doubled!r}")
    except ValueError as error:
        raise ValueError(f"{printable(path)}: {error}") from None
    return cameras


def _load(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError:
            raise ValueError(f"on Python 3.10 it needs tomli: {install_hint('live')}") from None
    try:
        return tomllib.loads(read_small(path).decode("utf-8-sig"))  # as Notepad may write it
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"is not TOML: {error}; texts need quotes") from None


def _camera(number: int, shared: dict[str, Any], table: object) -> Camera:
    if not isinstance(table, dict):
        raise ValueError(f"camera {number}: write it as [[camera]] with two brackets")
    values = shared | table
    where = f"camera {number}"
    if unknown := sorted(values.keys() - _KEYS):
        known = ", ".join(sorted(_KEYS))
        raise ValueError(f"{where}: unknown key {unknown[0]!r}; known are {known}")
    if "source" not in values:
        raise ValueError(f"{where}: source is missing")
    source = values["source"]
    if isinstance(source, int) and not isinstance(source, bool) and source >= 0:
        source = str(source)
    if not isinstance(source, str) or not source.strip():
        raise ValueError(f"{where}: source: expected a text in quotes, or a camera's number")
    name = _text(where, "name", values.get("name", f"camera {number}"))
    masks = values.get("mask", [])
    masks = [_place(where, "mask", mask) for mask in (masks if _is_list(masks) else [masks])]
    region = _place(where, "region", values["region"]) if "region" in values else ""
    zone = Zone.parse(region, masks) if region or masks else None
    fps = _number(where, "fps", values.get("fps"), 0.001, 1000)
    return Camera(
        source, name, fps, zone, _number(where, "threshold", values.get("threshold"), 0, 1)
    )


def _is_list(value: object) -> bool:
    """Whether it is a list of texts; one of numbers is a mask that lacks its quotes."""
    return isinstance(value, list) and not any(isinstance(one, (int, float)) for one in value)


def _place(where: str, key: str, value: object) -> str:
    text = _text(where, key, value)
    try:
        corners(text)
    except ValueError as error:
        raise ValueError(f"{where}: {key}: {error}") from None
    return text


def _text(where: str, key: str, value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value
    example = ""
    if isinstance(value, list):
        example = f', as {key} = "{",".join(str(one) for one in value)}"'
    raise ValueError(f"{where}: {key}: expected a text in quotes{example}")


def _number(where: str, key: str, value: object, low: float, high: float) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator]
        raise ValueError(f"{where}: {key}: expected a number from {low:g} to {high:g}")
    return float(value)  # type: ignore[arg-type]
