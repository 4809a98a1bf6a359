"""The scan on Ray against an object store: a server of the S3 protocol on this machine."""

import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, run_module

from edge_app.export import read_results

pytest.importorskip("ray", reason="needs requirements-ray.txt")
moto_server = pytest.importorskip("moto.server", reason="needs requirements-dev.txt (moto)")
from pyarrow import fs  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture
def store(monkeypatch):
    """An empty bucket named ``bucket``; variables that lead the programs of a test to it."""
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    filesystem = fs.S3FileSystem(
        access_key="test",
        secret_key="test",
        endpoint_override=f"{host}:{port}",
        scheme="http",
        allow_bucket_creation=True,
    )
    filesystem.create_dir("bucket")
    yield filesystem
    server.stop()


def scan(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "edge_app", "scan", "--engine", "ray", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def answers(results, below):
    """What results say of each picture, by its name below a folder or an address."""
    return {
        str(row.path).removeprefix(f"{below}/"): (row.size, row.label, row.smoking, row.error)
        for row in read_results(results)
    }


def test_a_bucket_gives_what_the_same_folder_does_and_again_only_what_is_new(
    store, pictures, samples, tmp_path
):
    shutil.copy(samples / "coffee.jpg", pictures / "inner" / "with space #1 50%.jpg")
    local = run_module("edge_app", "scan", pictures, "--db", tmp_path / "out.db")
    assert local.returncode == 1  # two cannot be read
    fs.copy_files(str(pictures), "bucket/in", destination_filesystem=store)
    address, out = "s3://bucket/in", "s3://bucket/out"
    remote = scan(address, "--out", out)
    assert remote.returncode == 1, remote.stderr
    wanted = answers(tmp_path / "out.db", pictures)
    assert len(wanted) == 5
    assert answers(out, address) == wanted

    with store.open_output_stream("bucket/in/new.jpg") as file:
        file.write((samples / "astronaut.jpg").read_bytes())
    again = scan(address, "--out", out)
    assert "1 picture scanned" in again.stdout, again.stderr
    assert "2 unreadable, 3 unchanged" in again.stdout
    assert len(answers(out, address)) == 6

    table = run_module("edge_app", "export", out, "--format", "jsonl")
    assert len(table.stdout.splitlines()) == 6


def test_a_bucket_that_is_not_there_is_named(store):
    result = scan("s3://nowhere/in", "--out", "s3://bucket/out")
    assert result.returncode == 2
    assert "s3://nowhere/in: cannot be listed" in result.stderr
    assert "Traceback" not in result.stderr
