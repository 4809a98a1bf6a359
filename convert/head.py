"""The last dense layer, kept in float behind the integer part of a ``.tflite``.

In 8 bits, one step of a logit moves a score near 0.5 by a hundredth, and two runtimes that
round differently disagree by as much. The layer is a few thousand multiplications, so it costs
nothing to do it in float, and the scores come out fine-grained and summing to one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as tflite

from convert.graph import pack


@dataclass(frozen=True)
class Head:
    """A dense layer with softmax.

    Attributes:
        kernel: ``float32[features, 2]``
        bias: ``float32[2]``
    """

    kernel: np.ndarray
    bias: np.ndarray

    @classmethod
    def from_dense(cls, kernel: np.ndarray, bias: np.ndarray) -> Head:
        """From the weights of a dense layer with one sigmoid or two softmax outputs.

        A sigmoid of z is the second score of softmax([-z / 2, z / 2]).
        """
        if kernel.shape[1] == 1:
            kernel, bias = np.hstack([-kernel, kernel]) / 2, np.hstack([-bias, bias]) / 2
        return cls(kernel.astype(np.float32), bias.astype(np.float32))


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
    graph = _Graph(model)
    features = graph.outputs[0]
    if len(graph.shape(features)) == 2:
        logits = graph.fully_connected(features, head.kernel, head.bias, name="head/logits")
        return graph.finish([graph.softmax(logits, "scores")])
    _, rows, columns, _ = graph.shape(features)
    cells = graph.fully_connected(features, head.kernel, name="head/cells", rows=rows * columns)
    logits = graph.add(graph.mean_of_rows(cells, "head/mean"), head.bias, "head/logits")
    outputs = [graph.softmax(logits, "scores")]
    if explain:
        for_second = head.kernel[:, 1:] - head.kernel[:, :1]
        evidence = graph.fully_connected(
            features, for_second, name="head/evidence", rows=rows * columns
        )
        outputs.append(graph.reshape(evidence, [1, rows, columns], "evidence"))
    return graph.finish(outputs)


class _Graph:
    """A ``.tflite`` file that grows: each method adds an operator and returns its output."""

    def __init__(self, model: bytes):
        self._file = tflite.ModelT.InitFromPackedBuf(model, 0)
        self._graph = self._file.subgraphs[0]
        self._length = len(model)
        self.outputs = list(self._graph.outputs)

    def shape(self, tensor: int) -> list[int]:
        return [int(n) for n in self._graph.tensors[tensor].shape]

    def fully_connected(
        self,
        features: int,
        kernel: np.ndarray,
        bias: np.ndarray | None = None,
        *,
        name: str,
        rows: int = 1,
    ) -> int:
        inputs = [features, self._constant(f"{name}/kernel", kernel.T.astype("<f4"))]
        # An optional input that is not there has the number -1.
        inputs.append(-1 if bias is None else self._constant(f"{name}/bias", bias.astype("<f4")))
        return self._operator(
            "FULLY_CONNECTED",
            inputs,
            [rows, kernel.shape[1]],
            name,
            tflite.FullyConnectedOptionsT(),
        )

    def mean_of_rows(self, tensor: int, name: str) -> int:
        axis = self._constant(f"{name}/axis", np.array([0], "<i4"))
        options = tflite.ReducerOptionsT()
        options.keepDims = True
        return self._operator("MEAN", [tensor, axis], [1, self.shape(tensor)[1]], name, options)

    def add(self, tensor: int, values: np.ndarray, name: str) -> int:
        inputs = [tensor, self._constant(f"{name}/values", values[None].astype("<f4"))]
        return self._operator("ADD", inputs, self.shape(tensor), name, tflite.AddOptionsT())

    def reshape(self, tensor: int, shape: list[int], name: str) -> int:
        options = tflite.ReshapeOptionsT()
        options.newShape = shape
        inputs = [tensor, self._constant(f"{name}/shape", np.array(shape, "<i4"))]
        return self._operator("RESHAPE", inputs, shape, name, options)

    def softmax(self, tensor: int, name: str) -> int:
        options = tflite.SoftmaxOptionsT()
        options.beta = 1.0
        return self._operator("SOFTMAX", [tensor], self.shape(tensor), name, options)

    def finish(self, outputs: list[int]) -> bytes:
        """The bytes of the file with these outputs."""
        self._graph.outputs = outputs
        self._file.signatureDefs = []  # of the outputs there were
        return pack(self._file, self._length)

    def _constant(self, name: str, values: np.ndarray) -> int:
        kind = tflite.TensorType.INT32 if values.dtype.kind == "i" else tflite.TensorType.FLOAT32
        buffer = tflite.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._file.buffers.append(buffer)
        return self._tensor(name, list(values.shape), kind, len(self._file.buffers) - 1)

    def _tensor(self, name: str, shape: list[int], kind: int, buffer: int = 0) -> int:
        tensor = tflite.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, kind, buffer
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _operator(
        self, code: str, inputs: list[int], shape: list[int], name: str, options: object
    ) -> int:
        operator_code = tflite.OperatorCodeT()
        operator_code.builtinCode = getattr(tflite.BuiltinOperator, code)
        operator_code.deprecatedBuiltinCode = operator_code.builtinCode
        operator_code.version = 1
        self._file.operatorCodes.append(operator_code)
        operator = tflite.OperatorT()
        operator.opcodeIndex = len(self._file.operatorCodes) - 1
        operator.inputs = inputs
        operator.outputs = [self._tensor(name, shape, tflite.TensorType.FLOAT32)]
        kind = type(options).__name__.removesuffix("T")
        operator.builtinOptionsType = getattr(tflite.BuiltinOptions, kind)
        operator.builtinOptions = options
        self._graph.operators.append(operator)
        return operator.outputs[0]
