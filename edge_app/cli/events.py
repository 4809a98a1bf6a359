"""``events``: what ``live`` has kept."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from edge_app.invocation import invocation


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
    type=click.Path(dir_okay=False, path_type=Path),
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
        kept = [one for one in read_archive(folder) if camera in (None, one.camera)]
    except ArchiveError as error:
        raise click.UsageError(str(error)) from None
    if report is not None:
        found = days(kept)
        day = day or (found[-1] if found else datetime.date.today())
        try:
            count = write_day(report, kept, day)
        except OSError as error:
            raise click.UsageError(f"{report}: cannot be written ({error.strerror})") from None
        click.echo(f"{count} event{'' if count == 1 else 's'} of {day} in {report}")
        return
    for one in kept:
        if one.is_event and day in (None, one.started.date()):
            click.echo(one.line() if format == "text" else json.dumps(asdict(one), default=str))
