"""Runs the tests on every supported Python: ``pipx run nox``, or one with ``nox -s tests-3.12``.

What stands behind ``--`` goes to pytest, such as ``nox -s tests-3.12 -- --all``.
"""

import nox

nox.needs_version = ">=2024.3.2"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "auto"

_PARALLEL = ("-n", "2", "--dist", "loadfile")


@nox.session(python=["3.10", "3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """The tests with everything that has a release for this Python."""
    # uv leaves out pip, which the tests of installation start.
    session.install("-c", "constraints.txt", "-r", "requirements-dev.txt", "pip")
    session.run("pytest", *_PARALLEL, *session.posargs)


@nox.session(python="3.11")
def tflite_runtime(session: nox.Session) -> None:
    """The tests of the edge set with LiteRT's predecessor and NumPy 1, as on 32-bit ARM."""
    needed = ("edge", "live", "watch", "opencv-headless")
    session.install(*(f"-rrequirements-{name}.txt" for name in needed))
    session.run_install(*_pip(session, "uninstall"), "ai-edge-litert", external=True)
    session.install("tflite-runtime==2.14.0", "numpy<2", "opencv-python-headless<5", "pip")
    session.install("pytest", "pytest-xdist", "hypothesis", "psutil", "prometheus-client")
    # These compare with LiteRT or TensorFlow, build a wheel, or read the commands of training.
    others = ("runtimes", "supply_chain", "packaging", "documents")
    ignored = (f"--ignore=tests/test_{name}.py" for name in others)
    session.run("pytest", *_PARALLEL, *ignored, *session.posargs)


def _pip(session: nox.Session, command: str) -> list[str]:
    if session.venv_backend == "uv":
        return ["uv", "pip", command]
    return ["pip", command, "-y"]
