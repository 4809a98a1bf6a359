"""Adds operators to a ``.tflite`` graph."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as tflite

from convert.graph import pack

_TYPES = tflite.TensorType


class GraphBuilder:
    """A ``.tflite`` file that grows: each method adds an operator and returns its output.

    Operators are added at the end, or with `in_front` before all others.
    """

    def __init__(self, model: bytes):
        self._file = tflite.ModelT.InitFromPackedBuf(model, 0)
        self._graph = self._file.subgraphs[0]
        self._length = len(model)
        self.inputs = [int(n) for n in self._graph.inputs]
        self.outputs = list(self._graph.outputs)

    def tensor(self, number: int) -> tflite.TensorT:
        return self._graph.tensors[number]

    def new_input(self, scale: float | None = None, zero_point: int = 0) -> int:
        """Another input of the same shape, uint8 of this quantization or float32."""
        shape = self.shape(self.inputs[0])
        kind = _TYPES.FLOAT32 if scale is None else _TYPES.UINT8
        number = self._tensor("pixels", shape, kind)
        if scale is not None:
            quantization = tflite.QuantizationParametersT()
            quantization.scale = np.array([scale], np.float32)
            quantization.zeroPoint = np.array([zero_point], np.int64)
            self._graph.tensors[number].quantization = quantization
        self._graph.inputs = [number]
        return number

    @contextlib.contextmanager
    def in_front(self) -> Iterator[None]:
        """Within the block, operators are added before all that were there."""
        later = self._graph.operators
        self._graph.operators = []
        yield
        self._graph.operators = [*self._graph.operators, *later]

    def pixel_convolution(
        self, tensor: int, kernel: np.ndarray, bias: np.ndarray, name: str
    ) -> int:
        """A convolution of one pixel, by ``float[channels in, out]``."""
        weights = np.ascontiguousarray(kernel.T[:, None, None, :], "<f4")
        inputs = [tensor, self._constant(f"{name}/kernel", weights)]
        inputs.append(self._constant(f"{name}/bias", bias.astype("<f4")))
        options = tflite.Conv2DOptionsT()
        options.padding = tflite.Padding.VALID
        options.strideW = options.strideH = 1
        options.dilationWFactor = options.dilationHFactor = 1
        return self._operator("CONV_2D", inputs, self.shape(tensor), name, options)

    def dequantize(self, tensor: int, name: str) -> int:
        options = tflite.DequantizeOptionsT()
        return self._operator("DEQUANTIZE", [tensor], self.shape(tensor), name, options, 2)

    def quantize_into(self, tensor: int, output: int) -> None:
        """Writes a tensor into another one that is there already, in its quantization."""
        self._operator("QUANTIZE", [tensor], [], "", tflite.QuantizeOptionsT(), output=output)

    def write_into(self, tensor: int, output: int) -> None:
        """Makes the operator that makes a tensor write into another one of its type instead."""
        maker = next(op for op in self._graph.operators if tensor in op.outputs)
        maker.outputs = [output]

    def without_metadata(self) -> None:
        """Removes the metadata of the file."""
        self._file.metadata = []

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

    def sigmoid(self, tensor: int, name: str) -> int:
        return self._operator("LOGISTIC", [tensor], self.shape(tensor), name, None)

    def finish(self, outputs: list[int]) -> bytes:
        """The bytes of the file with these outputs."""
        self._graph.outputs = outputs
        self._file.signatureDefs = []  # of the outputs there were
        return pack(self._file, self._length)

    def _constant(self, name: str, values: np.ndarray) -> int:
        kind = _TYPES.INT32 if values.dtype.kind == "i" else _TYPES.FLOAT32
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
        self,
        code: str,
        inputs: list[int],
        shape: list[int],
        name: str,
        options: object | None,
        version: int = 1,
        output: int | None = None,
    ) -> int:
        operator_code = tflite.OperatorCodeT()
        operator_code.builtinCode = getattr(tflite.BuiltinOperator, code)
        operator_code.deprecatedBuiltinCode = operator_code.builtinCode
        operator_code.version = version
        self._file.operatorCodes.append(operator_code)
        operator = tflite.OperatorT()
        operator.opcodeIndex = len(self._file.operatorCodes) - 1
        operator.inputs = inputs
        made = self._tensor(name, shape, _TYPES.FLOAT32) if output is None else output
        operator.outputs = [made]
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(tflite.BuiltinOptions, kind)
            operator.builtinOptions = options
        self._graph.operators.append(operator)
        return operator.outputs[0]
