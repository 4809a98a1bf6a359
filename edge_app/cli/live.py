"""``live``: a camera, a video file or a stream."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_app.cli.live_console import Console
from edge_app.cli.live_setup import (
    Places,
    check_report,
    make_cameras,
    make_outputs,
    make_server,
    past_events,
    save_report,
)
from edge_app.cli.options import (
    SOME_UNREADABLE,
    OutputPath,
    load_classifier,
    looks_option,
    model_options,
)

if TYPE_CHECKING:
    from edge_app.live import Moment


class RegionType(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on only
    """A rectangle, ``x,y,width,height``, or a polygon, ``x,y x,y x,y``, in pixels."""

    name = "region"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the text, once it makes sense."""
        from edge_app.live.zone import corners

        try:
            corners(value)
        except ValueError as error:
            self.fail(str(error))
        return str(value)


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
    help="Camera number or device, picamera, video file or stream URL. Repeatable.  [default: 0]",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read the cameras from a TOML file: name, source, region, mask, threshold, fps.",
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
    type=OutputPath(),
    help="Append events to FILE, one line of JSON each; at most 20 MB in all.",
)
@click.option(
    "--snapshots",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the best frame of each event in DIR; the last 200, for 30 days.",
)
@click.option(
    "--clips",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep a video of each event in DIR; the last 200, for 30 days.",
)
@click.option(
    "--archive",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep events, best frames and clips in DIR, for the command events.",
)
@click.option(
    "--report",
    type=OutputPath(),
    help="Write the events of a video file to FILE, an HTML page with pictures.",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Record the frames to FILE (.mp4 or .avi), up to 2 GB; existing files are kept.",
)
@click.option("--mqtt", metavar="URL", help="Publish to mqtt://user:password@host/name.")
@click.option(
    "--serve",
    metavar="[HOST:]PORT",
    help="Serve a page with the pictures and events, such as --serve 8080.",
)
@click.option("--auth", metavar="USER:PASSWORD", help="Ask visitors of the page for this account.")
@click.option(
    "--serve-fps",
    type=click.FloatRange(0, 30, min_open=True),
    default=5,
    show_default=True,
    help="Pictures per second and camera on the page.",
)
@click.option(
    "--serve-size",
    type=click.IntRange(64, 4096),
    default=960,
    show_default=True,
    help="Longer side of the pictures on the page, in pixels.",
)
@looks_option
@model_options
def live(
    source: tuple[str, ...],
    config: Path | None,
    display: str | None,
    fps: float | None,
    region: str | None,
    mask: tuple[str, ...],
    realtime: bool,
    duration: float | None,
    events: Path | None,
    snapshots: Path | None,
    clips: Path | None,
    archive: Path | None,
    report: Path | None,
    record: Path | None,
    mqtt: str | None,
    serve: str | None,
    auth: str | None,
    serve_fps: float,
    serve_size: int,
    model: Path,
    threshold: float | None,
    looks: int | None,
) -> None:
    """Classify cameras, video files and streams as they run.

    Keys in the window: q quits, p pauses, s saves the picture, e shows the evidence map. A lost
    camera or stream is connected again; exit code 1 if it was still lost when the run ended.

    Every option can be set in the environment, such as SMOKING_LIVE_SOURCE or SMOKING_LIVE_MQTT.
    Do that for passwords: every user of the machine can read a command line.
    """
    from edge_app.live import SourceError, run_live
    from edge_app.live.view.hub import MOST_IN_REPORT, MOST_ON_PAGE, Hub

    cameras = make_cameras(source, config, fps, region, mask)
    if len(cameras) > 1 and display == "window":
        raise click.UsageError("--display window shows one camera; use --serve with several.")
    classifier = load_classifier(model, threshold, looks)
    places = Places(archive, events, snapshots, clips, record, mqtt)
    length = check_report(report, cameras, realtime) if report else None
    console = Console(length)
    with contextlib.ExitStack() as stack:
        stack.enter_context(console.listening())
        outputs = make_outputs(cameras, places)
        on_frame: Callable[[Moment], None] = console.frame
        if serve or report:
            most = MOST_IN_REPORT if report else MOST_ON_PAGE
            hub = Hub(cameras, classifier.info.decision, serve_fps, serve_size, most)
            for camera, output in zip(cameras, outputs, strict=True):
                hub.follow(camera, output)
            on_frame = _both(hub.frame, console.frame)
        if serve:
            hub.remember(past_events(places))
            server = stack.enter_context(make_server(hub, serve, auth, places.of_clips()))
            click.echo(f"Open {server.url}", err=True)
        stack.callback(console.end)
        try:
            summary = run_live(
                cameras,
                classifier,
                display="none" if (serve or report) and display is None else display,
                duration=duration,
                realtime=realtime,
                patient=bool(serve),
                outputs=outputs,
                on_frame=on_frame,
            )
        except SourceError as error:
            raise click.UsageError(str(error)) from None
    if report:
        save_report(report, cameras[0], length or 0.0, hub, summary.shortfall)
    click.echo(summary.text())
    sys.exit(SOME_UNREADABLE if summary.lost or summary.failed else 0)


def _both(
    first: Callable[[Moment], None], second: Callable[[Moment], None]
) -> Callable[[Moment], None]:
    def take(moment: Moment) -> None:
        first(moment)
        second(moment)

    return take
