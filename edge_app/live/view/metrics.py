"""The run's figures in Prometheus' text format.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from edge_app.live.view.hub import Hub, Seen

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
_STATM = Path("/proc/self/statm")
_PAGE_BYTES = 4096

_OF_CAMERA: tuple[tuple[str, str, str, Callable[[Seen], float]], ...] = (
    ("frames_total", "counter", "Frames classified.", lambda seen: seen.classified),
    (
        *("dropped_frames_total", "counter", "Frames passed over because newer ones came."),
        lambda seen: seen.moment.dropped if seen.moment else 0,
    ),
    ("events_total", "counter", "Events that began.", lambda seen: seen.events),
    ("outages_total", "counter", "Times the source was lost.", lambda seen: seen.outages),
    (
        *("reconnects_total", "counter", "Times the source was restored."),
        lambda seen: seen.outages - (seen.lost is not None),
    ),
    (
        *("connected", "gauge", "1 while the source gives frames."),
        lambda seen: float(seen.moment is not None and seen.lost is None),
    ),
    (
        *("frames_per_second", "gauge", "Frames classified per second."),
        lambda seen: seen.moment.rate if seen.moment and seen.lost is None else 0,
    ),
    (
        *("latency_seconds", "gauge", "From the last frame to its result; NaN without frames."),
        lambda seen: seen.moment.latency if seen.moment and seen.lost is None else math.nan,
    ),
    (
        *("score", "gauge", "Smoothed score, from 0 to 1; NaN while the source gives no frames."),
        lambda seen: seen.moment.smoothed if seen.moment and seen.lost is None else math.nan,
    ),
)


def metrics(hub: Hub) -> str:
    """Returns all figures; a name of a camera is a label."""
    lines = []
    for name, kind, text, value in _OF_CAMERA:
        lines += [f"# HELP smoking_live_{name} {text}", f"# TYPE smoking_live_{name} {kind}"]
        for key, seen in hub.cameras.items():
            label = _escaped(seen.camera.name or key)
            lines.append(f'smoking_live_{name}{{camera="{label}"}} {value(seen):.6g}')
    for name, text, figure in (
        ("watchers", "Pages and streams that are open.", hub.watchers),
        ("temperature_celsius", "Of the processor.", temperature()),
        ("resident_memory_bytes", "Of this process.", _memory()),
    ):
        if figure is not None:
            lines += [f"# HELP smoking_live_{name} {text}", f"# TYPE smoking_live_{name} gauge"]
            lines.append(f"smoking_live_{name} {figure:.12g}")
    return "\n".join(lines) + "\n"


def temperature() -> float | None:
    """Degrees Celsius of the processor; None where the board does not give them."""
    try:
        return int(_THERMAL.read_text()) / 1000
    except (OSError, ValueError):
        return None


def _memory() -> float | None:
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return None


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
