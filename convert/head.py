"""The last dense layer, kept in float behind the integer part of a ``.tflite``.

In 8 bits, one step of a logit moves a score near 0.5 by a hundredth, and two runtimes that
round differently disagree by as much. The layer is a few thousand multiplications, so it costs
nothing to do it in float, and the scores come out fine-grained and summing to one.
"""

from __future__ import annotations

from dataclasses import dataclass

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tflite


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


def append_head(model: bytes, head: Head) -> bytes:
    """Adds the layer behind the output of a model.

    Args:
        model: the bytes of a ``.tflite`` file with one output, ``float32[1, features]``.
        head: the layer.

    Returns:
        The bytes of a ``.tflite`` file with the output ``float32[1, 2]``.
    """
    file = tflite.ModelT.InitFromPackedBuf(model, 0)
    graph = file.subgraphs[0]

    def add_tensor(name: str, shape: list[int], values: np.ndarray | None = None) -> int:
        buffer = tflite.BufferT()
        if values is not None:
            buffer.data = np.frombuffer(values.astype("<f4").tobytes(), np.uint8)
        file.buffers.append(buffer)
        tensor = tflite.TensorT()
        tensor.name, tensor.shape, tensor.type = name, shape, tflite.TensorType.FLOAT32
        tensor.buffer = len(file.buffers) - 1
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    def add_operator(code: int, inputs: list[int], output: int, kind: int, options: object) -> None:
        operator_code = tflite.OperatorCodeT()
        operator_code.builtinCode = operator_code.deprecatedBuiltinCode = code
        operator_code.version = 1
        file.operatorCodes.append(operator_code)
        operator = tflite.OperatorT()
        operator.opcodeIndex = len(file.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, [output]
        operator.builtinOptionsType, operator.builtinOptions = kind, options
        graph.operators.append(operator)

    features = graph.outputs[0]
    kernel = add_tensor("head/kernel", [2, len(head.kernel)], head.kernel.T)
    bias = add_tensor("head/bias", [2], head.bias)
    logits = add_tensor("head/logits", [1, 2])
    scores = add_tensor("scores", [1, 2])
    softmax = tflite.SoftmaxOptionsT()
    softmax.beta = 1.0
    add_operator(
        tflite.BuiltinOperator.FULLY_CONNECTED,
        [features, kernel, bias],
        logits,
        tflite.BuiltinOptions.FullyConnectedOptions,
        tflite.FullyConnectedOptionsT(),
    )
    add_operator(
        tflite.BuiltinOperator.SOFTMAX,
        [logits],
        scores,
        tflite.BuiltinOptions.SoftmaxOptions,
        softmax,
    )
    graph.outputs = [scores]
    for signature in file.signatureDefs or []:
        for output in signature.outputs:
            output.tensorIndex = scores
    builder = flatbuffers.Builder(len(model) + 65536)
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())
