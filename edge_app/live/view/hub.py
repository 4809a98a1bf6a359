"""What the page knows of a run: written by the cameras' threads, read by the server's.

Taking a frame costs a few references. Pictures are encoded only when somebody asks for one, and
once for all who ask.
"""

from __future__ import annotations

import io
import re
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge_app.decision import Decision
from edge_app.imaging import PictureError, read_thumbnail
from edge_app.live.archive import Kept
from edge_app.live.camera import Camera, Moment
from edge_app.live.outputs import Outputs
from edge_app.live.pictures import encode_jpeg

HISTORY_SECONDS = 600.0
"""How far back the line of scores goes."""

MOST_ON_PAGE = 100
MOST_IN_REPORT = 10_000
"""Events that are kept, for the page and for the report of a video file."""

_POINT_SECONDS = 0.5  # one point of the line for so long
_THUMBNAIL = 480  # pixels of the longer side


class Hub:
    """Keeps the newest of each camera.

    Args:
        cameras: what is watched.
        decision: the model's label and threshold.
        fps: at most this many pictures per second are encoded for each camera.
        size: longer side of those pictures, in pixels.
        most_events: the newest so many are kept, each with its best frame (about 30 KB).
    """

    def __init__(
        self,
        cameras: Sequence[Camera],
        decision: Decision | None = None,
        fps: float = 5,
        size: int = 960,
        most_events: int = MOST_ON_PAGE,
    ):
        decision = decision or Decision()
        self.label, self.threshold, self.fps = decision.label, decision.threshold, fps
        self.cameras = {
            camera_id(number, camera): Seen(camera, fps, size)
            for number, camera in enumerate(cameras)
        }
        self._most_events = most_events
        self.watchers = 0
        """Pages that are open, and streams that are taken, now."""
        self.version = 0
        """Rises with each change of the events."""
        self._by_camera = {id(seen.camera): seen for seen in self.cameras.values()}
        self._events: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._thumbnails: dict[str, bytes] = {}
        self._files: dict[str, Path] = {}  # best frames of events before this run
        self._lock = threading.Lock()

    def frame(self, moment: Moment) -> None:
        """Takes a result; called by the camera's thread."""
        self._by_camera[id(moment.camera)].take(moment)

    def follow(self, camera: Camera, outputs: Outputs) -> None:
        """Shows the events of a camera that go to these outputs, and their clips."""
        outputs.view = self.sink(camera)
        if outputs.clips is not None:
            outputs.clips.on_done = self.clip

    def sink(self, camera: Camera) -> Callable[[dict[str, Any]], None]:
        """What takes the records of a camera's events."""
        key = next(key for key, seen in self.cameras.items() if seen.camera is camera)
        return lambda record: self._record(key, record)

    def events(self) -> list[dict[str, Any]]:
        """The last events, the newest first."""
        with self._lock:
            return list(reversed(self._events.values()))

    def thumbnail(self, event: str) -> bytes | None:
        """The best frame of an event as JPEG, or None."""
        if (path := self._files.get(event)) is None:
            return self._thumbnails.get(event)
        try:
            picture = read_thumbnail(path, _THUMBNAIL)
        except PictureError:  # deleted meanwhile
            return None
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=80)
        return buffer.getvalue()

    def remember(self, kept: Sequence[Kept]) -> None:
        """Shows the last events of an archive, from before this run."""
        keys = {seen.camera.title: key for key, seen in self.cameras.items()}
        for one in [one for one in kept if one.is_event][-self._most_events :]:
            event: dict[str, Any] = {
                "id": one.id,
                "started": one.started.isoformat(),
                "peak": one.peak,
                "seconds": one.seconds or 0.0,
                "camera": keys.get(one.camera, one.camera),
                "picture": one.picture is not None,
            }
            if one.clip is not None:
                event["clip"] = one.clip.name
            if one.picture is not None:
                self._files[one.id] = one.picture
            self._events[one.id] = event
        self.version += 1

    def clip(self, event: str, name: str) -> None:
        """Takes the name of an event's clip, once it can be played."""
        with self._lock:
            if event in self._events:
                self._events[event]["clip"] = name
        self.version += 1

    def _record(self, key: str, record: dict[str, Any]) -> None:
        seen = self.cameras[key]
        if record["event"] in ("lost", "restored"):
            seen.lost = record.get("reason") if record["event"] == "lost" else None
            seen.lost_since = time.time() if seen.lost is not None else None
            if seen.lost is not None:
                seen.outages += 1
                seen.break_line()
        else:
            kept = ("started", "peak", "seconds", "id", "position")
            event = {name: record[name] for name in kept if record.get(name) is not None}
            picture = seen.best_picture() if record["event"] == "end" else None
            with self._lock:
                known = self._events.get(record["id"], {})
                self._events[record["id"]] = (
                    known
                    | event
                    | {
                        "camera": key,
                        "picture": bool(picture),
                    }
                )
                if picture:
                    self._thumbnails[record["id"]] = picture
                while len(self._events) > self._most_events:
                    oldest, _ = self._events.popitem(last=False)
                    self._thumbnails.pop(oldest, None)
                    self._files.pop(oldest, None)
        self.version += 1


class Seen:
    """What is known of one camera."""

    def __init__(self, camera: Camera, fps: float, size: int):
        self.camera = camera
        self.moment: Moment | None = None
        self.classified = self.events = self.outages = 0
        self.lost: str | None = None
        """Why the source is lost; None while it gives frames."""
        self.lost_since: float | None = None
        self.encoded = 0
        """Pictures encoded so far."""
        self.first_size = (0, 0)
        """Width and height of the first frame, which the camera's zone is for."""
        self._history: deque[tuple[float, float | None]] = deque(
            maxlen=int(HISTORY_SECONDS / _POINT_SECONDS)
        )
        self._best: Moment | None = None
        self._interval, self._size = 1 / fps, size
        self._jpeg: tuple[int, bytes] | None = None
        self._encoded_at = -float("inf")
        self._lock = threading.Lock()

    def take(self, moment: Moment) -> None:
        before = self.moment
        if before is None:
            self.first_size = moment.frame.pixels.shape[1::-1]
        self.moment, self.classified = moment, self.classified + 1
        smoking = moment.state == "smoking"
        if smoking and (before is None or before.state != "smoking"):
            self._best, self.events = None, self.events + 1
        score = moment.prediction.smoking
        if smoking and (self._best is None or score > self._best.prediction.smoking):
            self._best = moment
        now = time.time()
        if not self._history or now - self._history[-1][0] >= _POINT_SECONDS:
            self._history.append((now, round(moment.smoothed, 3)))

    def break_line(self) -> None:
        """Ends the line of scores: what comes next is after a gap."""
        self._history.append((time.time(), None))

    def history(self) -> list[tuple[float, float | None]]:
        """Time in seconds since 1970 and smoothed score, the oldest first; None begins a gap."""
        return list(self._history)

    def jpeg(self) -> tuple[int, bytes] | None:
        """The newest frame, encoded at most ``fps`` times per second; None before the first.

        Returns:
            A number that changes with the picture, and the JPEG.
        """
        with self._lock:
            now, moment = time.monotonic(), self.moment
            is_old = self._jpeg is None or self._jpeg[0] != self.classified
            if moment is not None and is_old and now - self._encoded_at >= 0.9 * self._interval:
                number = self.classified
                self._jpeg = number, encode_jpeg(moment.frame.pixels, self._size)
                self._encoded_at = now
                self.encoded += 1
            return self._jpeg

    def best_picture(self) -> bytes | None:
        best, self._best = self._best, None
        return None if best is None else encode_jpeg(best.frame.pixels, _THUMBNAIL)


def camera_id(number: int, camera: Camera) -> str:
    """What stands for a camera in addresses: no two cameras have the same.

    >>> camera_id(1, Camera("0", "Front door"))
    '1-front-door'
    """
    slug = re.sub(r"[^a-z0-9]+", "-", camera.name.lower()).strip("-")
    return f"{number}-{slug}" if slug else f"{number}"
