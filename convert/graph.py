"""What the steps of the conversion need to read and change in a ``.tflite`` file's graph."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tflite

from edge_app.runtime import make_interpreter

OUTPUT_AXES = {
    tflite.BuiltinOperator.CONV_2D: 0,
    tflite.BuiltinOperator.DEPTHWISE_CONV_2D: 3,
}
"""Where the weights of a convolution have their output channels, by its kind."""

RAISED = b"/raised"
"""End of the name of a convolution's output that `convert.rounding` moved above zero."""

_KINDS = {tflite.TensorType.FLOAT32: "<f4", tflite.TensorType.INT32: "<i4"}


@dataclass(frozen=True)
class Convolution:
    """A convolution with a bias in a graph.

    Attributes:
        name: of its output, in the float model and in the integer model alike.
        operator: the operator.
        axis: where its weights have the output channels.
        raised: how much its output is larger than in the float model.
    """

    name: bytes
    operator: tflite.OperatorT
    axis: int
    raised: float

    @property
    def short_name(self) -> str:
        """``model/block_1_project_BN/batchnorm/add_1;model/...`` is called by its layer."""
        first = self.name.decode().split(";")[0].split("/")
        parts = [part for part in first if part != "batchnorm"]
        return parts[-2] if len(parts) > 1 else parts[-1]


def read(model: bytes) -> tflite.ModelT:
    """The file as objects that can be changed."""
    return tflite.ModelT.InitFromPackedBuf(model, 0)


def pack(file: tflite.ModelT, size: int = 1 << 16) -> bytes:
    """The bytes of a file, of which about so many are expected."""
    builder = flatbuffers.Builder(size + 65536)
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def code_of(file: tflite.ModelT, operator: tflite.OperatorT) -> int:
    """What kind of operator it is, a `tflite.BuiltinOperator`."""
    code = file.operatorCodes[operator.opcodeIndex]
    return max(code.builtinCode, code.deprecatedBuiltinCode)  # old files know the second alone


def convolutions(file: tflite.ModelT) -> dict[bytes, Convolution]:
    """The convolutions with a bias, in order, by the name of their output."""
    graph = file.subgraphs[0]
    # Where the graph ends, the tensor with the float model's name is the dequantized one.
    float_names = {
        int(operator.inputs[0]): graph.tensors[operator.outputs[0]].name
        for operator in graph.operators
        if code_of(file, operator) == tflite.BuiltinOperator.DEQUANTIZE
    }
    by_name = {tensor.name: tensor for tensor in graph.tensors}
    found = {}
    for operator in graph.operators:
        code = code_of(file, operator)
        if code not in OUTPUT_AXES or len(operator.inputs) < 3 or operator.inputs[2] < 0:
            continue
        number = int(operator.outputs[0])
        tensor, raised = graph.tensors[number], 0.0
        name = float_names.get(number, tensor.name)
        if name.endswith(RAISED):
            name = name.removesuffix(RAISED)
            places = (by_name[name].quantization, tensor.quantization)
            raised = float(places[0].scale[0] * (places[0].zeroPoint[0] - places[1].zeroPoint[0]))
        found[name] = Convolution(name, operator, OUTPUT_AXES[code], raised)
    return found


def constant(file: tflite.ModelT, number: int) -> np.ndarray:
    """The values of a constant tensor."""
    tensor = file.subgraphs[0].tensors[number]
    data = np.asarray(file.buffers[tensor.buffer].data, np.uint8)
    return data.view(_KINDS.get(tensor.type, "i1")).reshape(tensor.shape)


def set_constant(file: tflite.ModelT, number: int, values: np.ndarray) -> None:
    """Gives a constant tensor other values, in a buffer of its own: equal ones share one."""
    tensor = file.subgraphs[0].tensors[number]
    buffer = tflite.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    file.buffers.append(buffer)
    tensor.buffer = len(file.buffers) - 1


def drop_unused_buffers(file: tflite.ModelT) -> None:
    """Empties the buffers that no tensor has any more."""
    used = {tensor.buffer for tensor in file.subgraphs[0].tensors}
    used |= {entry.buffer for entry in file.metadata or []}
    for number, buffer in enumerate(file.buffers):
        if number not in used:
            buffer.data = None


def with_outputs(model: bytes, names: Sequence[bytes]) -> bytes:
    """The network up to the last of these tensors, which become its outputs."""
    file = read(model)
    graph = file.subgraphs[0]
    places = {graph.tensors[op.outputs[0]].name: n for n, op in enumerate(graph.operators)}
    graph.outputs = [graph.operators[places[name]].outputs[0] for name in names]
    graph.operators = graph.operators[: max(places[name] for name in names) + 1]
    file.signatureDefs = []
    return pack(file, len(model))


def cut(file: tflite.ModelT, output: int) -> None:
    """Makes a tensor the only output and drops the operators that it does not need."""
    graph = file.subgraphs[0]
    needed, kept = {output}, []
    for operator in reversed(graph.operators):
        if needed & {int(number) for number in operator.outputs}:
            kept.append(operator)
            needed |= {int(number) for number in operator.inputs if number >= 0}
    graph.operators = kept[::-1]
    graph.outputs = [output]
    file.signatureDefs = []
    used = needed | {int(number) for number in graph.inputs}
    used |= {int(number) for operator in kept for number in operator.outputs}
    order = sorted(used)
    renumbered = {old: new for new, old in enumerate(order)} | {-1: -1}
    graph.tensors = [graph.tensors[number] for number in order]
    for operator in kept:
        operator.inputs = [renumbered[int(number)] for number in operator.inputs]
        operator.outputs = [renumbered[int(number)] for number in operator.outputs]
    graph.inputs = [renumbered[int(number)] for number in graph.inputs]
    graph.outputs = [renumbered[int(number)] for number in graph.outputs]
    drop_unused_buffers(file)


def alone(file: tflite.ModelT, operator: tflite.OperatorT, inputs: Sequence[int]) -> bytes:
    """A network of one operator of a graph, with these of its inputs as inputs."""
    graph = file.subgraphs[0]
    single = tflite.ModelT()
    single.version, single.buffers = file.version, [tflite.BufferT()]
    single.operatorCodes = [file.operatorCodes[operator.opcodeIndex]]
    part = tflite.SubGraphT()
    part.tensors, numbers = [], {-1: -1}
    for number in (*operator.inputs, *operator.outputs):
        if number in numbers:
            continue
        numbers[number] = len(part.tensors)
        tensor = copy.copy(graph.tensors[number])
        if file.buffers[tensor.buffer].data is None:
            tensor.buffer = 0
        else:
            single.buffers.append(file.buffers[tensor.buffer])
            tensor.buffer = len(single.buffers) - 1
        part.tensors.append(tensor)
    moved = copy.copy(operator)
    moved.opcodeIndex = 0
    moved.inputs = [numbers[number] for number in operator.inputs]
    moved.outputs = [numbers[number] for number in operator.outputs]
    part.operators = [moved]
    part.inputs = [numbers[number] for number in inputs]
    part.outputs = moved.outputs
    single.subgraphs = [part]
    return pack(single)


def run(model: bytes, inputs: Sequence[Sequence[np.ndarray]]) -> Iterator[list[np.ndarray]]:
    """Runs a model; yields its outputs for each list of its inputs."""
    interpreter, _ = make_interpreter(model, threads=2)
    given, made = interpreter.get_input_details(), interpreter.get_output_details()
    for values in inputs:
        for tensor, value in zip(given, values, strict=True):
            interpreter.set_tensor(tensor["index"], value)
        interpreter.invoke()
        yield [interpreter.get_tensor(tensor["index"]) for tensor in made]
