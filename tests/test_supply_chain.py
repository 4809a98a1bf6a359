"""What the package needs has licences that go with its own."""

import subprocess
import sys

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
