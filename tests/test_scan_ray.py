"""The scan on a Ray cluster: the same answers, each picture once, whatever dies."""

import dataclasses
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import ROOT, run_module
from crashes import crashing_environment, write_crasher

from edge_app import Classifier, limits
from edge_app.decision import replace_decision
from edge_app.export import read_results
from edge_app.looks import Looks
from edge_app.scan import Row, StoreError
from edge_app.scan.rows import FileState

pytest.importorskip("ray", reason="needs requirements-ray.txt")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs requirements-ray.txt")

from edge_app.scan import ray_worker  # noqa: E402
from edge_app.scan.batches import Listed, cut_batches, list_pictures  # noqa: E402
from edge_app.scan.parquet import read_parquet, write_part  # noqa: E402
from edge_app.scan.selection import Selection  # noqa: E402

NODE = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one core each on this machine."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    patient = {"health_check_failure_threshold": 60}  # a busy machine is no dead one
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "_system_config": patient})
    cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


def command(cluster, *arguments):
    return [
        *("edge_app", "scan", "--engine", "ray", "--address", cluster.address),
        *map(str, arguments),
    ]


def answers(result):
    return {
        str(row.path): dataclasses.replace(row, scanned_at="", path="")
        for row in read_results(result)
    }


def test_results_are_those_of_the_local_engine(cluster, pictures, tmp_path):
    shutil.copy(pictures / "a.png", pictures / "no_ending")
    (pictures / ".hidden.jpg").touch()
    shutil.copy(pictures / "a.png", os.fsencode(pictures) + b"/\xff.png")
    (pictures / "nowhere.jpg").symlink_to("missing")
    local = run_module("edge_app", "scan", pictures, "--db", tmp_path / "out.db")
    ray = run_module(*command(cluster, pictures, "--out", tmp_path / "out"))
    assert ray.returncode == local.returncode == 1, ray.stderr
    assert "4 pictures scanned" in ray.stdout
    assert answers(tmp_path / "out") == answers(tmp_path / "out.db")
    assert len(answers(tmp_path / "out")) == 7

    columns = sqlite3.connect(tmp_path / "out.db").execute("SELECT * FROM pictures").description
    schema = parquet.read_table(tmp_path / "out").schema
    assert schema.names == [column[0] for column in columns]

    shutil.copy(pictures / "inner" / "b.jpg", pictures / "damaged.jpg")
    again = run_module(*command(cluster, pictures, "--out", tmp_path / "out"))
    assert "1 picture scanned" in again.stdout  # and what could not be read is tried again
    assert "2 unreadable, 4 unchanged" in again.stdout
    run_module("edge_app", "scan", pictures, "--db", tmp_path / "out.db")
    assert answers(tmp_path / "out") == answers(tmp_path / "out.db")

    table = run_module("edge_app", "export", tmp_path / "out", "--format", "jsonl")
    assert len(table.stdout.splitlines()) == 7


def test_the_limits_of_the_command_hold_in_its_workers(pictures, tmp_path, classifier, monkeypatch):
    shutil.copy(classifier.info.path, tmp_path / ray_worker.MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray_worker.isolation, "AVAILABLE", False)  # no actor that was made again
    monkeypatch.setattr(limits, "_setting", limits.Limits())
    allowed = limits.Limits(max_pixels=1000)
    worker = ray_worker.Worker(classifier.info.decision, str(tmp_path / "out"), "run", allowed)
    (tmp_path / "out").mkdir()
    listed = list(list_pictures([str(pictures)], Selection()))
    counts = [worker(batch) for batch in cut_batches(listed, workers=1)]
    assert not any(count["failure"] for count in counts)
    assert sum(count["scanned"] for count in counts) == 0
    assert sum(count["unreadable"] for count in counts) == 4
    errors = [row.error for row in read_results(tmp_path / "out")]
    assert sum("set --max-pixels" in error for error in errors) >= 2


def test_another_decision_scores_again_only_what_it_changes(
    cluster, pictures, tmp_path, classifier
):
    model = tmp_path / "model.tflite"
    shutil.copy(classifier.info.path, model)
    scan = command(cluster, pictures, "--out", tmp_path / "out", "--model", model)
    assert "2 pictures scanned" in run_module(*scan).stdout
    relabelled = run_module(*scan, "--threshold", "0")
    assert "0 pictures scanned" in relabelled.stdout
    assert "2 relabelled, 0 unchanged" in relabelled.stdout
    assert {row.label for row in answers(tmp_path / "out").values()} == {"Smoking", None}
    looks = Looks((0.85, 0.7), -16.0)
    replace_decision(model, dataclasses.replace(classifier.info.decision, looks=looks))
    again = run_module(*scan)
    assert "2 pictures scanned" in again.stdout
    assert "2 looked at again" in again.stdout
    for row in read_results(tmp_path / "out"):
        if row.error is None:
            expected = Classifier(model).classify(row.path)
            assert (row.smoking, row.looks, row.region) == (expected.smoking, 3, expected.region)
    assert "0 pictures scanned" in run_module(*scan).stdout


def test_addresses_are_read_and_written_too(cluster, pictures, tmp_path, classifier):
    pictures = pictures.rename(tmp_path / "with space #1 50%?")
    address, out = f"file://{pictures}", f"file://{tmp_path}/out"
    result = run_module(*command(cluster, address, "--out", out))
    assert result.returncode == 1, result.stderr
    rows = {row.path: row for row in read_results(out)}
    names = ("a.png", "damaged.jpg", "empty.jpg", "inner/b.jpg")
    assert sorted(rows) == [f"{address}/{name}" for name in names]
    for name in ("a.png", "inner/b.jpg"):
        prediction = classifier.classify(pictures / name)
        assert rows[f"{address}/{name}"].smoking == prediction.smoking
    assert rows[f"{address}/empty.jpg"].error == "is empty"
    copies = run_module("edge_app", "export", out, "--copy-to", tmp_path / "c", "--min-score", "0")
    assert copies.returncode == 0, copies.stderr
    assert sorted(os.listdir(tmp_path / "c")) == ["a.png", "b.jpg"]


def workers_of(cluster):
    """The processes that classify: children of the cluster's nodes that Ray names so."""
    nodes = {
        process.process.pid
        for node in cluster.list_all_nodes()
        for processes in node.all_processes.values()
        for process in processes
    }
    found = []
    for folder in Path("/proc").iterdir():
        try:
            name = (folder / "cmdline").read_bytes()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if name.startswith(b"ray::MapWorker") and parent in nodes:
            found.append(int(folder.name))
    return found


def scan_and_break(cluster, samples, tmp_path, break_something):
    """Scans 1200 pictures, breaks something when a few are done; each must be there once."""
    folder, out = tmp_path / "many", tmp_path / "out"
    folder.mkdir()
    for number in range(1200):
        os.link(samples / "coffee.jpg", folder / f"{number}.jpg")
    process = subprocess.Popen(
        [sys.executable, "-m", *command(cluster, folder, "--out", out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (out.is_dir() and len(list(out.glob("*.parquet"))) >= 2):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    break_something()
    done_before = len(list(out.glob("*.parquet")))
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stdout + stderr
    assert "1200 pictures scanned" in stdout
    assert done_before < 16  # there was work left, and what broke had some of it
    paths = Counter()
    for part in out.glob("*.parquet"):
        paths.update(parquet.read_table(part)["path"].to_pylist())
    assert len(paths) == 1200
    assert set(paths.values()) == {1}


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="finds the worker in /proc")
def test_a_worker_that_is_killed_costs_no_picture_and_doubles_none(cluster, samples, tmp_path):
    victims = []

    def kill_a_worker():
        victims.append(workers_of(cluster)[0])
        os.kill(victims[0], signal.SIGKILL)

    scan_and_break(cluster, samples, tmp_path, kill_a_worker)
    assert victims[0] not in workers_of(cluster)


def test_a_node_that_vanishes_costs_no_picture_and_doubles_none(cluster, samples, tmp_path):
    node = cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    scan_and_break(
        cluster,
        samples,
        tmp_path,
        lambda: cluster.remove_node(node, allow_graceful=False),
    )


@pytest.mark.skipif(sys.platform != "linux", reason="isolates decoders on Linux only")
@pytest.mark.slow
def test_pictures_that_kill_their_worker_have_an_error_and_all_others_are_there_once(
    samples, tmp_path
):
    folder, out = tmp_path / "tree", tmp_path / "out"
    folder.mkdir()
    for number in range(200):
        os.link(samples / "coffee.jpg", folder / f"{number}.jpg")
    for name in ("a.bmp", "b.bmp", "c.bmp"):
        write_crasher(folder / name)
    command = [sys.executable, "-m", "edge_app", "scan", "--engine", "ray", "--workers", "2"]
    result = subprocess.run(
        [*command, folder, "--out", out],
        cwd=ROOT,
        env=crashing_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 1, result.stderr
    assert "200 pictures scanned" in result.stdout
    assert "3 unreadable" in result.stdout
    assert "not done" not in result.stdout
    rows = [row for part in out.glob("*.parquet") for row in parquet.read_table(part).to_pylist()]
    assert len({row["path"] for row in rows}) == len(rows) == 203
    reasons = {row["path"]: row["error"] for row in rows if row["error"]}
    assert reasons == {
        str(folder / name): "crashes the decoder (SIGSEGV)" for name in ("a.bmp", "b.bmp", "c.bmp")
    }


def listed(*sizes):
    return [Listed(f"/{n}.jpg", FileState(size, 0)) for n, size in enumerate(sizes)]


def test_batches_are_cut_by_bytes_and_lose_nothing():
    pictures = listed(*[1000] * 80, 50_000, *[10] * 500)
    batches = cut_batches(pictures, workers=2)
    assert [path for batch in batches for path in batch["paths"]] == [
        os.fsencode(picture.path) for picture in pictures
    ]
    assert [batch["batch"] for batch in batches] == list(range(len(batches)))
    most = sum(picture.state.size for picture in pictures) // 16 + 1
    for batch in batches:
        assert sum(batch["sizes"]) <= most or len(batch["sizes"]) == 1
    large = cut_batches(listed(*[4_000_000] * 5000), workers=1)
    assert max(sum(batch["sizes"]) for batch in large) <= 1 << 30
    assert max(len(batch["sizes"]) for batch in cut_batches(listed(*[1] * 90_000), 1)) == 2000
    assert cut_batches([], workers=2) == []


def test_addresses_are_listed_by_name_with_the_same_selection(pictures):
    (pictures / ".cache").mkdir()
    (pictures / ".cache" / "x.jpg").touch()
    address = f"file://{pictures}"
    found = list(list_pictures([address], Selection(exclude=("damaged*",))))
    assert sorted(found) == sorted(
        Listed(f"{address}/{name}", FileState.of(pictures / name))
        for name in ("a.png", "empty.jpg", "inner/b.jpg")
    )


def make_row(path, scanned_at="2026-01-01", score=0.5):
    return Row(Path(path), 1, 1, "Smoking", score, 0.5, "x", None, scanned_at)


def test_the_latest_run_holds_and_a_batch_done_again_overwrites_itself(tmp_path):
    write_part(str(tmp_path), "1", 0, [make_row("/a"), make_row("/b", score=0.1)])
    write_part(str(tmp_path), "1", 0, [make_row("/a"), make_row("/b", score=0.2)])
    write_part(str(tmp_path), "2", 0, [make_row("/b", score=0.3)])
    assert {str(row.path): row.smoking for row in read_parquet(tmp_path)} == {"/a": 0.5, "/b": 0.3}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_or_foreign_file_is_named(tmp_path):
    (tmp_path / "1-000000.parquet").write_text("no Parquet")
    with pytest.raises(StoreError, match=r"1-000000\.parquet"):
        list(read_parquet(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["samples", "--engine", "ray"], "needs --out"),
        (["samples", "--engine", "ray", "--out", "x", "--watch"], "goes without --watch"),
        (["samples", "--out", "x"], "need --engine ray"),
        (["s3://bucket/pictures"], "need --engine ray"),
        (["samples", "--engine", "ray", "--out", "no-such://x"], "no-such://x"),
        (["samples", "--engine", "ray", "--out", "README.md/x"], "README.md/x: cannot be created"),
        (
            ["samples", "--engine", "ray", "--out", "x", "--address", "127.0.0.1:9"],
            "127.0.0.1:9: no Ray cluster answers there",
        ),
    ],
)
def test_wrong_usage_is_exit_code_2_and_one_clear_message(arguments, message, tmp_path):
    places = [tmp_path / "x" if argument == "x" else argument for argument in arguments]
    result = run_module("edge_app", "scan", *places)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "x").exists()


def test_ray_is_imported_nowhere_else():
    for path in (ROOT / "edge_app").rglob("*.py"):
        imports = [line.split() for line in path.read_text().splitlines() if "import" in line]
        named = any(words[:2] in (["import", "ray"], ["from", "ray"]) for words in imports)
        assert named == (path.name in ("ray_engine.py", "ray_worker.py")), path
