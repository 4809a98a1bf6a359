"""The vision transformer that teaches: its weights from a file, and what it learns."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

torch = pytest.importorskip("torch", reason="needs requirements-vit.txt")
onnx = pytest.importorskip("onnx", reason="needs requirements-vit.txt")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from train import vit  # noqa: E402
from train.data import VALIDATION, Example  # noqa: E402
from train.recipe import Recipe  # noqa: E402
from train.training import SHARPNESS, TrainingError, teacher  # noqa: E402
from train.views import CELLS, Views  # noqa: E402

SIZE, WIDTH = 42, vit.WIDTH
SIDE = SIZE // vit.PATCH


@pytest.fixture(scope="module")
def weights():
    """By ``Dinov2Model``'s names, as numpy arrays; matrices ``[out, in]``."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.normal(0, 0.03, shape).astype(np.float32)

    given = {
        "embeddings.cls_token": normal(1, 1, WIDTH),
        "embeddings.patch_embeddings.projection.weight": normal(WIDTH, 3, vit.PATCH, vit.PATCH),
        "embeddings.patch_embeddings.projection.bias": normal(WIDTH),
        "layernorm.weight": 1 + normal(WIDTH),
        "layernorm.bias": normal(WIDTH),
    }
    for number in range(vit.BLOCKS):
        layer = f"encoder.layer.{number}"
        for name, rows, columns in [
            *((f"attention.attention.{part}", WIDTH, WIDTH) for part in ("query", "key", "value")),
            ("attention.output.dense", WIDTH, WIDTH),
            ("mlp.fc1", 4 * WIDTH, WIDTH),
            ("mlp.fc2", WIDTH, 4 * WIDTH),
        ]:
            given[f"{layer}.{name}.weight"] = normal(rows, columns)
            given[f"{layer}.{name}.bias"] = normal(rows)
        for place in (1, 2):
            given[f"{layer}.norm{place}.weight"] = 1 + normal(WIDTH)
            given[f"{layer}.norm{place}.bias"] = normal(WIDTH)
            given[f"{layer}.layer_scale{place}.lambda1"] = 1 + normal(WIDTH)
    return given


@pytest.fixture(scope="module")
def positions():
    return np.random.default_rng(1).normal(size=(1, 1 + SIDE**2, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def file(weights, positions, tmp_path_factory):
    """As PyTorch's exporter writes it: matrices by number and transposed, positions in parts."""
    initializers = {"onnx::Concat_1": positions[:, :1], "onnx::Reshape_2": positions[:, 1:]}
    nodes = []
    for name, value in weights.items():
        if value.ndim == 2:
            number = f"onnx::MatMul_{len(nodes) + 3}"
            initializers[number] = value.T
            path = name.removesuffix(".weight").replace("layer.", "layer#").replace(".", "/")
            product = f"/backbone/{path.replace('#', '.')}/MatMul"
            nodes.append(helper.make_node("MatMul", ["x", number], [number + "_out"], product))
        else:
            initializers[f"backbone.{name}"] = value
    graph = helper.make_graph(
        nodes,
        "saliency",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [],
        [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in initializers.items()],
    )
    path = tmp_path_factory.mktemp("vit") / "vit.onnx"
    onnx.save(helper.make_model(graph), path)
    return path


def normalized(x, weights, name):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def dense(x, weights, name):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def expected_tokens(pixels, weights, positions, blocks):
    """DINOv2 by its formulas, of one picture, in float64."""
    x = (pixels / 255 - np.array(vit.MEAN)) / np.array(vit.DEVIATION)
    patches = x.reshape(SIDE, vit.PATCH, SIDE, vit.PATCH, 3).transpose(0, 2, 4, 1, 3)
    name = "embeddings.patch_embeddings.projection"
    kernel = weights[f"{name}.weight"].reshape(WIDTH, -1)
    x = patches.reshape(SIDE**2, -1) @ kernel.T + weights[f"{name}.bias"]
    x = np.concatenate([weights["embeddings.cls_token"][0], x]) + positions[0]
    erf = np.vectorize(math.erf)
    for number in range(blocks):
        layer = f"encoder.layer.{number}"
        y = normalized(x, weights, f"{layer}.norm1")
        query, key, value = (
            dense(y, weights, f"{layer}.attention.attention.{part}").reshape(
                len(x), vit.HEADS, WIDTH // vit.HEADS
            )
            for part in ("query", "key", "value")
        )
        logits = np.einsum("ihd,jhd->hij", query, key) / math.sqrt(WIDTH // vit.HEADS)
        attention = np.exp(logits - logits.max(-1, keepdims=True))
        attention /= attention.sum(-1, keepdims=True)
        seen = np.einsum("hij,jhd->ihd", attention, value).reshape(len(x), WIDTH)
        of_attention = dense(seen, weights, f"{layer}.attention.output.dense")
        x = x + weights[f"{layer}.layer_scale1.lambda1"] * of_attention
        y = dense(normalized(x, weights, f"{layer}.norm2"), weights, f"{layer}.mlp.fc1")
        y = dense(y * (1 + erf(y / math.sqrt(2))) / 2, weights, f"{layer}.mlp.fc2")
        x = x + weights[f"{layer}.layer_scale2.lambda1"] * y
    return x


def test_the_file_gives_the_tokens_of_dinov2(file, weights, positions):
    front, back = vit.load(file, SIZE)
    pixels = np.random.default_rng(2).integers(0, 256, (2, SIZE, SIZE, 3)).astype(np.float32)
    with torch.no_grad():
        tokens = front(torch.tensor(pixels))
        last = back.norm(back.blocks(tokens))
    for picture, given, whole in zip(pixels, tokens, last, strict=True):
        expected = expected_tokens(picture, weights, positions, vit.FROZEN)
        assert given.numpy() == pytest.approx(expected, abs=1e-3)
        expected = expected_tokens(picture, weights, positions, vit.BLOCKS)
        expected = normalized(expected, weights, "layernorm")
        assert whole.numpy() == pytest.approx(expected, abs=1e-3)


def test_positions_are_stretched_to_the_size_of_the_pictures(file):
    own, _ = vit.load(file, SIZE)
    larger, _ = vit.load(file, 2 * SIZE)
    assert larger.positions.shape == (1, 1 + (2 * SIDE) ** 2, WIDTH)
    assert (larger.positions[:, 0] == own.positions[:, 0]).all()
    square = larger.positions[0, 1:].view(2 * SIDE, 2 * SIDE, WIDTH)
    middle = own.positions[0, 1:].view(SIDE, SIDE, WIDTH)[1, 1]
    near = torch.cosine_similarity(square, middle, dim=-1)
    assert divmod(int(near.argmax()), 2 * SIDE) in {(2, 2), (2, 3), (3, 2), (3, 3)}


def test_another_file_is_refused_by_its_name(file, tmp_path):
    with pytest.raises(TrainingError, match="LICENSE is not an ONNX file"):
        vit.load(ROOT / "LICENSE", SIZE)
    model = onnx.load(file)
    del model.graph.node[0]
    other = tmp_path / "other.onnx"
    onnx.save(model, other)
    with pytest.raises(TrainingError, match=r"other\.onnx is not a DINOv2.*query\.weight"):
        vit.load(other, SIZE)


@pytest.fixture
def transformer(file, tmp_path):
    """Of 24 pictures and two blanks: those that smoke have a white square in their middle."""
    recipe = Recipe(views=2, blanks=2, folds=2, batch=8, vit_steps=12, vit_ema_momentum=0.5)
    rng = np.random.default_rng(3)
    examples = [Example(Path(f"{i}.jpg"), i % 2 == 0, "a", "b", VALIDATION) for i in range(24)]
    shows = np.array([e.smoking for e in examples] + [False, False])
    pixels = rng.integers(0, 128, (3, 26, SIZE, SIZE, 3)).astype(np.uint8)
    pixels[:, shows, 14:28, 14:28] = 255
    cells = np.zeros((3, 26, CELLS, CELLS), np.float16)
    cells[:, shows, 3, 3] = 1
    smoking = np.tile(shows.astype(np.float16), (3, 1))
    views = Views(np.empty((3, 26, 1), np.float16), cells, smoking, pixels)
    folds = np.arange(24) // 2 % 2
    return vit.VitTeacher(file, views, examples, np.ones(24, bool), folds, recipe, tmp_path)


def test_it_learns_and_says_what_it_has_not_been_told(transformer):
    said = transformer.says(0)
    assert said.shape == (3, 26)
    assert said.dtype == np.float32
    held_out = np.flatnonzero(transformer.folds == 0)
    labels = np.array([e.smoking for e in transformer.examples])[held_out]
    scores = said[-1, held_out]
    assert scores[labels].min() > scores[~labels].max()
    # The next fold's is another, and the last model learns from what both say.
    both = np.mean([said, transformer.says(1)], axis=0)
    assert transformer.says(None) == pytest.approx(both)
    assert (said != transformer.says(1)).any()
    # What is there is not trained again.
    (transformer.folder / "vit0.npy").write_bytes((transformer.folder / "vit1.npy").read_bytes())
    assert (transformer.says(0) == transformer.says(1)).all()


def test_it_gives_hints_for_the_cells_of_what_it_says(transformer):
    said, hints = transformer.says(0), transformer.hints(0)
    assert hints.tokens[0].shape == (3, 26, 1 + CELLS * CELLS, WIDTH)
    # Three patches a side make seven cells: the outer ones are the patches in the corners.
    patches = torch.arange(float(SIDE * SIDE)).view(1, -1, 1).expand(1, -1, WIDTH)
    cells = vit._to_cells(patches)[0, :, 0].view(CELLS, CELLS)
    assert [cells[0, 0], cells[0, -1], cells[-1, 0], cells[-1, -1]] == [0, 2, 6, 8]
    assert float(cells.mean()) == pytest.approx(4)
    both = transformer.hints(None).tokens
    assert len(both) == 2
    assert (both[0] == hints.tokens[0]).all()
    assert (both[1] != hints.tokens[0]).any()
    assert (transformer.says(0) == said).all()


def test_a_training_that_was_broken_off_goes_on(transformer, monkeypatch):
    monkeypatch.setattr(vit, "CHECKPOINT_STEPS", 4)
    kept = transformer.folder / "vit0.pt"
    real, calls = vit._loss, []

    def broken_off(*arguments):
        calls.append(arguments)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(vit, "_loss", broken_off)
    with pytest.raises(KeyboardInterrupt):
        transformer.says(0)
    assert torch.load(kept, weights_only=True)["steps"] == 8
    transformer.says(0)
    assert len(calls) == 10 + 12 - 8
    assert not kept.exists()


def test_a_student_hears_it_as_one_teacher_more():
    said = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    teach = teacher([], said)
    places = np.array([0, 1, 1]), np.array([1, 0, 1])
    expected = 1 / (1 + np.exp(-SHARPNESS * np.array([[2.0], [3.0], [4.0]])))
    assert teach(np.empty((3, 1)), *places) == pytest.approx(expected)


def test_a_picture_that_may_not_be_trained_on_is_not(transformer, monkeypatch):
    trained_on = []

    def nothing(back, training, *_):
        trained_on.extend(training.places)
        return back

    monkeypatch.setattr(vit, "_fine_tune", nothing)
    usable = np.arange(24) != 2
    dataclasses.replace(transformer, usable=usable).says(0)
    assert trained_on == [*np.flatnonzero((transformer.folds == 1) & usable), 24, 25]
