"""Ways to quantize a Keras classifier, side by side on real pictures.

    python -m benchmarks.quantization MODEL.keras --calibration DIR --held-out DIR [--only WORD]

For each way it prints the size of the file, how far its scores are from those of the Keras model
on held-out pictures, how far the runtimes differ from each other, and how long one inference
takes. docs/quantization.md has the table.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks.equalization import equalize
from benchmarks.machine import describe_machine
from convert.canonical import CanonicalModel, canonicalize
from convert.graph import pack, read
from convert.head import append_head
from convert.layers import correct_biases
from convert.loading import load_classifier
from convert.network import BIAS_PICTURES, RANGE_PICTURES
from convert.pictures import for_calibration, take_evenly
from convert.quantize import as_function, to_tflite
from convert.ranges import METHODS, set_ranges
from convert.rounding import round_alike
from edge_app.imaging import find_pictures, read_pixels
from edge_app.runtime import native_messages_to

try:
    from litert_quantizer import quantizer, recipe_manager
    from litert_quantizer.algorithm_manager import AlgorithmName
    from litert_quantizer.qtyping import TFLOperationName
except ImportError:
    quantizer = None  # its rows are left out, which is reported


@dataclass(frozen=True)
class Bench:
    """What every method starts from.

    Attributes:
        canonical: the model.
        pixels: to calibrate on, ``uint8[n, size, size, 3]``, in the order of `take_evenly`.
        original: the network without its head as a float32 ``.tflite``.
    """

    canonical: CanonicalModel
    pixels: np.ndarray
    original: bytes

    def inputs(self, count: int) -> np.ndarray:
        return self.canonical.to_input(self.pixels[:count])

    def converted(self, count: int) -> bytes:
        """TensorFlow's converter with its own ranges."""
        return to_tflite(self.canonical, "int8", self.pixels[:count])

    def corrected(self, integer: bytes, original: bytes, count: int = BIAS_PICTURES) -> bytes:
        canonical = self.canonical
        pixels = self.pixels[:count]
        return correct_biases(integer, original, pixels, canonical.low, canonical.high)

    def ours(self, ranges: str = "mse", count: int = RANGE_PICTURES, biases: int = BIAS_PICTURES):
        """Like `python -m convert`, with other choices."""
        integer = set_ranges(self.converted(8), self.original, self.inputs(count), ranges)
        return self.corrected(round_alike(integer, self.original), self.original, biases)

    def equalized(self, strength: float) -> bytes:
        original = equalize(self.original, self.inputs(RANGE_PICTURES), strength)
        inputs = self.inputs(RANGE_PICTURES)
        integer = set_ranges(self.converted(8), original, inputs)
        return self.corrected(round_alike(integer, original), original)

    def sixteen_by_eight(self) -> bytes:
        """Activations in 16 bits."""
        network = self.canonical.feature_map or self.canonical.features
        function = as_function(lambda pixels: network(pixels, training=False), self.canonical.size)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        kinds = tf.lite.OpsSet
        converter.target_spec.supported_ops = [
            kinds.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
        converter.representative_dataset = lambda: (
            [values[None]] for values in self.inputs(RANGE_PICTURES)
        )
        return converter.convert()

    def litert_quantizer(self, algorithm: str, float_layers: str = "") -> bytes:
        """By Google's quantizer; layers whose names match stay in float."""
        recipe = recipe_manager.RecipeManager()
        recipe.add_static_config(
            regex=".*",
            operation_name=TFLOperationName.ALL_SUPPORTED,
            activation_num_bits=8,
            weight_num_bits=8,
            algorithm_key=AlgorithmName[algorithm],
        )
        left = [(".*", TFLOperationName.INPUT), (".*", TFLOperationName.OUTPUT)]
        if float_layers:
            left.append((float_layers, TFLOperationName.ALL_SUPPORTED))
        for regex, operation in left:
            recipe.add_quantization_config(
                regex=regex, operation_name=operation, algorithm_key=AlgorithmName.NO_QUANTIZE
            )
        with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
            file.write(_with_signature(self.original))
            file.flush()
            tool = quantizer.Quantizer(file.name, recipe.get_quantization_recipe())
            samples = [{"pixels": values[None]} for values in self.inputs(RANGE_PICTURES)]
            seen = tool.calibrate({"serving_default": samples}, num_threads=2)
            return _with_buffers_inside(bytes(tool.quantize(seen).quantized_model))


def ways(bench: Bench) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The name of each method and the function that makes its network."""
    few, some, many = 16, RANGE_PICTURES, len(bench.pixels)
    for form in ("float32", "float16", "dynamic"):
        yield f"{form}", lambda form=form: to_tflite(bench.canonical, form)
    for count in (few, some, many):
        yield f"converter, {count} pictures", lambda count=count: bench.converted(count)
    yield (
        f"converter, {some} pictures, biases corrected",
        lambda: bench.corrected(bench.converted(some), bench.original),
    )
    if quantizer:
        for algorithm in ("MIN_MAX_UNIFORM_QUANT", "MSE", "OCTAV"):
            yield (
                f"litert-quantizer {algorithm}",
                lambda algorithm=algorithm: bench.litert_quantizer(algorithm),
            )
        yield (
            "litert-quantizer, first two blocks in float",
            lambda: bench.litert_quantizer(
                "MIN_MAX_UNIFORM_QUANT", r".*(Conv1|bn_Conv1|expanded_conv|block_1_).*"
            ),
        )
    yield "16-bit activations (16x8)", bench.sixteen_by_eight
    for ranges in METHODS:
        yield f"ours, ranges by {ranges}", lambda ranges=ranges: bench.ours(ranges)
    yield f"ours, ranges from {few} pictures", lambda: bench.ours(count=few)
    yield f"ours, ranges from {many} pictures", lambda: bench.ours(count=many)
    yield f"ours, biases from {few} pictures", lambda: bench.ours(biases=few)
    yield f"ours, biases from {many} pictures", lambda: bench.ours(biases=many)
    for strength in (0.5, 1.0):
        yield (
            f"ours, channels equalized (strength {strength})",
            lambda strength=strength: bench.equalized(strength),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--calibration", type=Path, required=True, action="append")
    parser.add_argument("--held-out", type=Path, required=True, action="append")
    parser.add_argument(
        "--pictures",
        type=int,
        default=200,
        help="maximum number for calibration, and for comparison",
    )
    parser.add_argument("--keep", type=Path, help="write the files to this folder")
    parser.add_argument("--only", default="", help="run only methods whose names contain this")
    options = parser.parse_args()

    canonical = canonicalize(load_classifier(options.model))
    kinds = []
    for folders in (options.calibration, options.held_out):
        found = [path for folder in folders for path in find_pictures(folder)]
        paths = take_evenly(for_calibration(found), "Smoking")[: options.pictures]
        kinds.append(np.stack([read_pixels(path, canonical.size) for path in paths]))
    pixels, held_out = kinds
    expected = canonical.original_scores(held_out)

    print(f"{options.model.name}, {len(pixels)} calibration pictures, {len(held_out)} held-out")
    print(describe_machine())
    if not quantizer:
        print("Without litert-quantizer's rows: pip install litert-quantizer")
    print(
        "\n| way | MB | other label | mean diff. | largest | runtimes apart, mean | largest | ms |"
        "\n|---|---:|---:|---:|---:|---:|---:|---:|"
    )
    with native_messages_to(os.devnull):
        bench = Bench(canonical, pixels, to_tflite(canonical, "float32"))
        for name, make in ways(bench):
            if options.only not in name:
                continue
            model = append_head(make(), canonical.head)
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / f"{name.replace(' ', '_')}.tflite").write_bytes(model)
            print(row(name, model, canonical, held_out, expected), flush=True)


def row(
    name: str, model: bytes, canonical: CanonicalModel, held_out: np.ndarray, expected: np.ndarray
) -> str:
    """One row of the table."""
    scores, milliseconds = run(model, canonical, held_out, "AUTO")
    # The kernels of older runtimes and small boards; float kernels round no two ways.
    some = held_out[:40]
    others, _ = run(model, canonical, some, "BUILTIN_WITHOUT_DEFAULT_DELEGATES")
    difference, apart = abs(scores - expected), abs(scores[: len(some)] - others)
    flips = int(((scores >= 0.5) != (expected >= 0.5)).sum())
    return (
        f"| {name} | {len(model) / 1e6:.2f} | {flips} | {difference.mean():.4f} "
        f"| {difference.max():.4f} | {apart.mean():.5f} | {apart.max():.5f} "
        f"| {milliseconds:.1f} |"
    )


def run(
    model: bytes, canonical: CanonicalModel, pixels: np.ndarray, kernels: str
) -> tuple[np.ndarray, float]:
    """P(Smoking) of each picture, and the median time of an inference on one thread."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=model,
        num_threads=1,
        experimental_op_resolver_type=getattr(OpResolverType, kernels),
    )
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    values = pixels if given["dtype"] == np.uint8 else canonical.to_input(pixels)
    scores, times = [], []
    for picture in values:
        interpreter.set_tensor(given["index"], picture[None])
        start = time.perf_counter()
        interpreter.invoke()
        times.append((time.perf_counter() - start) * 1000)
        scores.append(float(interpreter.get_tensor(made["index"])[0, 1]))
    return np.array(scores), statistics.median(times)


def _with_buffers_inside(model: bytes) -> bytes:
    """litert-quantizer puts constants behind the flatbuffer; the head goes into it."""
    file = read(model)
    for buffer in file.buffers:
        if buffer.offset > 1:
            place = slice(buffer.offset, buffer.offset + buffer.size)
            buffer.data = np.frombuffer(model[place], np.uint8)
            buffer.offset = buffer.size = 0
    return pack(file, len(model))


def _with_signature(model: bytes) -> bytes:
    """Names for input and output, by which litert-quantizer calls the model."""
    from ai_edge_litert import schema_py_generated as tflite

    file = read(model)
    graph = file.subgraphs[0]
    signature = tflite.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    for name, number in (("pixels", graph.inputs[0]), ("features", graph.outputs[0])):
        entry = tflite.TensorMapT()
        entry.name, entry.tensorIndex = name, int(number)
        if name == "pixels":
            signature.inputs = [entry]
        else:
            signature.outputs = [entry]
    file.signatureDefs = [signature]
    return pack(file, len(model))


if __name__ == "__main__":
    main()
