"""Reading what a live run kept: events, their best frames and clips."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_app.files import printable

_FILE = "events.jsonl"
_LONGEST_LINE = 100_000  # bytes; ours have some hundreds
_LOST = {"lost", "blind"}  # the second one is schema 1's
_RESTORED = {"restored", "sighted"}


@dataclass(frozen=True)
class Kept:
    """An event of the past, or a time in which a source was lost.

    Attributes:
        started: local time.
        seconds: how long it was; None where its end is not known: it lasts, or the power went.
        camera: name, or the source without its password.
        id: of the event; empty for a lost source.
        peak: highest score of a frame; 0 for a lost source.
        position: seconds from the beginning of a video file; None with cameras and streams.
        picture: the best frame; None where none was kept.
        clip: the video; None where none was kept.
    """

    started: datetime
    seconds: float | None
    camera: str
    id: str = ""
    peak: float = 0.0
    position: float | None = None
    picture: Path | None = None
    clip: Path | None = None

    @property
    def is_event(self) -> bool:
        """Whether it is an event and no lost source."""
        return bool(self.id)

    @property
    def title(self) -> str:
        """The camera's name without control characters."""
        return printable(self.camera)

    def line(self) -> str:
        """The event in a line for people."""
        length = "" if self.seconds is None else f"{self.seconds:.0f} s"
        files = " ".join(path.name for path in (self.clip or self.picture,) if path)
        return (
            f"{self.started:%Y-%m-%d %H:%M:%S}  {length:>6}  {self.peak:4.0%}  {self.title}"
            f"{'  ' if files else ''}{files}"
        )


class ArchiveError(ValueError):
    """A folder without events; the message names it."""


def read_archive(folder: Path) -> list[Kept]:
    """Reads the events of a folder, the oldest first.

    Args:
        folder: with ``events.jsonl`` as ``--archive`` or ``--events`` wrote it, and those put
            aside; or the file itself. Pictures and clips are looked for beside it.

    Raises:
        ArchiveError: there is no events file, or it cannot be read.
    """
    file = folder if folder.is_file() else folder / _FILE
    files = [file.with_name(f"{file.name}.{number}") for number in range(9, 0, -1)]
    found = [path for path in (*files, file) if path.is_file()]
    if not found:
        raise ArchiveError(f"{folder}: has no {_FILE}. Give the folder of live --archive")
    kept: dict[str, Kept] = {}
    for record in _records(found):
        _take(record, file.parent, kept)
    return sorted(kept.values(), key=lambda entry: entry.started)


def days(kept: list[Kept]) -> list[date]:
    """The days that have events, the oldest first."""
    return sorted({entry.started.date() for entry in kept if entry.is_event})


def _records(files: list[Path]) -> Iterator[dict[str, Any]]:
    for path in files:
        try:
            with path.open("rb") as file:
                while line := file.readline(_LONGEST_LINE):
                    record = _parse(line)
                    if isinstance(record, dict) and isinstance(record.get("event"), str):
                        yield record
        except OSError as error:
            raise ArchiveError(f"{path}: cannot be read ({error.strerror})") from None


def _parse(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None  # a power cut broke it, or another program wrote it


def _take(record: dict[str, Any], folder: Path, kept: dict[str, Kept]) -> None:
    """Adds a record to the events that are known; one that makes no sense is left out."""
    camera = str(record.get("camera") or record.get("source") or "")
    kind, lost = record["event"], f"lost {camera}"
    try:
        started = datetime.fromisoformat(
            str(record.get("started") or record["time"]).replace("Z", "+00:00")
        ).astimezone()
        if kind in _LOST:
            kept[lost] = Kept(started, None, camera)
        elif kind in _RESTORED and lost in kept:
            before = kept.pop(lost)
            seconds = _number(record.get("lost_seconds"))
            if seconds is None:  # of schema 1
                seconds = max(0.0, (started - before.started) / timedelta(seconds=1))
            kept[f"{lost} {before.started}"] = replace(before, seconds=seconds)
        elif kind in ("start", "end"):
            known = kept.get(record["id"])
            kept[record["id"]] = Kept(
                known.started if known else started,
                _number(record.get("seconds")),
                camera,
                str(record["id"]),
                _number(record.get("peak")) or 0.0,
                _number(record.get("position")),
                _file(folder, record.get("snapshot")),
                _file(folder, record.get("clip")),
            )
    except (KeyError, ValueError, TypeError, OverflowError, OSError):
        return


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _file(folder: Path, name: object) -> Path | None:
    """A file that a record names, in the folder or one below it."""
    if not isinstance(name, str) or not re.fullmatch(r"[\w-]+\.\w+", name):
        return None
    places = (folder / name, *(folder / below / name for below in ("snapshots", "clips", "best")))
    return next((path for path in places if path.is_file()), None)
