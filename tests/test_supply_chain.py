"""What the package needs has licences that go with its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT


def test_the_licences_of_the_edge_set_are_known_and_go_with_ours():
    result = subprocess.run(
        [sys.executable, ROOT / ".ci" / "licences"], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "pillow" in result.stdout.lower()


def test_the_wheel_carries_licence_and_notice():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'license-files = ["LICENSE", "NOTICE"]' in text
    assert "smoking_mobilenetv2_int8.tflite" in (ROOT / "NOTICE").read_text(encoding="utf-8")


def test_a_gpl_library_in_a_wheel_is_found_and_explained_in_the_notice(tmp_path):
    av = pytest.importorskip("av", reason="needs requirements-live.txt")
    if not list(Path(av.__file__).parent.parent.glob("av*/**/libx264*")):
        pytest.skip("this PyAV has no libx264 in its wheel")
    (tmp_path / ".ci").mkdir()
    script = shutil.copy(ROOT / ".ci" / "licences", tmp_path / ".ci")
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for text, code in ((notice, 0), ("nothing", 1)):
        (tmp_path / "NOTICE").write_text(text, encoding="utf-8")
        command = [sys.executable, script, ROOT / "requirements-live.txt"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert "in the wheel: libx264 GPL-2.0-or-later" in result.stdout
        assert result.returncode == code, result.stdout
    assert result.stdout.rstrip().endswith("look at: av")
