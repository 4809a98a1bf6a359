"""``live``: a camera, a video file or a stream."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edge_app.cli.live_console import Console
from edge_app.cli.options import SOME_UNREADABLE, load_classifier, model_options


class RegionType(click.ParamType):
    """A rectangle, ``x,y,width,height``, or a polygon, ``x,y x,y x,y``, in pixels."""

    name = "region"

    def convert(self, value, param, ctx):
        """Returns the text, once it makes sense."""
        from edge_app.live.zone import corners

        try:
            corners(value)
        except ValueError as error:
            self.fail(str(error))
        return value


def _list_cameras(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from edge_app.live import SourceError, list_cameras, pi_camera_hint

    try:
        cameras = list_cameras()
    except SourceError as error:
        raise click.UsageError(str(error)) from None
    for source, name in cameras:
        click.echo(f"{source:<14}{name}")
    if not cameras:
        click.echo(f"There is no camera. {pi_camera_hint()}".strip())
    ctx.exit()


@click.command(context_settings={"auto_envvar_prefix": "SMOKING_LIVE"})
@click.option(
    "--source",
    multiple=True,
    default=["0"],
    show_default="0",
    help="Camera number or device, picamera, video file or stream URL. Repeatable.",
)
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_cameras,
    help="List the cameras of this machine.",
)
@click.option(
    "--display",
    type=click.Choice(["window", "none"]),
    help="Open a window, or print lines of text.  [default: window where there is a display]",
)
@click.option(
    "--fps",
    type=click.FloatRange(0, 1000, min_open=True),
    help="Classify at most this many frames per second.",
)
@click.option(
    "--region",
    type=RegionType(),
    help='Look only at this part, in pixels: "x,y,width,height" or a polygon "x,y x,y x,y".',
)
@click.option("--mask", type=RegionType(), multiple=True, help="Ignore this part. Repeatable.")
@click.option("--realtime", is_flag=True, help="Play a file at its own speed.")
@click.option("--duration", type=click.FloatRange(0), help="Stop after this many seconds.")
@click.option(
    "--events",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append events to FILE, one line of JSON each; at most 20 MB in all.",
)
@click.option(
    "--snapshots",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the best frame of each event in DIR; the last 200, for 30 days.",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Record the frames to FILE (.mp4 or .avi), up to 2 GB; existing files are kept.",
)
@click.option("--mqtt", metavar="URL", help="Publish to mqtt://user:password@host/name.")
@model_options
def live(
    source: tuple[str, ...],
    display: str | None,
    fps: float | None,
    region: str | None,
    mask: tuple[str, ...],
    realtime: bool,
    duration: float | None,
    events: Path | None,
    snapshots: Path | None,
    record: Path | None,
    mqtt: str | None,
    model: Path,
    threshold: float | None,
) -> None:
    """Classify cameras, video files and streams as they run.

    Keys in the window: q quits, p pauses, s saves the picture, e shows the evidence map. A lost
    camera or stream is connected again; exit code 1 if it was still lost when the run ended.

    Every option can be set in the environment, such as SMOKING_LIVE_SOURCE or SMOKING_LIVE_MQTT.
    Do that for passwords: every user of the machine can read a command line.
    """
    from edge_app.live import Camera, Outputs, SourceError, Zone, run_live
    from edge_app.live.event_log import EventLog
    from edge_app.live.mqtt import Publisher
    from edge_app.live.pictures import Snapshots
    from edge_app.live.recorder import Recorder

    classifier = load_classifier(model, threshold)
    several = len(source) > 1
    if several and display == "window":
        raise click.UsageError("--display window shows one camera; leave it out with several.")
    zone = Zone.parse(region or "", mask) if region or mask else None
    cameras = [
        Camera(one, f"camera {number}" if several else "", fps, zone)
        for number, one in enumerate(source, 1)
    ]
    try:
        log = EventLog(events) if events else None
        outputs = [
            Outputs(
                log=log,
                snapshots=Snapshots(snapshots) if snapshots else None,
                recorder=Recorder(_of_camera(record, camera.name), fps or 15.0) if record else None,
                publisher=Publisher(mqtt, camera.name) if mqtt else None,
            )
            for camera in cameras
        ]
    except (OSError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    console = Console()
    with console.listening():
        try:
            summary = run_live(
                cameras,
                classifier,
                display=display,
                duration=duration,
                realtime=realtime,
                outputs=outputs,
                on_frame=console.frame,
            )
        except SourceError as error:
            raise click.UsageError(str(error)) from None
        finally:
            console.end()
    click.echo(summary.text())
    sys.exit(SOME_UNREADABLE if summary.lost or summary.failed else 0)


def _of_camera(path: Path, name: str) -> Path:
    """A file of one camera: its name is added where there are several."""
    return path.with_stem(f"{path.stem}-{name.replace(' ', '-')}") if name else path
