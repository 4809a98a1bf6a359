"""Where the results of a live run go; a failure to write is reported once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.classifier import ModelInfo, Prediction
from edge_app.decision import Decision
from edge_app.live.clips import Clips
from edge_app.live.event_detector import Event
from edge_app.live.event_log import EventLog
from edge_app.live.frames import Frame
from edge_app.live.mqtt import Publisher
from edge_app.live.pictures import Snapshots, save_picture
from edge_app.live.recorder import Recorder
from edge_app.live.redact import shown
from edge_app.live.trouble import Trouble

logger = logging.getLogger(__name__)

SCHEMA = 2
"""Version of the records. 2: ``lost``, ``restored``, ``lost_seconds`` instead of ``blind``,
``sighted``, ``blind_seconds``; ``camera`` and ``schema`` are new."""


@dataclass
class Outputs:
    """The chosen outputs; any of them may be None."""

    log: EventLog | None = None
    publisher: Publisher | None = None
    snapshots: Snapshots | None = None
    recorder: Recorder | None = None
    clips: Clips | None = None
    view: Callable[[dict[str, Any]], None] | None = None
    """Takes the records, too; see `edge_app.live.view.hub.Hub.follow`."""

    def __post_init__(self) -> None:
        self.source, self.camera, self.is_file = "", "", False
        self._model, self._decision = "", Decision()
        self._best: Prediction | None = None  # of the event that lasts

    def describe(self, source: str, info: ModelInfo, camera: str = "") -> None:
        """Takes what every record says: camera, source (without its password), and model."""
        self.source, self.is_file = shown(source), os.path.isfile(source)
        self.camera, self._decision = camera, info.decision
        self._model = f"{info.metadata.name} {info.metadata.version} {info.sha256[:12]}"

    def frame(self, frame: Frame, prediction: Prediction, in_event: bool) -> None:
        """Takes a classified frame; ``in_event``: it belongs to an event, or may yet do so."""
        if not in_event:
            self._best = None
        elif self._best is None or prediction.smoking > self._best.smoking:
            self._best = prediction
        if self.snapshots is not None:
            if in_event:
                self.snapshots.watch(frame.pixels, prediction.smoking)
            else:
                self.snapshots.forget()
            self.snapshots.prune_hourly()
        if self.clips is not None:
            self.clips.add(frame)
        if self.recorder is not None and not self.recorder.is_over:
            with self.recorder.trouble:
                self.recorder.add(frame.pixels, frame.time)

    def event(self, event: Event, offset: float, reason: str) -> None:
        """Takes an event that began or ended.

        Args:
            event: with times of the source's clock.
            offset: what makes them seconds since 1970.
            reason: why it ended: ``over``, ``lost`` or ``stopped``.
        """
        record: dict[str, Any] = {
            "event": "start" if event.ended is None else "end",
            "id": event.id,
            "started": iso_time(event.started + offset),
            "peak": round(event.peak, 4),
            "mean": round(event.mean, 4),
            "frames": event.frames,
            "uncertain": self._decision.is_uncertain(event.peak),
            "region": self._best and self._best.region,
        }
        if self.clips is not None:
            clip = self.clips.begin(event) if event.ended is None else self.clips.end(event)
            record |= {"clip": clip}
        if self.is_file:
            record["position"] = round(event.started, 2)
        when = event.started if event.ended is None else event.ended
        if event.seconds is not None:
            record |= {"seconds": round(event.seconds, 2), "reason": reason}
            if self.snapshots is not None:
                with self.snapshots.trouble:
                    path = self.snapshots.save(event)
                    record |= {"snapshot": path and path.name}
        self.write(record, when + offset)

    def write(self, record: dict[str, Any], when: float) -> None:
        """Takes a record; ``when`` in seconds since 1970."""
        if record["event"] == "lost" and self.clips is not None:
            self.clips.finish()
        record = {"event": record["event"], "time": iso_time(when), **record}
        record |= {"camera": self.camera} if self.camera else {}
        record |= {"source": self.source, "model": self._model, "schema": SCHEMA}
        if self.log is not None:
            with self.log.trouble:
                self.log.write(record)
        if self.publisher is not None:
            self.publisher.write(record)
        if self.view is not None:
            self.view(record)

    def keep_picture(self, pixels: np.ndarray) -> Path | None:
        """Writes a frame that a key asked for, beside the snapshots or here; returns where."""
        folder = self.snapshots.folder if self.snapshots else Path()
        with Trouble("The picture", folder):
            return save_picture(folder, pixels, "key")
        return None

    def close(self) -> None:
        """Ends them all."""
        if self.recorder is not None and not self.recorder.is_over:
            with self.recorder.trouble:
                self.recorder.close()
        if self.clips is not None:
            self.clips.close()
        if self.log is not None:
            self.log.close()
        if self.publisher is not None and (lost := self.publisher.close()):
            logger.warning("%d events did not reach the MQTT broker", lost)


def iso_time(seconds: float) -> str:
    """A time since 1970 in ISO 8601, UTC, to the millisecond."""
    text = datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
