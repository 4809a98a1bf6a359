"""Whether a model sees who smokes: pictures with another look, or without the cigarette."""

import re

import numpy as np
from conftest import SHIPPED_KERAS, make_dataset, run_module

from edge_app.imaging import read_pixels
from train.data import assign_folds, find_examples
from train.shortcuts import LOOKS, film_still, paint_over
from train.unseen import write_unseen


def test_looks_keep_shape_and_do_what_they_say(samples):
    pixels = read_pixels(samples / "astronaut.jpg")
    for name, look in LOOKS.items():
        changed = look(pixels)
        assert changed.shape == pixels.shape, name
        assert changed.dtype == np.uint8, name
        assert (changed != pixels).any(), name
    still = film_still(pixels)
    assert not still[:28].any()
    assert not still[-28:].any()
    assert (still[..., 0] == still[..., 2]).all()
    assert 70 < still[28:-28].mean() < 110


def test_painting_over_leaves_nothing_of_what_is_in_the_box():
    pixels = np.full((224, 224, 3), 90, np.uint8)
    pixels[100:120, 50:100] = (255, 0, 0)
    over = paint_over(pixels, np.array([[50, 100, 100, 120]]) / 224)
    assert np.abs(over.astype(int) - 90).max() <= 5  # it rounds
    assert (pixels[110, 60] == (255, 0, 0)).all()


def test_the_command_says_what_is_called_smoking_and_when(tmp_path):
    dataset = make_dataset(tmp_path / "halves", count=6)
    examples = find_examples(dataset)
    scores, boxes = tmp_path / "scores.csv", tmp_path / "boxes.csv"
    write_unseen(scores, examples, assign_folds(examples, 2), np.full(len(examples), 0.5))
    rows = {f"{e.name},smoked,0.4,0.4,0.6,0.6" for e in examples if e.smoking}
    boxes.write_text("\n".join(["picture,kind,left,top,right,bottom", *sorted(rows)]) + "\n")
    command = ("train.shortcuts", SHIPPED_KERAS, dataset, "--unseen", scores, "--boxes", boxes)
    result = run_module(*command, "--false-alarms", "0.4")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "18 pictures without smoking, called Smoking:"
    assert [line.split("  ")[1] for line in lines[1:5]] == ["as they are", *LOOKS]
    assert float(re.search(r"([\d.]+)%", lines[1])[1]) <= 40
    assert lines[5] == "18 pictures of halves with smoking, called Smoking:"
    assert lines[7].startswith("  what is smoked painted over")
    boxes.write_text("picture,kind,left,top,right,bottom\n")
    refused = run_module(*command)
    assert refused.returncode == 2
    assert "no pictures of both classes" in refused.stderr
