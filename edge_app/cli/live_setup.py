"""From the options of ``live`` to cameras, outputs and the page's server."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_app.files import printable
from edge_app.invocation import install_hint
from edge_app.wording import counted

if TYPE_CHECKING:
    from edge_app.live import Camera, Outputs
    from edge_app.live.archive import Kept
    from edge_app.live.clips import Clips
    from edge_app.live.view.hub import Hub
    from edge_app.live.view.server import Server


@dataclass(frozen=True)
class Places:
    """Where results go; each may be None.

    Attributes:
        archive: folder for events, best frames and clips where the next three say nothing else.
        events: the events file.
        snapshots, clips: folders.
        record: a video file.
        mqtt: URL of the broker.
    """

    archive: Path | None = None
    events: Path | None = None
    snapshots: Path | None = None
    clips: Path | None = None
    record: Path | None = None
    mqtt: str | None = None

    def of_clips(self) -> Path | None:
        """The folder of the clips."""
        return self.clips or self.archive


def make_cameras(
    sources: Sequence[str],
    config: Path | None,
    fps: float | None,
    region: str | None,
    masks: Sequence[str],
) -> list[Camera]:
    """The cameras that the options ask for, or one clear line."""
    from edge_app.live import Camera, Zone
    from edge_app.live.config import read_cameras

    if config is not None:
        if sources or fps or region or masks:
            raise click.UsageError(
                "--config cannot be combined with --source, --fps, --region or --mask."
            )
        try:
            return read_cameras(config)
        except ValueError as error:
            raise click.UsageError(f"--config: {error}") from None
    sources = sources or ["0"]
    if len(sources) > 1 and (region or masks):
        raise click.UsageError(
            "--region and --mask are for one camera; for several, write them to a file (--config)."
        )
    zone = Zone.parse(region or "", masks) if region or masks else None
    return [
        Camera(source, f"camera {number}" if len(sources) > 1 else "", fps, zone)
        for number, source in enumerate(sources, 1)
    ]


def make_outputs(cameras: Sequence[Camera], places: Places) -> list[Outputs]:
    """The outputs of each camera, or one clear line."""
    from edge_app.live import Outputs
    from edge_app.live.event_log import EventLog
    from edge_app.live.mqtt import Publisher
    from edge_app.live.pictures import Snapshots
    from edge_app.live.recorder import Recorder

    archive = places.archive
    events = places.events or (archive and archive / "events.jsonl")
    snapshots = places.snapshots or archive
    record, mqtt = places.record, places.mqtt
    try:
        log = EventLog(events) if events else None
        return [
            Outputs(
                log=log,
                snapshots=Snapshots(snapshots) if snapshots else None,
                clips=_make_clips(places),
                recorder=Recorder(_of(record, camera), camera.fps or 15.0) if record else None,
                publisher=Publisher(mqtt, camera.name, slug) if mqtt else None,
            )
            for camera, slug in zip(cameras, _slugs(cameras), strict=True)
        ]
    except OSError as error:
        reason = f"cannot be written ({error.strerror or error})"
        raise click.UsageError(f"{printable(error.filename or '')}: {reason}") from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _slugs(cameras: Sequence[Camera]) -> list[str]:
    """What stands for each camera in MQTT topics; a number is added where two would be the same."""
    from edge_app.live.mqtt import topic_name

    slugs = [topic_name(camera.name) for camera in cameras]
    return [
        f"{slug}-{number}" if slugs.count(slug) > 1 else slug
        for number, slug in enumerate(slugs, 1)
    ]


def _make_clips(places: Places) -> Clips | None:
    """The clips; an archive is also useful without them, where PyAV cannot be installed."""
    from edge_app.live.clips import Clips
    from edge_app.live.h264 import is_available

    if (folder := places.of_clips()) is None:
        return None
    if not places.clips and not is_available():
        click.echo(f"Without PyAV there are no clips: {install_hint('live')}", err=True)
        return None
    return Clips(folder)


def make_server(hub: Hub, address: str, auth: str | None, clips: Path | None) -> Server:
    """The page's server, or one clear line."""
    try:
        from edge_app.live.view.server import Server, parse_address
    except ImportError as error:
        raise click.UsageError(f"--serve needs: {install_hint('live')} ({error})") from None
    user, colon, password = (auth or "").partition(":")
    if auth is not None and not (user and colon and password):
        raise click.UsageError("--auth: expected USER:PASSWORD")
    try:
        return Server(hub, parse_address(address), (user, password) if auth else None, clips)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--serve {address}: {error}") from None


def past_events(places: Places) -> list[Kept]:
    """The events that earlier runs kept in the same place."""
    from edge_app.live.archive import ArchiveError, read_archive

    folder = places.events or places.archive
    try:
        return read_archive(folder) if folder is not None and folder.exists() else []
    except ArchiveError:
        return []  # it is new


def check_report(report: Path, cameras: Sequence[Camera], realtime: bool) -> float:
    """The length of the video that a report is of in seconds, or one clear line."""
    from edge_app.live import SourceError
    from edge_app.live.capture import video_length

    if len(cameras) > 1 or not os.path.isfile(cameras[0].source) or realtime:
        raise click.UsageError(f"--report {report}: it is for one video file, without --realtime.")
    if not os.access(report.absolute().parent, os.W_OK):
        raise click.UsageError(f"--report {report}: the folder cannot be written.")
    try:
        return video_length(cameras[0].source)
    except SourceError as error:
        raise click.UsageError(str(error)) from None


def save_report(report: Path, camera: Camera, length: float, hub: Hub, shortfall: str = "") -> None:
    """Writes the report of a video file, with how it ended too early, and says so."""
    from edge_app.live.report import write_video_report

    events = [(event, hub.thumbnail(event["id"])) for event in reversed(hub.events())]
    last = max((event["position"] + event.get("seconds", 0) for event, _ in events), default=0.0)
    try:
        count = write_video_report(
            report, Path(camera.source), max(length, last), events, shortfall
        )
    except OSError as error:
        raise click.ClickException(f"--report {report}: {error.strerror or error}") from None
    click.echo(f"{counted(count, 'event')} in {printable(report)}")


def _of(path: Path, camera: Camera) -> Path:
    """A file of one camera: its name is added where it has one."""
    name = re.sub(r"[^\w-]+", "-", camera.name).strip("-")
    return path.with_stem(f"{path.stem}-{name}") if name else path
