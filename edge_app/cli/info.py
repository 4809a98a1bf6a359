"""``info``: the model, its decision rule, and what runs it."""

from __future__ import annotations

from pathlib import Path

import click

from edge_app import __version__
from edge_app.cli.options import load_classifier, looks_option, model_options
from edge_app.files import printable
from edge_app.invocation import invocation
from edge_app.looks import Looks, probability


@click.command(epilog=f"Example: {invocation()} info")
@looks_option
@model_options
def info(model: Path, threshold: float | None, looks: int | None) -> None:
    """Show the model, its decision rule, and what runs it."""
    import platform

    import numpy
    import PIL

    model_info = load_classifier(model, threshold, looks).info
    metadata, decision = model_info.metadata, model_info.decision
    scale, zero_point = model_info.quantization
    band = "not stated"
    if decision.uncertain:
        band = "P({}) from {:g} to {:g}".format(decision.label, *decision.uncertain)
    evidence = "{} x {} cells".format(*model_info.evidence) if model_info.evidence else "none"
    quantization = f"scale {scale:.6g}, zero point {zero_point}" if scale else "none (float)"
    for name, value in (
        # Of a foreign model, a described copy is loaded.
        ("model", printable(click.get_current_context().params["model"])),
        ("name", f"{metadata.name} {metadata.version}"),
        ("description", metadata.description),
        ("sha256", model_info.sha256),
        ("labels", ", ".join(metadata.labels)),
        ("threshold", f"{decision.threshold:g} for {decision.label}: {decision.chosen}"),
        ("uncertain", band),
        ("looks", _looks(decision.looks)),
        ("input", f"{model_info.input_dtype} [1, {model_info.size}, {model_info.size}, 3], RGB"),
        ("normalization", f"(pixel - {metadata.mean[0] + 0.0:g}) / {metadata.std[0]:g}"),
        ("quantization", quantization),
        ("evidence map", evidence),
        ("runtime", model_info.runtime),
        ("app", f"edge_app {__version__}, Python {platform.python_version()}"),
        ("libraries", f"NumPy {numpy.__version__}, Pillow {PIL.__version__}"),
        ("machine", f"{platform.system()} {platform.machine()}"),
    ):
        click.echo(f"{name:<14} {value}")


def _looks(looks: Looks | None) -> str:
    if looks is None:
        return "1"
    sizes = " and ".join(f"{size:g}" for size in looks.sizes)
    return (
        f"{1 + len(looks.sizes)} from a first score of {probability(looks.lowest):.3f} on: squares "
        f"of {sizes} of the shorter side; score from {looks.scale:g} * mean logit "
        f"{'-' if looks.bias < 0 else '+'} {abs(looks.bias):g}"
    )
