"""The events file: bounded, on the disk at once, complete after a crash or a full disk."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from live_files import records, write_video  # noqa: E402

from edge_app.live import Outputs, SourceError, run_live  # noqa: E402
from edge_app.live.event_log import EventLog  # noqa: E402


def test_the_events_file_is_bounded_and_nothing_newer_is_lost(tmp_path):
    log = EventLog(tmp_path / "events.jsonl", max_bytes=1000, keep=2)
    for number in range(500):
        log.write({"number": number})
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["events.jsonl", "events.jsonl.1", "events.jsonl.2"]
    assert all(file.stat().st_size <= 1000 for file in files)
    kept = [record["number"] for file in reversed(files) for record in records(file)]
    assert kept == list(range(kept[0], 500))


def test_a_line_that_a_power_cut_broke_stays_alone(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"number": 1}\n{"num')
    log = EventLog(path)
    log.write({"number": 2})
    log.close()
    assert path.read_text().splitlines() == ['{"number": 1}', '{"num', '{"number": 2}']


def test_a_record_is_on_disk_as_soon_as_it_is_written(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.write({"number": 1})
    assert records(tmp_path / "events.jsonl") == [{"number": 1}]
    log.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
def test_a_full_disk_is_said_once_and_does_not_end_the_run(caplog):
    outputs = Outputs(log=EventLog(Path("/dev/full")))
    for _ in range(3):
        outputs.write({"event": "lost", "reason": "test"}, time.time())
    outputs.close()
    assert caplog.text.count("Events (/dev/full): cannot be written: the disk is full") == 1


def test_records_that_a_full_disk_refused_are_written_once_there_is_room(tiny_disk):
    (tiny_disk / "ballast").write_bytes(b"x" * 8_000)
    log = EventLog(tiny_disk / "events.jsonl")
    refused = 0
    for number in range(200):
        try:
            log.write({"number": number, "text": "x" * 80})
        except OSError:
            refused += 1
    assert refused > 50
    assert refused < 200
    os.truncate(tiny_disk / "ballast", 0)
    with pytest.raises(OSError):  # there is room for some of them only
        log.write({"number": 200})
    log.close()
    lines = (tiny_disk / "events.jsonl").read_text().splitlines()
    whole = [json.loads(line)["number"] for line in lines if line.endswith("}")]
    assert whole == list(range(len(whole)))
    assert len(whole) > 200 - refused


def test_the_log_goes_on_when_its_folder_was_taken_away(tmp_path):
    log = EventLog(tmp_path / "stick" / "events.jsonl", max_bytes=100)
    log.write({"number": 1, "text": "x" * 80})
    shutil.rmtree(tmp_path / "stick")  # so the next one cannot be put aside
    for number in (2, 3):
        log.write({"number": number, "text": "x" * 80})
    log.close()
    assert records(tmp_path / "stick" / "events.jsonl")[-1]["number"] == 3


def test_a_name_that_is_not_utf8_is_an_error_or_an_escape(tmp_path, samples, classifier):
    name = str(tmp_path / os.fsdecode(b"caf\xe9.avi"))
    write_video(tmp_path / "video.avi", [samples / "cameraman.jpg"], seconds=0.1).rename(name)
    with pytest.raises(SourceError, match="its name is not UTF-8"):
        run_live(name, classifier, display="none")
    EventLog(tmp_path / "events.jsonl").write({"event": "start", "source": name})
    assert records(tmp_path / "events.jsonl") == [{"event": "start", "source": name}]
