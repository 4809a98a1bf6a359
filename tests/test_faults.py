"""Commands on machines where something is missing or goes wrong, each run as a user would."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from conftest import ROOT, SHIPPED_INT8, small_disk
from corpus import encoded
from PIL import Image

from edge_app.scan import read_rows

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


def run(*command, env=(), **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **dict(env)}
    return subprocess.run(
        [*map(str, command)],
        cwd=ROOT,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


def app(*arguments):
    return [sys.executable, "-m", "edge_app", *arguments]


def isolated(*flags):
    """A command before which the system gives a process a world of its own, or a skip."""
    command = ["unshare", *flags]
    if not shutil.which("unshare") or run(*command, "true").returncode:
        pytest.skip("needs the right to unshare, as root has it")
    return command


def check_scan(result, db, samples):
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    pictures = [path for path in samples.iterdir() if path.suffix == ".jpg"]
    assert [row.error for row in read_rows(db)] == [None] * len(pictures)


def test_no_network(samples, tmp_path):
    result = run(*isolated("--net"), *app("scan", samples, "--db", tmp_path / "out.db"))
    check_scan(result, tmp_path / "out.db", samples)


def test_no_shared_memory(samples, tmp_path):
    before = "mount -t tmpfs -o ro,size=4k tmpfs /dev/shm && ! touch /dev/shm/x 2>/dev/null && "
    command = " ".join(f"'{part}'" for part in app("scan", samples, "--db", tmp_path / "out.db"))
    result = run(*isolated("--mount"), "sh", "-c", before + command)
    check_scan(result, tmp_path / "out.db", samples)


@pytest.mark.parametrize("home", [None, "/nonexistent"])
def test_no_home(samples, tmp_path, home):
    result = run(*app("scan", samples, "--db", tmp_path / "out.db"), env={"HOME": home})
    check_scan(result, tmp_path / "out.db", samples)


def test_a_user_whom_the_system_does_not_know(samples, tmp_path):
    if os.geteuid():
        pytest.skip("needs root, to become somebody else")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        os.chmod(folder, 0o777)
    stranger = {"user": 4242, "group": 4242, "extra_groups": []}
    try:
        run(sys.executable, "-c", "import click", **stranger).check_returncode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this Python may not be run by other users")
    result = run(*app("scan", samples, "--db", tmp_path / "out.db"), env={"HOME": None}, **stranger)
    check_scan(result, tmp_path / "out.db", samples)


def test_one_core(samples, tmp_path):
    core = str(min(os.sched_getaffinity(0)))
    result = run("taskset", "-c", core, *app("scan", samples, "--db", tmp_path / "out.db"))
    check_scan(result, tmp_path / "out.db", samples)


def test_the_locale_c(samples, tmp_path):
    folder = tmp_path / "bücher 日本"
    shutil.copytree(samples, folder)
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = run(*app("scan", folder, "--db", tmp_path / "out.db"), env=plain)
    check_scan(result, tmp_path / "out.db", samples)
    listed = run(*app("classify", folder), env=plain)
    assert listed.returncode == 0 and "Traceback" not in listed.stderr
    (tmp_path / "cameras.toml").write_text('"büro" = 1', encoding="utf-8")
    refused = run(*app("live", "--config", tmp_path / "cameras.toml"), env=plain)
    assert refused.returncode == 2 and "unknown key" in refused.stderr
    again = run(*app("scan", folder, "--db", tmp_path / "out.db", "--prune"), env=plain)
    assert again.returncode == 0 and "removed" not in again.stdout
    for options in (("--copy-to", tmp_path / "copies"), ("--out", tmp_path / "out.html")):
        exported = run(*app("export", tmp_path / "out.db", *options), env=plain)
        assert exported.returncode == 0, exported.stderr
    assert len(os.listdir(tmp_path / "copies")) == 2


def test_a_clock_that_was_set_back(samples, tmp_path):
    folder, db = tmp_path / "pictures", tmp_path / "out.db"
    shutil.copytree(samples, folder)
    for path in folder.iterdir():
        os.utime(path, (4_000_000_000, 4_000_000_000))  # of the year 2096
    check_scan(run(*app("scan", folder, "--db", db)), db, folder)
    with sqlite3.connect(db) as connection:
        connection.execute("UPDATE pictures SET scanned_at = '2096-10-02T07:06:40.000+00:00'")
    again = run(*app("scan", folder, "--db", db))
    assert again.returncode == 0 and "0 pictures scanned" in again.stdout


def test_a_read_only_disk(samples, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    # The pictures are on it and can be read; the database cannot be written there.
    steps = (
        f"mount -t tmpfs tmpfs '{disk}' && cp '{samples}'/*.jpg '{disk}' && "
        f"mount -o remount,ro '{disk}' && '{sys.executable}' -m edge_app "
    )
    command = isolated("--mount")
    result = run(*command, "sh", "-c", f"{steps} scan '{disk}' --db '{disk}/out.db'")
    assert result.returncode == 2 and "may not be written" in result.stderr
    assert "Traceback" not in result.stderr
    result = run(*command, "sh", "-c", f"{steps} scan '{disk}' --db '{tmp_path}/out.db'")
    check_scan(result, tmp_path / "out.db", samples)


_PEAK = (
    "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024);"
    "sys.exit(done.returncode)"
)


@pytest.mark.parametrize("command", ["classify", "scan"])
def test_no_process_takes_more_than_512_mb(tmp_path, command):
    folder = tmp_path / "pictures"
    folder.mkdir()
    large = Image.new("RGB", (9000, 9000), "tan")
    (folder / "large.webp").write_bytes(encoded(large, "WEBP", method=0))
    (folder / "large.png").write_bytes(encoded(large.convert("L"), "PNG", compress_level=1))
    (folder / "large.jpg").write_bytes(encoded(large, "JPEG"))
    (folder / "small.jpg").write_bytes(encoded(large.resize((64, 64)), "JPEG"))
    more = ["--db", tmp_path / "out.db", "--workers", "1"] if command == "scan" else []
    result = run(sys.executable, "-c", _PEAK, *app(command, folder, *more))
    assert result.returncode == 1
    assert "large.webp: is too large" in result.stderr and result.stderr.count("is too large") <= 2
    assert int(result.stdout.splitlines()[-1]) < 512


def test_a_space_whose_writing_was_killed_is_written_by_the_next_run(tmp_path):
    pytest.importorskip("gradio")
    out = tmp_path / "space"
    process = subprocess.Popen([*map(str, app("space", out))], cwd=ROOT, stdout=subprocess.DEVNULL)
    while process.poll() is None and not out.exists():
        time.sleep(0.001)
    process.kill()
    process.wait(timeout=60)
    if not (out / "app.py").exists():  # else it was faster than the signal
        assert {path.name for path in out.iterdir()} <= {".unfinished"}
        (out / ".unfinished").mkdir(exist_ok=True)
        (out / ".unfinished" / "app.py").write_text("half of")
        result = run(*app("space", out))
        assert result.returncode == 0, result.stderr
    assert (out / "app.py").exists() and not (out / ".unfinished").exists()


@pytest.fixture
def full_disk(tmp_path):
    """A folder on a disk of its own of 1 MB."""
    with small_disk(tmp_path / "disk", "1m") as folder:
        yield folder


def check_full(result, name):
    assert result.returncode == 3, result.stderr
    assert result.stderr == f"Error: {name}: cannot be written (No space left on device)\n"


def test_a_space_on_a_full_disk_leaves_nothing(full_disk):
    pytest.importorskip("gradio")
    check_full(run(*app("space", full_disk / "space")), full_disk / "space")
    check_full(run(*app("space", full_disk)), full_disk)
    assert not list(full_disk.iterdir())


def test_an_export_on_a_full_disk_leaves_what_was_there(samples, tmp_path, full_disk):
    db, out = tmp_path / "out.db", full_disk / "out.html"
    run(*app("scan", samples, "--db", db)).check_returncode()
    out.write_text("a report of yesterday")
    (full_disk / "filler").write_bytes(b"x" * 1_020_000)
    check_full(run(*app("export", db, "--format", "html", "--out", out)), out)
    copies = run(*app("export", db, "--copy-to", full_disk / "copies", "--min-score", "0"))
    assert copies.returncode == 3 and copies.stderr.count("\n") <= 2, copies.stderr
    assert "Traceback" not in copies.stderr and "space" in copies.stderr
    assert out.read_text() == "a report of yesterday"
    assert sorted(path for path in full_disk.rglob("*") if path.is_file()) == [
        full_disk / "filler",
        out,
    ]


@pytest.mark.slow
def test_a_conversion_on_a_full_disk_leaves_what_was_there(samples, tmp_path, full_disk):
    pytest.importorskip("tensorflow")
    out = full_disk / "out.tflite"
    out.write_bytes(b"a model of yesterday")
    model = tmp_path / "foreign.tflite"
    shutil.copy(SHIPPED_INT8, model)
    labels = ["--labels", "no,yes", "--positive", "yes"]
    result = run(sys.executable, "-m", "convert", model, *labels, "--out", out)
    check_full(result, out)
    assert [path.name for path in full_disk.iterdir()] == ["out.tflite"]
    assert out.read_bytes() == b"a model of yesterday"


@pytest.mark.parametrize("command", ["classify", "export"])
def test_killed_commands_leave_nothing_half_done(samples, tmp_path, command):
    db, out = tmp_path / "out.db", tmp_path / "out.html"
    run(*app("scan", samples, "--db", db))
    arguments = {
        "classify": ["classify", *[samples] * 200],
        "export": ["export", db, "--format", "html", "--out", out],
    }[command]
    for delay in (1.0, 2.5, 4.0):
        process = subprocess.Popen(
            [*map(str, app(*arguments))],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        assert not out.exists() or out.read_text().endswith("</html>\n")
    result = run(*app("export", db, "--format", "html", "--out", out))
    assert result.returncode == 0
    left = sorted(path.name for path in tmp_path.iterdir() if "partial" in path.name)
    assert not left
