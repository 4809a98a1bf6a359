"""``events``: what ``live`` has kept."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_app.cli.options import OutputPath
from edge_app.files import printable
from edge_app.invocation import invocation
from edge_app.wording import counted

if TYPE_CHECKING:
    from edge_app.live.archive import Kept


class DayType(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on only
    """A day such as 2026-11-28."""

    name = "YYYY-MM-DD"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime.date:
        """Returns the day."""
        try:
            return datetime.datetime.strptime(str(value), "%Y-%m-%d").date()
        except ValueError:
            self.fail(f"{value!r}: expected a day such as 2026-11-28.")


@click.command(epilog=f"Example: {invocation()} events watch --report today.html")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, path_type=Path))
@click.option("--day", type=DayType(), help="Only events that began on this day.")
@click.option("--camera", help="Only events of the camera with this name.")
@click.option(
    "--format",
    type=click.Choice(["text", "jsonl"]),
    default="text",
    show_default=True,
    help="Print lines for people or one JSON object per line.",
)
@click.option(
    "--report",
    type=OutputPath(),
    help="Write an HTML page of --day, or of the last day with events, to FILE.",
)
def events(
    folder: Path,
    day: datetime.date | None,
    camera: str | None,
    format: str,
    report: Path | None,
) -> None:
    """List the events that live --archive DIR has kept.

    Each line has the time, the length, the highest score, the camera and the clip.
    """
    from edge_app.live.archive import ArchiveError, days, read_archive
    from edge_app.live.report import write_day

    try:
        known = read_archive(folder)
    except ArchiveError as error:
        raise click.UsageError(str(error)) from None
    kept = [one for one in known if camera in (None, one.camera)]
    if report is not None:
        found = days(kept)
        day = day or (found[-1] if found else datetime.date.today())
        try:
            count = write_day(report, kept, day)
        except OSError as error:
            raise click.UsageError(f"{report}: cannot be written ({error.strerror})") from None
        click.echo(f"{counted(count, 'event')} of {day} in {printable(report)}")
        if not count:
            _say_none(known, day, camera)
        return
    shown = [one for one in kept if one.is_event and day in (None, one.started.date())]
    for one in shown:
        click.echo(one.line() if format == "text" else json.dumps(asdict(one), default=str))
    if not shown:
        _say_none(known, day, camera)


def _say_none(known: Sequence[Kept], day: datetime.date | None, camera: str | None) -> None:
    """Says, beside the output, that there are no such events, and which cameras there are."""
    which = f" of camera {camera!r}" if camera is not None else ""
    which += f" on {day}" if day is not None else ""
    cameras = sorted({one.title for one in known})
    hint = f" Known cameras: {', '.join(cameras)}." if cameras and camera else ""
    click.echo(f"No events{which}.{hint}", err=True)
