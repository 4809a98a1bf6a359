"""Integers that every runtime rounds alike."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from conftest import SHIPPED_KERAS

from convert.canonical import canonicalize
from convert.loading import load_classifier
from convert.quantize import to_tflite
from convert.ranges import METHODS, set_ranges
from convert.rounding import even_divisors, round_alike
from edge_app.imaging import find_pictures, read_pixels

XNNPACK = OpResolverType.AUTO
TFLITE = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES


def once(total: np.ndarray, divisor: int) -> np.ndarray:
    """Division as XNNPACK does it: one float multiplication, ties to even."""
    scale = np.nextafter(np.float32(1 / divisor), np.float32(1))
    while float(scale) * divisor < 1 + 2**-23:
        scale = np.nextafter(scale, np.float32(1))
    return np.rint(total.astype(np.float32) * scale).astype(np.int64)


def twice(total: np.ndarray, divisor: int) -> np.ndarray:
    """Division as TFLite does it: a multiplication in fixed point and a shift, each rounded."""
    mantissa, exponent = np.frexp((1 + 2**-23) / divisor)
    high = (total * round(float(mantissa) * 2**31) + 2**30) >> 31
    shift = -int(exponent)
    return (high + (1 << (shift - 1))) >> shift if shift else high


def test_what_is_divided_by_these_numbers_is_rounded_alike():
    chosen = np.unique(even_divisors(np.geomspace(3, 6000, 400))).astype(int)
    assert len(chosen) > 200
    for divisor in chosen:
        # All that is near a tie, where roundings differ.
        ties = divisor // 2 + divisor * np.arange(256)
        totals = (ties[:, None] + np.arange(-3, 4)).clip(0).ravel()
        assert np.array_equal(once(totals, divisor), twice(totals, divisor)), divisor


def test_by_other_numbers_it_is_not():
    totals = np.arange(256 * 255)
    assert not np.array_equal(once(totals, 255), twice(totals, 255))
    assert not set(even_divisors(np.array([255.0, 256.0]))) & {255, 256}


def outputs(model: bytes, pictures: np.ndarray, kernels: OpResolverType) -> np.ndarray:
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    found = []
    for pixels in pictures:
        interpreter.set_tensor(given["index"], pixels[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(made["index"]))
    return np.concatenate(found)


@pytest.fixture(scope="module")
def networks(samples):
    """The shipped network in integers by TensorFlow's converter, in float, and pictures for it."""
    canonical = canonicalize(load_classifier(SHIPPED_KERAS))
    pictures = np.stack([read_pixels(path, canonical.size) for path in find_pictures(samples)])
    integer, original = to_tflite(canonical, "int8", pictures), to_tflite(canonical, "float32")
    return integer, original, canonical.to_input(pictures), pictures


@pytest.mark.parametrize("method", METHODS)
def test_two_sets_of_kernels_make_the_same_feature_map(networks, method):
    integer, original, inputs, pictures = networks
    ranged = set_ranges(integer, original, inputs, method)
    model = round_alike(ranged, original)
    first, second = (outputs(model, pictures, kernels) for kernels in (XNNPACK, TFLITE))
    assert first.std() > 0.1
    assert np.allclose(first, second, rtol=1e-6, atol=1e-6)  # dequantized: the same integers


def test_they_do_not_where_the_converter_chose_the_scales(networks):
    integer, _, _, pictures = networks
    first, second = (outputs(integer, pictures, kernels) for kernels in (XNNPACK, TFLITE))
    assert abs(first - second).max() > 0.01
