"""A ``.tflite`` file from elsewhere to one that says what it is.

Its network stays as it is. Around it come what our files promise: pixels or floats of a stated
range as the input, two scores that sum to 1 as the output, metadata.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as tflite

from convert.builder import GraphBuilder
from convert.classes import Classes
from convert.containers import Found
from convert.conversion import Conversion, Options, read_pictures
from convert.errors import ConversionError
from convert.head import Head, append_head
from convert.inputs import PIXELS, tell_input
from convert.metadata import add_metadata
from convert.network import as_convolution
from convert.order import accuracy_warning
from convert.parity import Part, check
from convert.pictures import take_evenly
from convert.source import Source
from edge_app.decision import Decision
from edge_app.description import Description
from edge_app.files import whole_file
from edge_app.inspection import ForeignModelError, InputUnknownError, describe
from edge_app.preprocessing import Preprocessing
from edge_app.runtime import make_interpreter

_TYPES = tflite.TensorType


def rewrap(
    found: Found,
    pictures: Sequence[Path],
    out: Path,
    options: Options,
    say: Callable[[str], None] = print,
) -> Conversion:
    """Writes a self-describing copy of a ``.tflite`` file.

    Args:
        found: the file.
        pictures: to find out the input range with, and to compare on; may be none.
        out: the file to write.
        options: what the user states about the model.
        say: takes a line for the user.

    Raises:
        ConversionError: it is damaged, no image classifier, or something is missing.
    """
    content = found.file.read_bytes()
    classes, known = _described(found, content, options, say)
    runner = _Runner(content)
    source = Source(
        found.given,
        "TFLite",
        found.file.stem,
        runner.size,
        runner.outputs,
        runner,
        from_teachable_machine=found.from_teachable_machine,
    )
    order = take_evenly(pictures, classes.positive)[: options.count]
    paths, pixels = read_pictures(order, runner.size) if order else ([], np.empty(0))
    places = [classes.label_of(path) for path in paths]
    if known is None:
        taken = tell_input(source, classes, None, pixels, places, say)
        known = taken.preprocessing
        say(f"  {taken.finding}")
    else:
        say(f"  input: {known}")
    wrapped, prepared = _wrapped(content, classes, known)
    pair = classes.pair
    described = add_metadata(
        wrapped,
        name=found.file.stem,
        version=options.version,
        description=f"{pair[0]} or {pair[1]}? Made of {found.given.name}.",
        labels=pair,
        mean=prepared.mean,
        std=prepared.std,
        decision=Decision(label=classes.positive),
        classes=classes.labels if len(classes.labels) > 2 else (),
    )
    parities = ()
    with whole_file(out) as partial:
        partial.write_bytes(described)
        if order:
            made = source.predict(known.apply(pixels))
            scores, answers = classes.scores(made), classes.likelihoods(made).argmax(1)
            truth = tuple(None if place is None else place == classes.index for place in places)
            part = Part(pixels, scores, truth)
            if warning := accuracy_warning(source.kind, classes, answers, places):
                say(f"Warning: {warning}")
            parities = (check("tflite", partial, (part,)),)
    return Conversion(classes.positive, {"tflite": out}, parities)


def _described(
    found: Found, content: bytes, options: Options, say: Callable[[str], None]
) -> tuple[Classes, Preprocessing | None]:
    """The labels and outputs, and what the file or the user states about the input."""
    labels = options.labels or found.labels or None
    known = options.preprocessing

    def described(preprocessing: Preprocessing | None) -> Description:
        def warn(text: str) -> None:
            if preprocessing is options.preprocessing:
                say(f"Warning: {text}")

        return describe(found.file, content, labels, options.positive, preprocessing, warn)

    try:
        # What it takes for pixels may be told from pictures later; all else has to be known now.
        description = described(known or PIXELS)
        if known is None:
            with contextlib.suppress(InputUnknownError):
                known = described(None).preprocessing
    except ForeignModelError as error:
        raise ConversionError(f"{found.given}: {error}") from None
    return Classes(description.labels, description.positive, description.activation), known


class _Runner:
    """Runs the file as its author does: floats in, floats out."""

    def __init__(self, content: bytes):
        self._interpreter, _ = make_interpreter(content, threads=2)
        self._input = self._interpreter.get_input_details()[0]
        outputs = self._interpreter.get_output_details()
        self._output = next(output for output in outputs if len(output["shape"]) == 2)
        self.size = int(self._input["shape"][1])
        self.outputs = int(self._output["shape"][1])

    def __call__(self, values: np.ndarray) -> np.ndarray:
        rows = []
        scale, zero_point = self._input["quantization"]
        for row in values:
            if scale:
                limits = np.iinfo(self._input["dtype"])
                row = np.clip(np.round(row / scale) + zero_point, limits.min, limits.max)
            row = row.astype(self._input["dtype"])
            self._interpreter.set_tensor(self._input["index"], row[None])
            self._interpreter.invoke()
            made = self._interpreter.get_tensor(self._output["index"])[0].astype(np.float32)
            step, zero = self._output["quantization"]
            rows.append((made - zero) * step if step else made)
        return np.stack(rows)


def _wrapped(content: bytes, classes: Classes, known: Preprocessing) -> tuple[bytes, Preprocessing]:
    """The file with the standard input and output, and the preprocessing that is left outside."""
    graph = GraphBuilder(content)
    graph.without_metadata()
    prepared = _prepend(graph, known)
    output = next(n for n in graph.outputs if len(graph.shape(n)) == 2)
    if graph.tensor(output).type in (_TYPES.INT8, _TYPES.UINT8):
        output = graph.dequantize(output, "outputs")
    count = graph.shape(output)[1]
    activation = "none"
    if classes.activation == "logits":
        activation = "softmax" if count > 1 else "sigmoid"
    head = Head.of_classes(np.eye(count), np.zeros(count), activation, classes.index)
    return append_head(graph.finish([output]), head), prepared


def _prepend(graph: GraphBuilder, known: Preprocessing) -> Preprocessing:
    """Puts in front of a graph what metadata cannot say; returns what it says."""
    taken = graph.inputs[0]
    tensor = graph.tensor(taken)
    if tensor.type == _TYPES.FLOAT32:
        if known.channels == "RGB":
            return known
        with graph.in_front():
            _convolve_into(graph, graph.new_input(), taken, known)
        return PIXELS
    scale, zero_point = float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])
    shift = 128 if tensor.type == _TYPES.INT8 else 0
    itself = Preprocessing((float(zero_point + shift),) * 3, (1 / scale,) * 3)
    limits, of_file = known.range, itself.range
    same = (
        limits and of_file and np.allclose(limits, of_file, atol=0.05 * (of_file[1] - of_file[0]))
    )
    if same and not shift:
        return itself
    with graph.in_front():
        if same:
            graph.quantize_into(graph.new_input(scale, zero_point + shift), taken)
            return itself
        pixels = graph.dequantize(graph.new_input(1.0), "pixels/float")
        _convolve_into(graph, pixels, taken, known)
    return PIXELS


def _convolve_into(graph: GraphBuilder, pixels: int, taken: int, known: Preprocessing) -> None:
    prepared = graph.pixel_convolution(pixels, *as_convolution(known), name="prepared")
    if graph.tensor(taken).type == _TYPES.FLOAT32:
        graph.write_into(prepared, taken)
    else:
        graph.quantize_into(prepared, taken)
