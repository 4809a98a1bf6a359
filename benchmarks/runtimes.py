"""Where two sets of kernels round an integer model differently, operator by operator.

    python -m benchmarks.runtimes MODEL.tflite PICTURES

Every operator gets the same input from XNNPACK and from TFLite's own kernels (those of older
runtimes and small boards): what XNNPACK made of the pictures up to there.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as tflite
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from benchmarks.machine import describe_machine
from convert.graph import alone, code_of, read
from edge_app.imaging import find_pictures, read_pixels
from edge_app.runtime import native_messages_to


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--count", type=int, default=3)
    options = parser.parse_args()
    file = read(options.model.read_bytes())
    size = int(file.subgraphs[0].tensors[file.subgraphs[0].inputs[0]].shape[1])
    paths = list(find_pictures(options.pictures))[: options.count]
    print(f"{options.model.name}, {len(paths)} pictures, {describe_machine()}")
    with native_messages_to(os.devnull):
        shares = differing(file, np.stack([read_pixels(path, size) for path in paths]))
    for kind, values in shares.items():
        print(
            f"{kind:<20} {len(values):>3} operators  differ by a step or more: "
            f"mean {np.mean(values):.4%}, most {np.max(values):.4%}"
        )


def differing(file: tflite.ModelT, pixels: np.ndarray) -> dict[str, list[float]]:
    """The share of integer values that differ, by kind of operator."""
    names = {value: name for name, value in vars(tflite.BuiltinOperator).items() if name.isupper()}
    graph = file.subgraphs[0]
    values = {int(graph.inputs[0]): pixels[:, None]}
    shares = defaultdict(list)
    for operator in graph.operators:
        inputs = [int(number) for number in operator.inputs if number in values]
        model = alone(file, operator, inputs)
        pictures = list(zip(*(values[number] for number in inputs), strict=True))
        made = run(model, pictures, OpResolverType.AUTO)
        values[int(operator.outputs[0])] = made
        if made.dtype == np.int8:
            others = run(model, pictures, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
            shares[names[code_of(file, operator)]].append(float((made != others).mean()))
    return dict(shares)


def run(model: bytes, pictures: list, kernels: OpResolverType) -> np.ndarray:
    interpreter = Interpreter(
        model_content=model, num_threads=1, experimental_op_resolver_type=kernels
    )
    interpreter.allocate_tensors()
    given, (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = []
    for inputs in pictures:
        for tensor, value in zip(given, inputs, strict=True):
            interpreter.set_tensor(tensor["index"], value)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(made["index"]))
    return np.stack(outputs)


if __name__ == "__main__":
    main()
