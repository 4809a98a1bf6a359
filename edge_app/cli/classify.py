"""``classify``: pictures and folders, one line each."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import click

from edge_app.classifier import Prediction
from edge_app.cli.options import (
    SOME_UNREADABLE,
    PicturePath,
    answer_line,
    limit_options,
    load_classifier,
    looks_option,
    model_options,
)
from edge_app.files import printable
from edge_app.imaging import find_pictures
from edge_app.invocation import invocation


@click.command(epilog=f"Example: {invocation()} classify picture.jpg folder --format jsonl")
@click.argument("paths", nargs=-1, required=True, type=PicturePath(path_type=Path))
@click.option(
    "--format",
    type=click.Choice(["text", "jsonl"]),
    default="text",
    show_default=True,
    help="Print one line of text or one JSON object per picture.",
)
@limit_options
@looks_option
@model_options
def classify(
    paths: tuple[Path, ...], format: str, model: Path, threshold: float | None, looks: int | None
) -> None:
    """Classify pictures, and the pictures in folders.

    A JSON object has: path, label, confidence, smoking, uncertain, looks, region, incomplete,
    elapsed_ms, error.
    """
    from edge_app.scan.isolation import protected

    classifier = load_classifier(model, threshold, looks)
    count = unreadable = 0
    with protected(classifier) as classify_source:
        for path in (picture for given in paths for picture in find_pictures(given)):
            start = time.perf_counter()
            result = classify_source(os.fspath(path))
            elapsed_ms = (time.perf_counter() - start) * 1000
            prediction = result if isinstance(result, Prediction) else None
            error = None if prediction else str(result or "there is no such file")
            count += 1
            unreadable += prediction is None
            if format == "jsonl":
                click.echo(_record(path, prediction, error, elapsed_ms))
            elif prediction:
                click.echo(answer_line(prediction, path))
            else:
                click.echo(f"{printable(path)}: {error}", err=True)
    if not count:
        click.echo("No pictures found", err=True)
    sys.exit(SOME_UNREADABLE if unreadable else 0)


def _record(path: Path, prediction: Prediction | None, error: str | None, elapsed_ms: float) -> str:
    record = {
        "path": str(path),
        "label": prediction and prediction.label,
        "confidence": prediction and round(prediction.confidence, 4),
        "smoking": prediction and round(prediction.smoking, 4),
        "uncertain": prediction and prediction.uncertain,
        "looks": prediction and prediction.looks,
        "region": prediction and prediction.region,
        "incomplete": prediction and prediction.incomplete,
        "elapsed_ms": round(elapsed_ms, 1),
        "error": error,
    }
    return json.dumps(record)
