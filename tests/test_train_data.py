"""Where labelled pictures come from: folders, tables, groups, splits, boxes."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from packaging.version import Version
from PIL import Image

from train.data import (
    TRAINING,
    VALIDATION,
    DatasetError,
    Example,
    assign_splits,
    describe,
    draw_weights,
    find_examples,
    load_picture,
    read_pictures,
    read_table,
    write_table,
)
from train.recipe import SHIPPED, find_data, read_recipe

TABLE = SHIPPED.with_name("splits.csv")


def put(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    return folder


def labels(folder: Path, **stated) -> dict[str, bool]:
    return {
        e.path.relative_to(folder.resolve()).as_posix(): e.smoking
        for e in find_examples(folder, **stated)
    }


def test_names_of_folders_give_the_labels(tmp_path):
    folder = put(tmp_path / "set", "Smoking/a.png", "not_smoking/b.png", "drinking/c.png")
    assert labels(folder) == {
        **{"Smoking/a.png": True, "not_smoking/b.png": False, "drinking/c.png": False}
    }


@pytest.mark.parametrize("name", ["smoker", "cigarette", "smoking_ban_sign", "vaping", "No smoke"])
def test_a_name_that_may_mean_either_is_refused_until_it_is_stated(name, tmp_path):
    folder = put(tmp_path / "set", f"{name}/a.png", "other/b.png")
    with pytest.raises(DatasetError, match=f"--positive {name} or --negative {name}"):
        find_examples(folder)
    assert labels(folder, positive=[name])[f"{name}/a.png"] is True
    assert labels(folder, negative=[name])[f"{name}/a.png"] is False


def test_the_outermost_folder_that_says_something_decides(tmp_path):
    folder = put(tmp_path / "set", "NotSmoking/smoking_ban_sign/a.png", "Smoking/pipe/b.png")
    assert list(labels(folder).values()) == [False, True]


def test_the_name_of_the_set_itself_counts_only_where_it_has_no_folders(tmp_path):
    assert set(labels(put(tmp_path / "notsmoking", "a.png", "b.png")).values()) == {False}
    with pytest.raises(DatasetError, match="--positive smoking_wild"):
        find_examples(put(tmp_path / "smoking_wild", "a.png"))
    put(tmp_path / "smoker", "Smoking/a.png", "NotSmoking/b.png")
    assert sorted(labels(tmp_path / "smoker").values()) == [False, True]


def test_folders_that_say_nothing_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="no folder says which pictures show smoking"):
        find_examples(put(tmp_path / "set", "x/a.png", "y/b.png"))
    with pytest.raises(DatasetError, match="there is no such folder"):
        find_examples(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no pictures"):
        find_examples(tmp_path / "empty")


def test_split_folders_give_the_split(tmp_path):
    folder = put(tmp_path / "set", "train/smoking/a.png", "val/smoking/b.png", "Test/other/c.png")
    assert sorted(e.split for e in find_examples(folder)) == ["Testing", "Training", "Validation"]


def test_what_was_understood_is_shown(tmp_path):
    shown = describe(find_examples(put(tmp_path / "set", "smoking/a.png", "drinking/b.png")))
    assert "Smoking" in shown and "smoking 1" in shown and "drinking 1" in shown


def many(count: int, per_group: int = 4) -> list[Example]:
    return [
        Example(Path(f"{i}.png"), f"set/{i:03}.png", "set", "", i % 8 < 4, f"group{i // per_group}")
        for i in range(count)
    ]


def test_no_group_is_on_both_sides_of_the_split():
    split = assign_splits(many(240), 6, 7)
    of = {s: {e.group for e in split if e.split == s} for s in (TRAINING, VALIDATION)}
    assert not of[TRAINING] & of[VALIDATION]
    assert sum(e.split == VALIDATION for e in split) == pytest.approx(40, abs=8)
    assert {e.smoking for e in split if e.split == VALIDATION} == {True, False}


def test_the_split_depends_on_the_seed_alone():
    assert assign_splits(many(240)[::-1], 6, 7) == assign_splits(many(240), 6, 7)
    assert assign_splits(many(240), 6, 8) != assign_splits(many(240), 6, 7)


def test_a_split_that_is_there_is_kept():
    examples = many(48)
    split = assign_splits(
        [*(replace(e, split="Testing") for e in examples[:8]), *examples[8:]], 6, 7
    )
    assert [e.split for e in split[:8]] == ["Testing"] * 8
    assert {e.split for e in split[8:]} == {TRAINING, VALIDATION}


def test_too_few_groups_are_refused():
    with pytest.raises(DatasetError, match="at least 6 groups"):
        assign_splits(many(16), 6, 7)


def test_groups_come_from_a_table_beside_the_pictures(tmp_path):
    folder = put(tmp_path / "set", "smoking/a.png", "smoking/b.png", "other/c.png")
    (folder / "groups.csv").write_text("path,group\nsmoking/a.png,one\nsmoking/b.png,one\n")
    groups = [e.group for e in find_examples(folder)]
    assert groups == ["set/other/c.png", "one", "one"]
    (folder / "groups.csv").rename(tmp_path / "groups.csv")
    (tmp_path / "groups.csv").write_text("path,group\nset/smoking/a.png,two\n")
    assert [e.group for e in find_examples(folder)][1:] == ["two", "set/smoking/b.png"]


def test_pictures_with_a_wrong_label_are_left_out(tmp_path):
    folder = put(tmp_path / "set", "smoking/a.png", "smoking/b.png", "other/c.png", "other/d.png")
    (folder / "wrong_labels.csv").write_text("path,why\nsmoking/a.png,he holds a pen\n")
    (tmp_path / "wrong_labels.csv").write_text("path\nset/other/c.png\n")
    assert labels(folder) == {"smoking/b.png": True, "other/d.png": False}


def test_a_table_is_read_as_it_was_written(tmp_path):
    put(tmp_path / "set", *(f"{i:03}.png" for i in range(48)))
    examples = [replace(e, path=tmp_path / e.name) for e in assign_splits(many(48), 6, 7)]
    write_table(tmp_path / "t.csv", examples)
    assert read_table(tmp_path / "t.csv", tmp_path) == examples
    (tmp_path / "set" / "000.png").unlink()
    with pytest.raises(DatasetError, match=r"1 of the 48 pictures .* set/000\.png"):
        read_table(tmp_path / "t.csv", tmp_path)
    assert read_table(tmp_path / "t.csv", tmp_path / "elsewhere") == []


@pytest.mark.parametrize("rows", ["", "picture,set\n", "x"])
def test_a_table_with_other_columns_is_refused(rows, tmp_path):
    (tmp_path / "t.csv").write_text(rows)
    with pytest.raises(DatasetError, match="expected the columns"):
        read_table(tmp_path / "t.csv", tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.png,s,,0,g,Training,more", "line 2: expected 6 values"),
        ("a.png,s,,0,g", "line 2: expected 6 values"),
        ("a.png,s,,maybe,g,Training", "line 2: expected smoking 0 or 1"),
        ("a.png,s,,0,g,Trainig", "line 2: expected smoking 0 or 1"),
        ("a.png,s,,0,g,Training\na.png,s,,1,g,Testing", r"line 3: a\.png is in the table twice"),
        ("x" * 200_000, "cannot be read .*field larger"),
    ],
)
def test_a_row_that_makes_no_sense_is_named(rows, message, tmp_path):
    put(tmp_path, "a.png")
    (tmp_path / "t.csv").write_text(f"picture,set,kind,smoking,group,split\n{rows}\n")
    with pytest.raises(DatasetError, match=message):
        read_table(tmp_path / "t.csv", tmp_path)


def test_pictures_are_never_enlarged_and_their_shorter_side_is_limited(tmp_path):
    Image.new("RGB", (900, 600)).save(tmp_path / "large.png")
    Image.new("RGB", (90, 60)).save(tmp_path / "small.png")
    assert load_picture(tmp_path / "large.png").shape == (288, 432, 3)
    assert load_picture(tmp_path / "small.png").shape == (60, 90, 3)


def test_a_damaged_picture_is_named_and_left_out(tmp_path, capsys):
    folder = put(tmp_path / "set", "smoking/a.png", "other/b.png")
    (folder / "smoking" / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    read = list(read_pictures(find_examples(folder), load_picture))
    assert [example.path.name for example, _ in read] == ["b.png", "a.png"]
    assert all(picture.shape == (8, 8, 3) for _, picture in read)
    assert "bad.jpg" in capsys.readouterr().out


def test_boxes_are_shares_of_the_picture(tmp_path):
    folder = put(tmp_path / "set", "smoking/a.png", "other/b.png")
    table = folder / "boxes.csv"
    table.write_text("path,x0,y0,x1,y1\nsmoking/a.png,0.1,0.2,0.3,0.4\nsmoking/a.png,0,0,1,1\n")
    boxes = {e.path.name: e.boxes for e in find_examples(folder)}
    assert boxes == {"a.png": ((0.1, 0.2, 0.3, 0.4), (0, 0, 1, 1)), "b.png": ()}
    for line in ("a,0.5,0,0.5,1", "a,0,0,2,1", "a,x,0,1,1", "a,0,0,1"):
        table.write_text(f"path,x0,y0,x1,y1\n{line}\n")
        with pytest.raises(DatasetError, match="line 2"):
            find_examples(folder)


def test_shares_are_of_sets_and_kinds():
    examples = [replace(e, kind="a" if i < 12 else "b") for i, e in enumerate(many(24))]
    weights = draw_weights(examples, {"smoking": {"set": 0.9, "set/a": 0.1}})
    smoking = np.array([e.smoking for e in examples])
    kind_a = np.array([e.kind == "a" for e in examples])
    assert weights[smoking & kind_a].sum() == pytest.approx(0.1)
    assert weights[smoking & ~kind_a].sum() == pytest.approx(0.9)
    assert set(weights[~smoking]) == {1.0}
    with pytest.raises(DatasetError, match="set: has no share"):
        draw_weights(examples, {"smoking": {"other": 1.0}})


def test_a_folder_of_the_users_own_is_not_taken_for_the_projects_data(tmp_path):
    folder = put(tmp_path / "mine", "smoker/a.png", "other/b.png")
    with pytest.raises(DatasetError, match="--positive smoker"):
        find_data(read_recipe(), (folder,))


def test_a_recipe_of_ones_own_may_name_a_table(tmp_path):
    put(tmp_path / "data" / "set", *(f"{i:03}.png" for i in range(48)))
    (tmp_path / "mine.toml").write_text(SHIPPED.read_text().replace("splits.csv", "mine.csv"))
    write_table(tmp_path / "mine.csv", assign_splits(many(48), 6, 7))
    data = find_data(read_recipe(tmp_path / "mine.toml"), (tmp_path / "data",))
    assert data.known and len(data.of("all")) == 48
    assert len(data.of(TRAINING)) + len(data.of(VALIDATION)) == 48
    with pytest.raises(DatasetError, match="both labels among the 0 Testing pictures"):
        data.of("Testing")


def test_the_table_that_show_writes_is_taken_for_the_set_itself(tmp_path):
    """As for ``--data mine``, whose pictures are called ``mine/...`` in it."""
    folder = put(tmp_path / "mine", *(f"{a}/{i}.png" for a in ("Smoking", "b") for i in range(12)))
    shipped = SHIPPED.read_text()
    (tmp_path / "mine.toml").write_text(shipped.replace("splits.csv", "mine.csv"))
    found = find_data(read_recipe(), (folder,)).examples
    mended = [replace(e, split=TRAINING, smoking=not e.smoking) for e in found]
    write_table(tmp_path / "mine.csv", mended)
    data = find_data(read_recipe(tmp_path / "mine.toml"), (folder,))
    assert data.known
    assert {(e.name, e.split, e.smoking) for e in data.examples} == {
        (e.name, e.split, e.smoking) for e in mended
    }
    (tmp_path / "mine.csv").unlink()
    with pytest.raises(DatasetError, match="is missing, or names no picture"):
        find_data(read_recipe(tmp_path / "mine.toml"), (folder,))
    write_table(tmp_path / "mine.csv", assign_splits(many(48), 6, 7))
    with pytest.raises(DatasetError, match="is missing, or names no picture"):
        find_data(read_recipe(tmp_path / "mine.toml"), (folder,))


def test_a_recipe_without_shares_or_a_table_needs_neither(tmp_path):
    folder = put(tmp_path / "mine", *(f"{a}/{i}.png" for a in ("Smoking", "b") for i in range(12)))
    text = re.sub(r"^splits = .*\n", "", SHIPPED.read_text(), flags=re.MULTILINE)
    text = re.sub(r"\[shares\.\w+\]\n(.+\n)+", "", text)
    assert "shares." not in text and "splits =" not in text
    (tmp_path / "mine.toml").write_text(text)
    recipe = read_recipe(tmp_path / "mine.toml")
    assert recipe.shares == {} and len(find_data(recipe, (folder,)).of("all")) == 24


def test_the_committed_tables_agree_with_each_other(tmp_path):
    put(tmp_path, TABLE.read_text().splitlines()[1].split(",")[0])
    with pytest.raises(DatasetError, match="8719 of the 8720 pictures"):
        find_data(read_recipe(), (tmp_path,))
    names = column("splits.csv")
    wrong = column("wrong_labels.csv")
    assert wrong and not wrong & names
    assert column("boxes.csv") <= names | wrong


def column(name: str) -> set[str]:
    """The pictures named in a committed table."""
    return {line.split(",")[0] for line in TABLE.with_name(name).read_text().splitlines()[1:]}


def test_the_committed_split_is_what_the_function_makes(real_data):
    if not (real_data / "no_person").is_dir():
        pytest.skip("needs the newer sets")
    if Version(version("scikit-learn")) < Version("1.8"):
        pytest.skip(
            "needs scikit-learn 1.8, by which the table was made: older ones shuffle otherwise"
        )
    committed = read_table(TABLE, real_data)
    sets = sorted(p for p in real_data.iterdir() if p.is_dir())
    found = [e for folder in sets for e in find_examples(folder, positive=["smoking_wild"])]
    wrong = column("wrong_labels.csv")
    older = ("smoker", "stanford40", "smoking_wild")
    old = {e.name: e for e in committed if e.dataset in older}
    known = {"kind", "group", "split"}
    examples = [
        replace(e, **{name: getattr(old[e.name], name) for name in known}) if e.name in old else e
        for e in found
        if e.name not in wrong
    ]
    recipe = read_recipe()
    made = assign_splits(examples, recipe.data.folds, recipe.data.seed)
    assert {e.name: (e.group, e.split) for e in made} == {
        e.name: (e.group, e.split) for e in committed
    }


def test_too_few_pictures_are_counted_in_plain_words(tmp_path, samples):
    for label in ("Smoking", "NotSmoking"):
        for number in range(3):
            (tmp_path / "set" / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(samples / "coffee.jpg", tmp_path / "set" / label / f"{number}.jpg")
    examples = find_examples(tmp_path / "set")
    with pytest.raises(DatasetError, match="expected at least 6 groups of a kind"):
        assign_splits(examples, 6, 1)


@pytest.mark.parametrize("options", [{"positive": ["nosuch"]}, {"negative": ["Smoking", "phonig"]}])
def test_a_stated_folder_that_is_not_there_is_an_error(options, tmp_path, samples):
    for label in ("Smoking", "NotSmoking", "phoning"):
        (tmp_path / "set" / label).mkdir(parents=True)
        shutil.copy(samples / "coffee.jpg", tmp_path / "set" / label)
    with pytest.raises(DatasetError, match="no folder with pictures is called"):
        find_data(read_recipe(), [tmp_path / "set"], assign=False, **options)
