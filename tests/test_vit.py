"""The vision transformer that teaches: its weights from a file, and what it learns."""

import dataclasses
import math
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT, run_module
from PIL import Image

torch = pytest.importorskip("torch", reason="needs requirements-vit.txt")
onnx = pytest.importorskip("onnx", reason="needs requirements-vit.txt")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from train import dinov2, vit  # noqa: E402
from train.data import VALIDATION, Example  # noqa: E402
from train.model import build_model  # noqa: E402
from train.recipe import Recipe  # noqa: E402
from train.training import TrainingError  # noqa: E402
from train.unseen import read_unseen  # noqa: E402
from train.views import CELLS, Views  # noqa: E402

SIZE, WIDTH, PATCH = 42, dinov2.WIDTH, dinov2.PATCH
SIDE = SIZE // PATCH


@pytest.fixture(scope="module")
def weights():
    """By ``Dinov2Model``'s names, as numpy arrays; matrices ``[out, in]``."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.normal(0, 0.03, shape).astype(np.float32)

    given = {
        "embeddings.cls_token": normal(1, 1, WIDTH),
        "embeddings.patch_embeddings.projection.weight": normal(WIDTH, 3, PATCH, PATCH),
        "embeddings.patch_embeddings.projection.bias": normal(WIDTH),
        "layernorm.weight": 1 + normal(WIDTH),
        "layernorm.bias": normal(WIDTH),
    }
    for number in range(dinov2.BLOCKS):
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
    x = (pixels / 255 - np.array(dinov2.IMAGENET_MEAN)) / np.array(dinov2.IMAGENET_STD)
    patches = x.reshape(SIDE, PATCH, SIDE, PATCH, 3).transpose(0, 2, 4, 1, 3)
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
                len(x), dinov2.ATTENTION_HEADS, WIDTH // dinov2.ATTENTION_HEADS
            )
            for part in ("query", "key", "value")
        )
        logits = np.einsum("ihd,jhd->hij", query, key) / math.sqrt(WIDTH // dinov2.ATTENTION_HEADS)
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
    front, back = dinov2.load(file, SIZE)
    pixels = np.random.default_rng(2).integers(0, 256, (2, SIZE, SIZE, 3)).astype(np.float32)
    with torch.no_grad():
        tokens = front(torch.tensor(pixels))
        last = back.norm(back.blocks(tokens))
    for picture, given, whole in zip(pixels, tokens, last, strict=True):
        expected = expected_tokens(picture, weights, positions, dinov2.FROZEN)
        assert given.numpy() == pytest.approx(expected, abs=1e-3)
        expected = expected_tokens(picture, weights, positions, dinov2.BLOCKS)
        expected = normalized(expected, weights, "layernorm")
        assert whole.numpy() == pytest.approx(expected, abs=1e-3)


def test_positions_are_stretched_to_the_size_of_the_pictures(file):
    own, _ = dinov2.load(file, SIZE)
    larger, _ = dinov2.load(file, 2 * SIZE)
    assert larger.positions.shape == (1, 1 + (2 * SIDE) ** 2, WIDTH)
    assert (larger.positions[:, 0] == own.positions[:, 0]).all()
    square = larger.positions[0, 1:].view(2 * SIDE, 2 * SIDE, WIDTH)
    middle = own.positions[0, 1:].view(SIDE, SIDE, WIDTH)[1, 1]
    near = torch.cosine_similarity(square, middle, dim=-1)
    assert divmod(int(near.argmax()), 2 * SIDE) in {(2, 2), (2, 3), (3, 2), (3, 3)}


def test_an_exporter_may_leave_the_positions_their_name(file, positions, tmp_path):
    model = onnx.load(file)
    both = [i for i in model.graph.initializer if i.name in ("onnx::Concat_1", "onnx::Reshape_2")]
    for initializer in both:
        model.graph.initializer.remove(initializer)
    # A head's constants, of the same shape, are not taken for them.
    for name in ("backbone.embeddings.position_embeddings", "onnx::Add_0"):
        array = positions if name.startswith("backbone") else np.zeros_like(positions)
        model.graph.initializer.insert(0, numpy_helper.from_array(array, name))
    other = tmp_path / "named.onnx"
    onnx.save(model, other)
    expected, given = (dinov2.load(f, SIZE)[0].positions for f in (file, other))
    assert (expected == given).all()


def test_another_file_is_refused_by_its_name(file, tmp_path):
    with pytest.raises(TrainingError, match="LICENSE is not an ONNX file"):
        dinov2.load(ROOT / "LICENSE", SIZE)
    model = onnx.load(file)
    del model.graph.node[0]
    other = tmp_path / "other.onnx"
    onnx.save(model, other)
    with pytest.raises(TrainingError, match=r"other\.onnx is not a DINOv2.*query\.weight"):
        dinov2.load(other, SIZE)
    model = onnx.load(file)
    tokens = np.zeros((1, 4, WIDTH), np.float32)
    tokens = numpy_helper.from_array(tokens, "backbone.embeddings.register_tokens")
    model.graph.initializer.append(tokens)
    onnx.save(model, other)
    with pytest.raises(TrainingError, match="with registers"):
        dinov2.load(other, SIZE)
    model = onnx.load(file)
    onnx.save(model, other, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(TrainingError, match="weights are in another file"):
        dinov2.load(other, SIZE)


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
    views = vit.make_tokens(tmp_path, dinov2.load(file, SIZE)[0], views)
    folds = np.arange(24) // 2 % 2
    return vit.VitTeacher(file, views, examples, np.ones(24, bool), folds, recipe, tmp_path)


def test_tokens_are_those_of_the_frozen_half_and_go_on(file, transformer, monkeypatch):
    monkeypatch.setattr(vit, "_BATCH", 10)
    front, _ = dinov2.load(file, SIZE)
    folder, views = transformer.folder, transformer.views
    expected = np.array(views.features)
    with torch.no_grad():
        one = front(torch.tensor(views.pixels[1, :1]).float()).numpy()
    assert expected[1, :1] == pytest.approx(one, abs=0.1)
    views.features[1:] = 0
    views.features.flush()
    (folder / "tokens.done").write_text("3")  # the first view
    again = vit.make_tokens(folder, front, views).features
    assert (again[0] == expected[0]).all()
    assert again == pytest.approx(expected, abs=0.1)


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
    assert not list(transformer.folder.glob("*.pt"))


def test_it_gives_hints_for_the_cells_of_what_it_says(transformer):
    said, hints = transformer.says(0), transformer.hints(0)
    assert hints.tokens[0].shape == (3, 26, 1 + CELLS * CELLS, WIDTH)
    # Three patches a side make seven cells: the outer ones are the patches in the corners.
    tokens = torch.arange(-1.0, SIDE * SIDE).view(1, -1, 1).expand(1, -1, WIDTH)
    whole, *cells = vit._to_cells(tokens)[0, :, 0]
    assert whole == -1
    cells = torch.stack(cells).view(CELLS, CELLS)
    assert [cells[0, 0], cells[0, -1], cells[-1, 0], cells[-1, -1]] == [0, 2, 6, 8]
    assert float(cells.mean()) == pytest.approx(4)
    both = transformer.hints(None).tokens
    assert len(both) == 2
    assert (both[0] == hints.tokens[0]).all()
    assert (both[1] != hints.tokens[0]).any()
    assert (transformer.says(0) == said).all()


def test_a_run_that_was_broken_off_ends_where_it_would_have(transformer, tmp_path, monkeypatch):
    expected = np.array(transformer.says(0))
    part = dataclasses.replace(transformer, folder=tmp_path / "part")
    part.folder.mkdir()
    monkeypatch.setattr(vit, "CHECKPOINT_STEPS", 4)
    checkpoint = part.folder / "vit0.pt"
    real, calls = vit._loss, []

    def broken_off(*arguments):
        calls.append(arguments)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(vit, "_loss", broken_off)
    with pytest.raises(KeyboardInterrupt):
        part.says(0)
    assert torch.load(checkpoint, weights_only=True)["steps"] == 8

    # Broken off once more, after the training.
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(vit, "_to_cells", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        part.says(0)
    assert len(calls) == 10 + 12 - 8
    assert part.says(0) == pytest.approx(expected, abs=1e-4)
    assert len(calls) == 10 + 12 - 8
    assert not checkpoint.exists()


def test_the_whole_line(file, tmp_path):
    """`train --teacher --vit` on pictures that are told apart by a white square."""
    rng = np.random.default_rng(4)
    for group in ("Smoking", "NotSmoking"):
        folder = tmp_path / "squares" / "Training" / group
        folder.mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(0, 128, (64, 64, 3), np.uint8)
            if group == "Smoking":
                pixels[20:40, 20:40] = 255
            Image.fromarray(pixels).save(folder / f"{i}.png")
    names = [f"squares/{g}/{i}.png" for g in ("Smoking", "NotSmoking") for i in range(10)]
    unseen = tmp_path / "unseen.csv"
    unseen.write_text("picture\n" + "\n".join(names) + "\n")
    first, out = tmp_path / "first.keras", tmp_path / "student.keras"
    keras.utils.set_random_seed(0)
    build_model(None).save(first)

    def train(weights, *more):
        numbers = ("views=1", "blanks=2", "folds=2", "batch=4", "vit_steps=2", "decay=0.5")
        changes = [x for n in (*numbers, "steps=2", "final_steps=2") for x in ("--set", n)]
        data = ("--data", tmp_path / "squares", "--out", out, "--unseen", unseen)
        return run_module("train", *data, "--teacher", first, "--vit", weights, *changes, *more)

    folder = out.with_suffix(".training")
    refused = train(ROOT / "LICENSE")
    assert refused.returncode == 2
    assert "LICENSE is not an ONNX file" in refused.stderr
    assert not folder.exists()
    part = train(file, "--fold", "0")
    assert part.returncode == 0, part.stderr
    kept = {f.name for f in folder.iterdir()}
    assert {"tokens.npy", "vit0.npy", "hints0.npy", "fold0.npz"} <= kept
    assert not {"vit1.npy", "fold1.npz"} & kept
    whole = train(file)
    assert whole.returncode == 0, whole.stderr
    assert not folder.exists()
    scores = read_unseen(out.with_suffix(".csv"))
    assert {picture.name for picture in scores} == set(names)
    assert Counter(picture.fold for picture in scores) == {0: 10, 1: 10}
    begun, trained = (build_model(f).get_weights() for f in (first, out))
    assert [w.shape for w in trained] == [w.shape for w in begun]
    assert any((a != b).any() for a, b in zip(begun, trained, strict=True))


def test_a_picture_that_may_not_be_trained_on_is_not(transformer, monkeypatch):
    trained_on = []

    def nothing(back, training, *_):
        trained_on.extend(training.places)
        return back

    monkeypatch.setattr(vit, "_fine_tune", nothing)
    usable = np.arange(24) != 2
    dataclasses.replace(transformer, usable=usable).says(0)
    assert trained_on == [*np.flatnonzero((transformer.folds == 1) & usable), 24, 25]
