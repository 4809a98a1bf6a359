"""A picture that takes too long costs one row, and a model that is replaced is not mistaken."""

import dataclasses
import shutil
import time

import pytest
from conftest import SHIPPED_INT8
from corpus import scans

from edge_app import Classifier, ModelError, PictureError, limits, opening
from edge_app.scan import isolation, read_rows, run_scan

isolated = pytest.mark.skipif(not isolation.AVAILABLE, reason="needs processes that are forked")


@pytest.fixture
def short_limit(monkeypatch):
    """Half a second, and no look at how many scans there are."""
    monkeypatch.setattr(opening, "scans_problem", lambda scans, pixels: None)
    limits.set_max_seconds(0.5)
    yield
    limits.set_max_seconds(limits.MAX_SECONDS)


@isolated
def test_a_picture_that_takes_too_long_is_one_row(tmp_path, samples, classifier, short_limit):
    tree = tmp_path / "tree"
    shutil.copytree(samples, tree)
    for name in ("slow.jpg", "slower.jpg"):
        (tree / name).write_bytes(scans(6000))
    start = time.monotonic()
    run_scan(tree, tmp_path / "out.db", classifier.info)
    assert time.monotonic() - start < 60
    errors = {row.path.name: row.error for row in read_rows(tmp_path / "out.db") if row.error}
    assert errors.keys() == {"slow.jpg", "slower.jpg"}
    assert set(errors.values()) == {
        "takes longer than 0.5 s to decode; for more, set --max-seconds"
    }


@isolated
def test_waiting_for_a_disk_is_not_counted(tmp_path, samples, classifier, short_limit, monkeypatch):
    def slow(*arguments):
        time.sleep(1.5)
        return really(*arguments)

    really = isolation.classify_source
    monkeypatch.setattr(isolation, "classify_source", slow)  # in the processes that are forked
    pool = isolation.IsolatedClassifiers(classifier.info, 1)
    try:
        assert not isinstance(pool.classify(0, str(samples / "coffee.jpg")), PictureError)
    finally:
        pool.close()


def test_a_model_that_is_replaced_is_not_used_under_the_old_checksum(tmp_path, samples):
    model = tmp_path / "model.tflite"
    shutil.copy(SHIPPED_INT8, model)
    info = Classifier(model).info
    with pytest.raises(ModelError, match="was replaced while it was in use"):
        run_scan(samples, tmp_path / "out.db", dataclasses.replace(info, sha256="0" * 64))
    model.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        run_scan(samples, tmp_path / "out.db", info)
