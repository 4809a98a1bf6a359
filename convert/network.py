"""A classifier in two parts: the network, in any format, and the head behind it, in float."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as tflite

from convert.canonical import canonicalize
from convert.classes import Classes
from convert.errors import ConversionError, QuantizationError
from convert.graph import read, run
from convert.head import Head
from convert.layers import correct_biases
from convert.quantize import as_function, convert_function, to_input, to_tflite
from convert.ranges import set_ranges
from convert.rounding import round_alike
from convert.source import Source
from convert.tail import find_tail, without_tail
from edge_app.preprocessing import Preprocessing
from edge_app.wording import first_line

RANGE_PICTURES = 48
BIAS_PICTURES = 96
_COMPARED = 24
_TOLERANCE = 1e-3

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Network:
    """A classifier in two parts.

    Attributes:
        make: the network in a format, calibrated on ``uint8[n, size, size, 3]``, as
            `convert.quantize.to_tflite` gives it.
        head: what stands behind it.
        spatial: whether the network ends in a feature map, so that there is an evidence map.
        size: side of the input in pixels.
        limits: the values of a black and a white pixel that the network takes.
        findings: what was found and done, one line each.
    """

    make: Callable[[str, np.ndarray | None], bytes]
    head: Head
    spatial: bool
    size: int
    limits: tuple[float, float]
    findings: tuple[str, ...]

    def scores(self, network: bytes, pixels: np.ndarray) -> np.ndarray:
        """P(positive) with the network in some format, ``float[n]``.

        Args:
            network: from `make`.
            pixels: ``uint8[n, size, size, 3]``, RGB.
        """
        return self.head.scores(_features(network, pixels, self.limits))[:, self.head.place]


def split(
    source: Source,
    classes: Classes,
    preprocessing: Preprocessing,
    settled: bool,
    raw: bytes,
    pixels: np.ndarray,
    expected: np.ndarray,
) -> Network:
    """Splits a model into network and head, and makes sure that both say what the model says.

    Args:
        source: the model.
        classes: what its outputs are.
        preprocessing: what its author does to pixels.
        settled: whether the model prepares pixels 0..255 itself.
        raw: the model as it is in float32, as a ``.tflite`` file.
        pixels: real pictures, ``uint8[n, size, size, 3]``.
        expected: P(positive) that the model gives them.

    Raises:
        ConversionError: TensorFlow's converter cannot take the model.
    """
    attempts = [
        lambda: _from_layers(source, classes, preprocessing, settled),
        lambda: _from_graph(source, classes, preprocessing, raw, whole=False),
        lambda: _from_graph(source, classes, preprocessing, raw, whole=True),
    ]
    difference = np.inf
    for attempt in attempts:
        try:
            network = attempt()
        except QuantizationError:
            raise
        except ConversionError as error:
            _log.debug("not split like this: %s", error)
            continue
        found = network.scores(network.make("float32", None), pixels)
        difference = float(np.abs(found - expected).max())
        if difference <= _TOLERANCE:
            return network
        _log.debug("split like this it differs by %g", difference)
    raise ConversionError(
        f"{source.path}: TensorFlow's converter changes what the model says (P({classes.positive}) "
        f"by up to {difference:.3f}); this is a fault of the conversion, please report it with "
        "the model"
    )


def quantized(network: Network, calibrating: np.ndarray, say: Callable[[str], None]) -> bytes:
    """The network in int8, by our own quantizer where that is closer to the float network.

    Args:
        network: the network.
        calibrating: pictures ``uint8[n, size, size, 3]``.
        say: takes a line for the user.

    Raises:
        QuantizationError: TensorFlow's converter cannot make int8 of it.
    """
    ranging = calibrating[:RANGE_PICTURES]
    original = network.make("float32", None)
    plain = network.make("int8", ranging)
    try:
        ours = set_ranges(plain, original, to_input(ranging, network.limits))
        ours = round_alike(ours, original)
        ours = correct_biases(ours, original, calibrating[:BIAS_PICTURES], *network.limits)
        compared = calibrating[-_COMPARED:]
        wanted = network.scores(original, compared)
        errors = [
            float(np.abs(network.scores(model, compared) - wanted).mean())
            for model in (ours, plain)
        ]
    except Exception:  # Our own quantizer must never be what stops a model.
        _log.debug("own quantizer", exc_info=True)
        say(
            "  quantized by TensorFlow's converter alone: our ranges, rounding and bias correction "
            "do not apply to this graph"
        )
        return plain
    if errors[0] <= errors[1]:
        return ours
    with_ours, without = (f"{error:.4f}" for error in errors)
    if with_ours != without:
        say(
            "  quantized by TensorFlow's converter alone, which is closer to the model than with "
            f"our ranges, rounding and bias correction: {without} instead of {with_ours}"
        )
    return plain


def as_raw(source: Source) -> bytes:
    """The model as it is, in float32, as a ``.tflite`` file.

    Raises:
        QuantizationError: TensorFlow's converter cannot take it.
    """
    try:
        return convert_function(as_function(source.call, source.size), "float32", (0, 255))
    except QuantizationError as error:
        raise QuantizationError(
            f"{source.path}: {error}; replace the layer by one of Keras's own that LiteRT can run"
        ) from error


def _from_layers(
    source: Source, classes: Classes, preprocessing: Preprocessing, settled: bool
) -> Network:
    """By the layers of a Keras 3 model with one sigmoid or two softmax outputs."""
    if source.model is None or preprocessing.range is None or len(classes.labels) != 2:
        raise ConversionError("is no Keras 3 model of the usual kind")
    try:
        canonical = canonicalize(source.model, None if settled else preprocessing.range)
    except ConversionError:
        raise
    except Exception as error:  # graphs of layers that were not foreseen
        raise ConversionError(first_line(error)) from error
    head = Head.from_dense(canonical.head.kernel, canonical.head.bias, classes.index)
    return Network(
        make=_remembering(lambda *arguments: to_tflite(canonical, *arguments)),
        head=head,
        spatial=canonical.feature_map is not None,
        size=canonical.size,
        limits=(canonical.low, canonical.high),
        findings=canonical.findings,
    )


def _from_graph(
    source: Source, classes: Classes, preprocessing: Preprocessing, raw: bytes, whole: bool
) -> Network:
    """By the graph, whatever library made it."""
    limits = preprocessing.range
    findings = []
    call = source.call
    if limits is None:
        limits, call = (0.0, 255.0), _with_preprocessing(source.call, preprocessing)
        findings.append(f"preprocessing put into the graph: {preprocessing}")
    function = as_function(call, source.size)
    tail = find_tail(raw, whole)
    if classes.activation == "logits":
        activation = "softmax" if len(classes.labels) > 2 or source.outputs == 2 else "sigmoid"
        findings.append(f"the outputs are logits: {activation} appended")
    else:
        activation = tail.activation or "none"
    if source.outputs > 2:
        findings.append(
            f"{source.outputs} classes: the file's two scores are those of "
            f"{' and '.join(classes.pair)}"
        )
    head = Head.of_classes(tail.kernel, tail.bias, activation, classes.index)

    def make(format: str, calibration: np.ndarray | None) -> bytes:
        try:
            model = convert_function(function, format, limits, calibration)
        except QuantizationError:
            if format != "int8":
                raise
            model = convert_function(function, format, limits, calibration, integers_only=False)
        return without_tail(model, whole)

    return Network(_remembering(make), head, tail.spatial, source.size, limits, tuple(findings))


def _remembering(make: Callable[..., bytes]) -> Callable[[str, np.ndarray | None], bytes]:
    """The same function, which makes the float32 network once."""
    made: dict[str, bytes] = {}

    def remembering(format: str, calibration: np.ndarray | None) -> bytes:
        if format != "float32":
            return make(format, calibration)
        if format not in made:
            made[format] = make(format, None)
        return made[format]

    return remembering


def _with_preprocessing(call: Callable, preprocessing: Preprocessing) -> Callable:
    """The model on pixels 0..255: a convolution of one pixel orders and scales the channels."""
    kernel, offset = as_convolution(preprocessing)
    return lambda pixels: call(
        tf.nn.bias_add(tf.nn.conv2d(pixels, kernel[None, None], 1, "VALID"), offset)
    )


def as_convolution(preprocessing: Preprocessing) -> tuple[np.ndarray, np.ndarray]:
    """Preprocessing as a product of the RGB channels: kernel ``float32[3, 3]``, bias ``[3]``."""
    std = np.array(preprocessing.std, np.float32)
    order = np.eye(3, dtype=np.float32)
    if preprocessing.channels == "BGR":
        order = order[:, ::-1]
    return np.ascontiguousarray(order / std), -np.array(preprocessing.mean, np.float32) / std


def _features(network: bytes, pixels: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """What the network gives, averaged over the picture where that is a map."""
    graph = read(network).subgraphs[0]
    in_integers = graph.tensors[graph.inputs[0]].type == tflite.TensorType.UINT8
    values = pixels if in_integers else to_input(pixels, limits)
    rows = [outputs[0][0] for outputs in run(network, values[:, None, None])]
    return np.stack([row.reshape(-1, row.shape[-1]).mean(0) for row in rows])
