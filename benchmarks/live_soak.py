"""Does the memory of live stay flat: 200,000 frames, with events, snapshots, clips and outages.

    python -m benchmarks.live_soak --frames 200000

A camera made of software gives frames of 640x480 faster than they are classified, changes between
two pictures so that events begin and end, and is unplugged now and then. The shipped model, the
events file with its rotation, the snapshots, the clips and the page's hub run as they do for a
user. Counting starts after the first event, when all libraries are loaded. The exit code is 1 if
the mean resident memory of the last tenth is more than 5 % above that of the first. Linux only.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import cv2
import numpy as np

from benchmarks.machine import describe_machine, resident_megabytes
from edge_app import Classifier
from edge_app.imaging import from_frame
from edge_app.live import Camera, Outputs, Rule, run_live
from edge_app.live.clips import Clips
from edge_app.live.event_log import EventLog
from edge_app.live.frames import Frame, Item
from edge_app.live.pictures import Snapshots
from edge_app.live.sources import open_frames
from edge_app.live.view.hub import Hub

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
ALLOWED = 0.05
_PICTURE_SECONDS = 8.0  # longer than an event needs to begin, and to end
_WARM_UP_SECONDS = 2 * _PICTURE_SECONDS + 8.0  # an event with its clip
_OUTAGE_FRAMES = 5_000
_SLEEP_SECONDS = 0.004


class SoftwareCamera:
    """Shows two pictures in turn and disappears every few thousand frames."""

    def __init__(self, pictures: list[np.ndarray]):
        self._pictures = pictures
        self._grabbed = 0

    def open(self, _source: str) -> SoftwareCamera:
        self._grabbed = 0
        return self

    def grab(self) -> bool:
        time.sleep(_SLEEP_SECONDS)
        self._grabbed += 1
        return self._grabbed < _OUTAGE_FRAMES

    def retrieve(self) -> np.ndarray:
        which = int(time.monotonic() / _PICTURE_SECONDS) % len(self._pictures)
        return self._pictures[which].copy()  # memory of its own, as a driver gives it

    def release(self) -> None:
        pass  # there is no device


def soak(classifier: Classifier, count: int, progress: Callable[[int, float], None]) -> list[float]:
    """Runs live over a number of frames.

    Args:
        classifier: what to use.
        count: frames to classify.
        progress: called with the frames so far and the memory in MB, a hundred times.

    Returns:
        Resident memory in MB after each hundredth of the frames.
    """
    camera, rule = _camera_with_events(classifier)
    memory: list[float] = []

    def frames(source: str, **options) -> Iterator[Item]:
        seen, begin = 0, time.monotonic() + _WARM_UP_SECONDS
        for item in open_frames(source, opener=camera.open, **options):
            yield item
            if time.monotonic() < begin:
                continue
            seen += isinstance(item, Frame)
            if isinstance(item, Frame) and seen >= (len(memory) + 1) * count / 100:
                memory.append(resident_megabytes())
                progress(seen, memory[-1])
            if seen >= count:
                return

    with tempfile.TemporaryDirectory() as folder:
        outputs = Outputs(
            log=EventLog(Path(folder) / "events.jsonl", max_bytes=20_000),
            snapshots=Snapshots(Path(folder) / "snapshots", keep=20),
            clips=Clips(Path(folder) / "clips", keep=5),
        )
        source = Camera("0")
        hub = Hub([source], classifier.info.decision, most_events=20)  # full within a tenth
        hub.follow(source, outputs)
        more = {"rule": rule, "outputs": outputs, "frames": frames, "on_frame": hub.frame}
        summary = run_live(source, classifier, "none", **more)
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    click.echo(f"{summary.text()}; {disk / 1e6:.1f} MB on the disk")
    return memory


def _camera_with_events(classifier: Classifier) -> tuple[SoftwareCamera, Rule]:
    """A camera of the two samples that differ most, and a rule that tells them apart."""
    pictures = [
        cv2.resize(cv2.imread(str(path)), (640, 480)) for path in sorted(SAMPLES.glob("*.jpg"))
    ]
    size = classifier.info.size
    scored = sorted(
        (classifier.classify_pixels(from_frame(picture, size)).smoking, number)
        for number, picture in enumerate(pictures)
    )
    (low, lowest), (high, highest) = scored[0], scored[-1]
    rule = Rule(begin=low + 0.6 * (high - low), end=low + 0.4 * (high - low))
    return SoftwareCamera([pictures[lowest], pictures[highest]]), rule


@click.command()
@click.option("--frames", type=click.IntRange(100), default=200_000, show_default=True)
def main(frames: int) -> None:
    """Run live over many frames and report whether memory stays flat."""
    click.echo(describe_machine())
    memory = soak(
        Classifier(), frames, lambda seen, now: click.echo(f"{seen:>8} frames {now:8.1f} MB")
    )
    tenth = max(1, len(memory) // 10)
    first, last = np.mean(memory[:tenth]), np.mean(memory[-tenth:])
    change = last / first - 1
    click.echo(f"first tenth {first:.1f} MB, last tenth {last:.1f} MB: {change:+.1%}")
    sys.exit(1 if change > ALLOWED else 0)


if __name__ == "__main__":
    main()
