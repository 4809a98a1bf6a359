"""``info``: what model this is, and what runs it."""

from __future__ import annotations

from pathlib import Path

import click

from edge_app import __version__
from edge_app.cli.options import load_classifier, model_options


@click.command(epilog="Example: python3 run.py info")
@model_options
def info(model: Path, threshold: float | None) -> None:
    """Says what model this is, and what runs it."""
    import platform

    import numpy
    import PIL

    model_info = load_classifier(model, threshold).info
    metadata, decision = model_info.metadata, model_info.decision
    scale, zero_point = model_info.quantization
    band = "not stated"
    if decision.uncertain:
        band = "P({}) from {:g} to {:g}".format(decision.label, *decision.uncertain)
    evidence = "{} x {} cells".format(*model_info.evidence) if model_info.evidence else "none"
    quantization = f"scale {scale:.6g}, zero point {zero_point}" if scale else "none (float)"
    for name, value in (
        ("model", model_info.path),
        ("name", f"{metadata.name} {metadata.version}"),
        ("description", metadata.description),
        ("sha256", model_info.sha256),
        ("labels", ", ".join(metadata.labels)),
        ("threshold", f"{decision.threshold:g} for {decision.label}: {decision.chosen}"),
        ("uncertain", band),
        ("input", f"{model_info.input_dtype} [1, {model_info.size}, {model_info.size}, 3], RGB"),
        ("normalization", f"(pixel - {metadata.mean[0]:g}) / {metadata.std[0]:g}"),
        ("quantization", quantization),
        ("evidence map", evidence),
        ("runtime", model_info.runtime),
        ("app", f"edge_app {__version__}, Python {platform.python_version()}"),
        ("libraries", f"NumPy {numpy.__version__}, Pillow {PIL.__version__}"),
        ("machine", f"{platform.system()} {platform.machine()}"),
    ):
        click.echo(f"{name:<14} {value}")
