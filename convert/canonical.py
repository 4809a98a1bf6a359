"""Brings the usual Keras 3 image classifier into one canonical graph.

What differs between people's models is settled here: augmentation layers inside the graph are
taken out, preprocessing inside the graph is found and taken out (it becomes the quantization of
the input), and one sigmoid output becomes two scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from convert.errors import ConversionError
from convert.head import Head


@dataclass(frozen=True)
class CanonicalModel:
    """A classifier as a canonical graph.

    Attributes:
        features: float32 ``[n, size, size, 3]`` in [low, high] to what the last dense layer
            takes, float32 ``[n, features]``.
        feature_map: to what is averaged over the picture to give these,
            float32 ``[n, rows, columns, features]``; None where something else stands before
            the last dense layer.
        head: the last dense layer, with two scores that sum to 1.
        original: the model as it was loaded.
        size: side of the input in pixels.
        low: the value of a black pixel.
        high: the value of a white pixel.
        range_in_graph: whether the original maps 0..255 to [low, high] itself.
        findings: what was found and done, one line each.
    """

    features: keras.Model
    feature_map: keras.Model | None
    head: Head
    original: keras.Model
    size: int
    low: float
    high: float
    range_in_graph: bool
    findings: tuple[str, ...]

    def original_scores(self, pixels: np.ndarray) -> np.ndarray:
        """P(Smoking) by the model as it was loaded.

        Args:
            pixels: ``uint8[n, size, size, 3]``, RGB.

        Returns:
            ``float32[n]``
        """
        values = pixels.astype(np.float32) if self.range_in_graph else self.to_input(pixels)
        return self.original.predict(values, verbose=0, batch_size=32)[:, -1]

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """P(Smoking) by the canonical form; arguments and result as in `original_scores`."""
        features = self.features.predict(self.to_input(pixels), verbose=0, batch_size=32)
        logits = features @ self.head.kernel + self.head.bias
        return 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))

    def to_input(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 pixels to float32 in [low, high], what `features` takes."""
        return (self.low + pixels * ((self.high - self.low) / 255)).astype(np.float32)


def canonicalize(
    model: keras.Model, input_range: tuple[float, float] | None = None
) -> CanonicalModel:
    """Takes augmentation and preprocessing out of a model and gives it two scores.

    Args:
        model: an image classifier with one sigmoid or two softmax outputs.
        input_range: the values of a black and a white pixel that the model expects; None for a
            model that prepares pixels 0..255 in its graph.

    Raises:
        ConversionError: it is no such classifier, or nothing in its graph prepares pixels.
    """
    dense = last_dense(model)
    if dense is None or _outputs(model) not in (((1,), "sigmoid"), ((2,), "softmax")):
        raise ConversionError("expected one sigmoid or two softmax outputs of a dense layer")
    findings = []
    original, model = model, _flattened(model)
    prefix = _prefix(model)
    augmentation = [op for op in prefix if _is_random(op)]
    rescaling = [op for op in prefix if not _is_random(op)]
    if augmentation:
        findings.append(f"augmentation taken out: {', '.join(op.name for op in augmentation)}")

    range_in_graph = bool(rescaling) and input_range is None
    if range_in_graph:
        taken_out, low, high = _longest_uniform(model, prefix)
        inside = [op for op in prefix if op not in taken_out and not _is_random(op)]
        dropped = [*augmentation, *taken_out]
        names = ", ".join(op.name for op in taken_out if not _is_random(op))
        if names:
            findings.append(
                f"preprocessing inside the graph: {names} maps [0, 255] to [{low:g}, {high:g}]; "
                "it becomes the quantization of the input"
            )
        if inside:
            findings.append(
                f"what differs between the channels stays inside: "
                f"{', '.join(op.name for op in inside)}"
            )
    else:
        if input_range is None:
            raise ConversionError("nothing in its graph prepares pixels")
        low, high = input_range
        dropped = augmentation

    clone = keras.models.clone_model(
        keras.Model(model.inputs[0], model.outputs[0]),
        clone_function=lambda layer: layer,
        call_function=lambda op, *args, **kwargs: (
            next(a for a in args if keras.backend.is_keras_tensor(a))
            if any(op is other for other in dropped)
            else op(*args, **kwargs)
        ),
    )
    pixels = keras.Input(model.inputs[0].shape[1:], name="pixels")
    # The layer is shared with the original model; its last node is the one in the clone.
    taken = dense._inbound_nodes[-1].input_tensors[0]
    averaged = _averaged(taken)
    if dense.units == 1:
        findings.append("one sigmoid output: made two scores, 1 - p and p")
    return CanonicalModel(
        features=_inference(clone.inputs[0], taken, pixels),
        feature_map=None if averaged is None else _inference(clone.inputs[0], averaged, pixels),
        head=Head.from_dense(*dense.get_weights()),
        original=original,
        size=int(pixels.shape[1]),
        low=float(low),
        high=float(high),
        range_in_graph=range_in_graph,
        findings=tuple(findings),
    )


def last_dense(model: keras.Model) -> keras.layers.Dense | None:
    """The dense layer at the end, whose activation may be a layer of its own."""
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    if not layers:
        return None
    *before, last = layers
    if isinstance(last, keras.layers.Activation | keras.layers.Softmax) and before:
        last = before[-1]
        if getattr(getattr(last, "activation", None), "__name__", "") != "linear":
            return None
    return last if isinstance(last, keras.layers.Dense) and last.use_bias else None


def _outputs(model: keras.Model) -> tuple[tuple[int, ...], str]:
    """Shape of the output and the name of its activation."""
    last = model.layers[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "none")
    if isinstance(last, keras.layers.Softmax):
        activation = "softmax"
    return tuple(model.outputs[0].shape[1:]), activation


def _prefix(model: keras.Model) -> list:
    """The operations right behind the input that only change pixel values or move them about."""
    prefix: list = []
    while True:
        op = _behind(model, prefix)
        if op is None or not (_is_random(op) or _is_rescaling(op)):
            return prefix
        prefix.append(op)


def _behind(model: keras.Model, prefix: list) -> object | None:
    """The one operation that takes what the prefix gives; None where there are several."""
    tensor = _output(prefix[-1]) if prefix else model.inputs[0]
    consumers = [
        op
        for op in keras.Model(model.inputs[0], model.outputs[0]).operations
        if any(t is tensor for node in op._inbound_nodes for t in node.input_tensors)
    ]
    return consumers[0] if len(consumers) == 1 else None


def _output(op: object) -> keras.KerasTensor:
    """What an operation gives in the graph it was last put into: layers are shared by graphs."""
    return op._inbound_nodes[-1].output_tensors[0]


def _is_random(op: object) -> bool:
    if isinstance(op, keras.Model):
        return bool(op.layers) and all(
            _is_random(layer) or isinstance(layer, keras.layers.InputLayer) for layer in op.layers
        )
    return type(op).__name__.startswith("Random") or isinstance(op, keras.layers.Dropout)


def _is_rescaling(op: object) -> bool:
    layers = keras.layers.Rescaling | keras.layers.Normalization
    arithmetic = ("TrueDivide", "Divide", "Multiply", "Subtract", "Add", "Cast")
    return isinstance(op, layers) or (
        type(op).__name__ in arithmetic and not isinstance(op, keras.layers.Layer)
    )


def _longest_uniform(model: keras.Model, prefix: list) -> tuple[list, float, float]:
    """As much of the prefix as treats all channels alike, and what it makes of black and white."""
    for length in range(len(prefix), 0, -1):
        limits = _range_of(model, prefix[:length], model.inputs[0].shape[1])
        if limits is not None:
            return prefix[:length], *limits
    return [], 0.0, 255.0


def _range_of(model: keras.Model, prefix: list, size: int) -> tuple[float, float] | None:
    """What a black and a white picture become behind the prefix, measured.

    None where that is not linear, or not the same in all channels.
    """
    preprocessing = keras.Model(model.inputs[0], _output(prefix[-1]))
    grey = np.array([0, 127.5, 255], np.float32)[:, None, None, None]
    values = preprocessing(np.broadcast_to(grey, (3, size, size, 3)), training=False)
    black, middle, white = keras.ops.convert_to_numpy(values)
    spread = max(np.ptp(black), np.ptp(white), abs(black + white - 2 * middle).max())
    if spread > 1e-5 * max(abs(white - black).max(), 1):
        return None
    return float(black.flat[0]), float(white.flat[0])


def _flattened(model: keras.Model) -> keras.Model:
    """The model with the layers of nested models instead of these, as in a backbone."""

    def call(op: object, *args, **kwargs):
        if _is_nested(op):
            # Run on symbolic tensors, its layers become part of the graph around it.
            inner = op._functional if isinstance(op, keras.Sequential) else op
            return inner._run_through_graph(args[0], operation_fn=lambda layer: layer)
        return op(*args, **kwargs)

    model = keras.Model(model.inputs[0], model.outputs[0])
    while any(_is_nested(op) for op in model.operations):
        model = keras.models.clone_model(
            model, clone_function=lambda layer: layer, call_function=call
        )
    return model


def _is_nested(op: object) -> bool:
    return isinstance(op, keras.Model) and not _is_random(op)


def _averaged(features: keras.KerasTensor) -> keras.KerasTensor | None:
    """What global average pooling makes these features of; None where they come otherwise."""
    while True:
        operation, node, _ = features._keras_history
        inputs = operation._inbound_nodes[node].input_tensors
        if isinstance(operation, keras.layers.GlobalAveragePooling2D):
            return inputs[0] if operation.data_format == "channels_last" else None
        if not isinstance(operation, keras.layers.Dropout):
            return None
        features = inputs[0]


def _inference(
    start: keras.KerasTensor, end: keras.KerasTensor, pixels: keras.KerasTensor
) -> keras.Model:
    """The part of a graph from one tensor to another, in inference mode, behind a new input."""
    return keras.Model(pixels, keras.Model(start, end)(pixels, training=False))
