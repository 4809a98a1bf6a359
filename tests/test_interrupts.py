"""Ctrl-C at any moment, also while Python imports, ends a command with 130 and no traceback."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as on Unix")


def interrupted(command, seconds):
    """Ends a command after some seconds, as ``run.py`` starts it: no Ctrl-C before Python runs."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}),
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


@pytest.mark.parametrize("seconds", [0, 0.1, 0.3, 0.5, 1, 2])
def test_the_app(seconds):
    many = [str(ROOT / "samples")] * 2000
    code, errors = interrupted(["-m", "edge_app", "classify", *many], seconds)
    assert code == 130, errors
    assert errors.strip() in ("", "Stopped.", "Aborted!")


@pytest.mark.parametrize("module", ["convert", "train"])
@pytest.mark.slow
def test_commands_that_import_tensorflow(module):
    pytest.importorskip("tensorflow")
    start = "import sys; from edge_app.interrupts import run_module; run_module(sys.argv[1:])"
    for seconds in (0, 0.5, 1.5):
        code, errors = interrupted(["-c", start, module, "--help-me-not"], seconds)
        # It may have come to its arguments already, or be past that, where Python itself ends.
        at_its_end = (2, -signal.SIGINT) if "--help-me-not" in errors else ()
        assert code in (130, *at_its_end), errors
        assert "Traceback" not in errors


@pytest.mark.parametrize("seconds", [0, 0.5])
def test_the_conversion_without_run_py(seconds, tmp_path):
    pytest.importorskip("tensorflow")
    command = ["-m", "convert", str(tmp_path), "--out", str(tmp_path / "out.tflite")]
    code, errors = interrupted(command, seconds)
    assert code in (130, 1, 2), errors  # 1: it had seen that the folder is empty
    assert "Traceback" not in errors


def test_an_error_that_an_interrupted_import_makes_of_it_is_not_shown():
    """As extension modules do, which turn KeyboardInterrupt into ImportError."""
    code = """
import os, signal
from edge_app.interrupts import run_command
def command():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([], 5)
    except KeyboardInterrupt:
        raise ImportError("numpy.core failed to import") from None
run_command(command)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


def test_an_error_of_its_own_is_shown():
    code = "from edge_app.interrupts import run_command; run_command(lambda: 1 / 0)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert "ZeroDivisionError" in result.stderr
