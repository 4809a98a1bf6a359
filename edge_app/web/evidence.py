"""The picture under its evidence map, with the region of the second look."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from edge_app.web.markup import data_url
from edge_app.web.pool import Answer, Pool

_CELL = 32
"""Pixels that a cell of the evidence map is drawn with before the browser stretches it."""


def evidence_figure(say: Callable[..., str], pool: Pool, answer: Answer) -> str:
    """The preview with the evidence map and the region of a second look, where there are any."""
    if answer.preview is None:
        return ""
    buffer = io.BytesIO()
    answer.preview.save(buffer, "WEBP", quality=80)
    notes, layers = [], ""
    if answer.prediction.evidence is not None:
        overlay = io.BytesIO()
        draw_evidence(answer.prediction.evidence).save(overlay, "PNG")
        layers += f'<img class="map" alt="" src="{data_url("image/png", overlay.getvalue())}">'
        legend = say("evidence_legend")
        if not pool.is_smoking:
            legend = say("evidence_legend_other", label=pool.info.decision.label)
        notes.append(legend)
    if answer.prediction.region is not None:
        (width, height), sides = answer.size, answer.prediction.region
        left, top, right, bottom = (n / m for n, m in zip(sides, (width, height) * 2, strict=True))
        share = " ".join(f"{n:.4f}" for n in (left, top, right, bottom))
        layers += (
            f'<span class="region" data-share="{share}" style="left:{left:.2%};top:{top:.2%};'
            f'width:{right - left:.2%};height:{bottom - top:.2%}"></span>'
        )
        notes.append(say("region"))
    caption = "".join(f"<span>{note}</span> " for note in notes)
    return (
        f'<figure class="evidence"><div><img src="{data_url("image/webp", buffer.getvalue())}" '
        f'alt="{say("evidence_alt")}">{layers}</div><figcaption>{caption}</figcaption></figure>'
    )


def draw_evidence(evidence: np.ndarray) -> Image.Image:
    """Draws an evidence map to be laid over its picture.

    Args:
        evidence: ``float32[rows, columns]``, logits.

    Returns:
        An RGBA image: red where the evidence is positive, blue where negative, and the more
        opaque the stronger, relative to the strongest cell.
    """
    strength = evidence / max(float(np.abs(evidence).max()), 1.0)
    rows, columns = evidence.shape
    smooth = np.asarray(
        Image.fromarray(strength.astype(np.float32)).resize(
            (columns * _CELL, rows * _CELL), Image.Resampling.BICUBIC
        )
    ).clip(-1, 1)
    colours = np.where(smooth[..., None] > 0, (220, 38, 38), (37, 99, 235)).astype(np.uint8)
    opacity = (np.abs(smooth) * 255).astype(np.uint8)
    return Image.fromarray(np.dstack([colours, opacity]))
