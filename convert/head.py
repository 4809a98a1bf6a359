"""The last dense layer, kept in float behind the integer part of a ``.tflite``.

In 8 bits, one step of a logit moves a score near 0.5 by a hundredth, and two runtimes that
round differently disagree by as much. The layer is a few thousand multiplications, so it costs
nothing to do it in float, and the scores come out fine-grained and summing to one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convert.builder import GraphBuilder


@dataclass(frozen=True)
class Head:
    """The end of a classifier: a dense layer, its activation, and two scores of its classes.

    Attributes:
        kernel: ``float32[features, classes]``
        bias: ``float32[classes]``
        activation: ``softmax``, ``sigmoid``, or ``none`` where the values are scores already.
        positive: place of the class that is looked for.
        mix: of the classes' scores into those of the file, ``float32[classes, 2]``, and what is
            added to them, ``float32[2]``; None where the classes' scores are those of the file.
    """

    kernel: np.ndarray
    bias: np.ndarray
    activation: str = "softmax"
    positive: int = 1
    mix: tuple[np.ndarray, np.ndarray] | None = None

    @classmethod
    def from_dense(cls, kernel: np.ndarray, bias: np.ndarray, positive: int = 1) -> Head:
        """From the weights of a dense layer with one sigmoid or two softmax outputs.

        A sigmoid of z is the second score of softmax([-z / 2, z / 2]).
        """
        if kernel.shape[1] == 1:
            kernel, bias = np.hstack([-kernel, kernel]) / 2, np.hstack([-bias, bias]) / 2
        return cls(kernel.astype(np.float32), bias.astype(np.float32), positive=positive)

    @classmethod
    def of_classes(
        cls, kernel: np.ndarray, bias: np.ndarray, activation: str, positive: int
    ) -> Head:
        """From the weights of a dense layer with any number of outputs.

        Args:
            kernel: ``float[features, classes]``
            bias: ``float[classes]``
            activation: of the layer, as above. One output is P(the second of two classes).
            positive: place of the class that is looked for.
        """
        classes = kernel.shape[1]
        if activation != "none" and (classes == 1 or (classes == 2 and activation == "softmax")):
            return cls.from_dense(kernel, bias, positive)
        mix, added = np.zeros((classes, 2), np.float32), np.zeros(2, np.float32)
        # The file's labels are two in their order, or of more the rest and the positive one.
        share, place = (0, 1) if classes == 1 else (positive, positive if classes == 2 else 1)
        mix[share, place], mix[share, 1 - place] = 1, -1
        added[1 - place] = 1
        kernel, bias = kernel.astype(np.float32), bias.astype(np.float32)
        return cls(kernel, bias, activation, positive, (mix, added))

    def scores(self, features: np.ndarray) -> np.ndarray:
        """The scores of the file, ``float[n, 2]``, from ``float[n, features]``."""
        values = features.astype(np.float64) @ self.kernel + self.bias
        if self.activation == "softmax":
            values = np.exp(values - values.max(1, keepdims=True))
            values /= values.sum(1, keepdims=True)
        elif self.activation == "sigmoid":
            values = 1 / (1 + np.exp(-values))
        return values if self.mix is None else values @ self.mix[0] + self.mix[1]

    @property
    def place(self) -> int:
        """Of the positive score among the two of the file."""
        return self.positive if len(self.bias) <= 2 else 1

    @property
    def evidence(self) -> np.ndarray:
        """What each feature says for the positive class against the others, ``[features, 1]``."""
        own = self.kernel[:, self.positive : self.positive + 1]
        others = np.delete(self.kernel, self.positive, axis=1)
        if self.activation == "sigmoid":
            return own
        return own - (others if others.shape[1] == 1 else others.mean(1, keepdims=True))


def append_head(model: bytes, head: Head, explain: bool = False) -> bytes:
    """Adds the layer behind the output of a model.

    Behind a feature map the average pooling comes after the layer, which for linear layers is the
    same as before it: each cell of the map gets its own logits, and their mean plus the bias is
    the logit of the picture. (The class activation map of Zhou and others, 2016, is these cells.)

    Args:
        model: the bytes of a ``.tflite`` file with one output, the last feature map
            ``float32[1, rows, columns, features]``, or ``float32[1, features]``.
        head: the layer.
        explain: whether to add an evidence map as a second output; only for feature maps.

    Returns:
        The bytes of a ``.tflite`` file with the output ``scores`` ``float32[1, 2]``, and with
        ``explain`` a second one, ``evidence`` ``float32[1, rows, columns]``.
    """
    graph = GraphBuilder(model)
    features = graph.outputs[0]
    if len(graph.shape(features)) == 2:
        logits = graph.fully_connected(features, head.kernel, head.bias, name="head/logits")
        return graph.finish([_scores(graph, head, logits)])
    _, rows, columns, _ = graph.shape(features)
    cells = graph.fully_connected(features, head.kernel, name="head/cells", rows=rows * columns)
    logits = graph.add(graph.mean_of_rows(cells, "head/mean"), head.bias, "head/logits")
    outputs = [_scores(graph, head, logits)]
    if explain:
        evidence = graph.fully_connected(
            features, head.evidence, name="head/evidence", rows=rows * columns
        )
        outputs.append(graph.reshape(evidence, [1, rows, columns], "evidence"))
    return graph.finish(outputs)


def _scores(graph: GraphBuilder, head: Head, logits: int) -> int:
    name = "scores" if head.mix is None else "head/classes"
    values = logits
    if head.activation == "softmax":
        values = graph.softmax(logits, name)
    elif head.activation == "sigmoid":
        values = graph.sigmoid(logits, name)
    if head.mix is None:
        return values
    return graph.fully_connected(values, *head.mix, name="scores")
