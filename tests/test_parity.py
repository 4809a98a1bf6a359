"""The parity check: what it measures, and that the committed one still holds."""

import json

import numpy as np
import pytest
from conftest import ROOT, SHIPPED_INT8, SHIPPED_KERAS

from convert.containers import opened
from convert.conversion import Options, prepare
from convert.parity import Agreement, FileParity, check, compare, to_table, write_report
from convert.pictures import for_calibration
from edge_app.imaging import find_pictures

PARITY = ROOT / "models" / "evaluation" / "conversion.json"


def test_flips_differences_and_accuracy_are_counted():
    ours = np.array([0.1, 0.6, 0.9, 0.4])
    theirs = np.array([0.1, 0.4, 0.8, 0.4])
    agreement = compare(theirs, ours, 0.5, (False, True, True, None))
    assert (agreement.pictures, agreement.flips, agreement.labelled) == (4, 1, 3)
    assert agreement.mean_difference == pytest.approx(0.075)
    assert agreement.max_difference == pytest.approx(0.2)
    assert agreement.keras_accuracy == pytest.approx(2 / 3)
    assert agreement.accuracy == 1
    assert not agreement.is_enough
    assert compare(theirs, theirs, 0.5).accuracy is None


def test_a_report_is_json_and_a_table(tmp_path):
    part = Agreement(8, 1, 0.01, 0.1, 8, 0.75, 0.875)
    parity = FileParity("int8", 2_750_000, part, part, {1: 3.2, 2: 2.5})  # nothing was calibrated
    for name in ("new/parity", "new/parity.json", "new/parity.md"):
        data, text = write_report(tmp_path / name, "model.keras", [parity])
        assert (data, text) == (tmp_path / "new" / "parity.json", tmp_path / "new" / "parity.md")
    assert json.loads(data.read_text())["files"][0]["unseen"]["accuracy"] == 0.875
    row = to_table([parity]).splitlines()[-1]
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        *("int8", "2.75", "8 held out", "1", "0.0100", "0.1000", "75.0%", "87.5%", "3.2", "2.5")
    ]
    assert row in text.read_text()


def test_two_parts_that_are_equal_by_chance_are_two_rows():
    calibration, unseen = (Agreement(8, 0, 0.0, 0.0) for _ in range(2))
    table = to_table([FileParity("int8", 1, calibration, unseen, {1: 1.0, 2: 1.0})])
    assert "8 calibration" in table and "8 held out" in table


@pytest.mark.slow
def test_the_committed_parity_check_holds(real_data):
    """Measures the shipped file again on the pictures of the command in docs/training.md."""
    (committed,) = json.loads(PARITY.read_text())["files"]
    sets = ("smoker/Training", "stanford40", "no_person", "smoking_web", "smoking_wild")
    if missing := [name for name in sets if not (real_data / name).is_dir()]:
        pytest.skip(f"needs {', '.join(missing)} in {real_data}")
    pictures = for_calibration([p for name in sets for p in find_pictures(real_data / name)])
    count = committed["unseen"]["pictures"]
    with opened(SHIPPED_KERAS) as found:
        parts = prepare(found, pictures, Options(count=count), say=lambda line: None).parts
    parity = check("int8", SHIPPED_INT8, parts)
    assert committed["size"] == SHIPPED_INT8.stat().st_size
    for name, measured in (("calibration", parity.calibration), ("unseen", parity.unseen)):
        promised = committed[name]
        assert measured.pictures == promised["pictures"]
        # Keras computes in another order on other processors, which is far below these.
        assert measured.flips <= promised["flips"] + 1
        assert measured.mean_difference == pytest.approx(promised["mean_difference"], abs=5e-4)
        assert measured.max_difference == pytest.approx(promised["max_difference"], abs=5e-3)
