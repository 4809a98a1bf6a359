"""An evaluation of another origin beside a model does not stop the web page."""

import dataclasses
import json

import pytest

pytest.importorskip("gradio")

from edge_app.web.about import about


@pytest.mark.parametrize(
    "content",
    [
        "not JSON",
        "[]",
        "null",
        "{}",
        '{"sha256": 5}',
        '{"sha256": "SHA", "datasets": []}',
        '{"sha256": "SHA", "datasets": {"a": 1}}',
        '{"sha256": "SHA", "datasets": {"a": {"classes": {"Smoking": {}, "NotSmoking": {}}}}}',
        '{"sha256": "SHA", "datasets": {"a": {"classes": null, "pictures": "x"}}}',
        "[" * 100_000,
        "\xff",
    ],
    ids=range(11),
)
def test_it_is_left_out(tmp_path, classifier, content):
    (tmp_path / "evaluation").mkdir()
    file = tmp_path / "evaluation" / "evaluation.json"
    file.write_bytes(content.replace("SHA", classifier.info.sha256).encode("latin-1"))
    info = dataclasses.replace(classifier.info, path=tmp_path / "model.tflite")
    (tmp_path / "model.tflite").write_bytes(b"")
    assert "about_figures" not in about("en", info)
    assert json.dumps(about("id", info))
