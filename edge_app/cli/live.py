"""``live``: a camera, a video file or a stream."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edge_app.cli.options import SOME_UNREADABLE, load_classifier, model_options


class RegionType(click.ParamType):
    """``x,y,width,height`` in pixels."""

    name = "x,y,w,h"

    def convert(self, value, param, ctx):
        """Returns four whole numbers."""
        if isinstance(value, tuple):
            return value
        numbers = value.split(",")
        if len(numbers) != 4 or not all(number.strip().isdecimal() for number in numbers):
            self.fail(f"expected x,y,width,height in pixels, as 100,0,400,400, got {value}")
        region = tuple(int(number) for number in numbers)
        if not (region[2] and region[3]):
            self.fail(f"expected a width and a height above 0, got {value}")
        return region


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


@click.command(
    context_settings={"auto_envvar_prefix": "SMOKING_LIVE"},
    epilog="Example: python3 run.py live --source 0 --events events.jsonl",
)
@click.option(
    "--source",
    default="0",
    show_default=True,
    help="A camera's number or device, picamera, a video file, or the URL of a stream.",
)
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_cameras,
    help="Show the cameras there are.",
)
@click.option(
    "--display",
    type=click.Choice(["window", "none"]),
    help="A window, or lines of text.  [default: a window where there is a screen]",
)
@click.option(
    "--fps",
    type=click.FloatRange(0, 1000, min_open=True),
    help="Classify at most so many frames a second.",
)
@click.option("--region", type=RegionType(), help="Look only at this part, in pixels.")
@click.option(
    "--realtime", is_flag=True, help="Play a file at its own speed, not as fast as possible."
)
@click.option("--duration", type=click.FloatRange(0), help="Stop after so many seconds.")
@click.option(
    "--events",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append a line of JSON as each event begins and ends; at most 20 MB in all.",
)
@click.option(
    "--snapshots",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the best frame of each event in this folder; the last 200, for 30 days.",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Record what was classified to this .mp4 or .avi, up to 2 GB; where the file is there "
    "already, a number is added to its name.",
)
@click.option("--mqtt", metavar="URL", help="Publish to mqtt://user:password@host/name.")
@model_options
def live(
    source: str,
    display: str | None,
    fps: float | None,
    region: tuple[int, int, int, int] | None,
    realtime: bool,
    duration: float | None,
    events: Path | None,
    snapshots: Path | None,
    record: Path | None,
    mqtt: str | None,
    model: Path,
    threshold: float | None,
) -> None:
    """Classifies a camera, a video file or a stream as it runs.

    In the window: q quits, p pauses, s saves the picture, e shows the evidence. A camera or stream
    that is lost is connected again; exit code 1 if it was lost when the run ended. Each option can
    also be given in the environment, as SMOKING_LIVE_SOURCE or SMOKING_LIVE_MQTT: a password on the
    command line is there for all users of the machine to see.
    """
    from edge_app.live import Outputs, SourceError, run_live
    from edge_app.live.events import EventLog
    from edge_app.live.mqtt import Publisher
    from edge_app.live.pictures import Recorder, Snapshots

    classifier = load_classifier(model, threshold)
    try:
        outputs = Outputs(
            log=EventLog(events) if events else None,
            snapshots=Snapshots(snapshots) if snapshots else None,
            recorder=Recorder(record, fps or 15.0) if record else None,
            publisher=Publisher(mqtt) if mqtt else None,
        )
    except (OSError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    try:
        summary = run_live(
            source,
            classifier,
            display=display,
            duration=duration,
            fps=fps,
            region=region,
            realtime=realtime,
            outputs=outputs,
        )
    except SourceError as error:
        raise click.UsageError(str(error)) from None
    click.echo(summary.text())
    sys.exit(SOME_UNREADABLE if summary.lost else 0)
