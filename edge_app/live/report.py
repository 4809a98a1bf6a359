"""Events as one HTML page: a timeline, their best frames, and links to their clips."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edge_app.files import whole_file
from edge_app.imaging import PictureError, read_thumbnail
from edge_app.live.archive import Kept
from edge_app.wording import counted

_STYLE = Path(__file__).parent.parent / "export" / "report.css"
_MORE = """
.timeline { display: block; width: 100%; height: 56px; margin-top: 0.6rem; }
.timeline rect { fill: var(--line); }
.timeline .event { fill: var(--found); }
.timeline .lost { fill: #b7791f; }
.ticks { display: flex; justify-content: space-between; color: var(--quiet); font-size: 0.8rem; }
.events { list-style: none; margin: 1rem 0 2rem; padding: 0; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); }
.events li { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  overflow: hidden; }
.events img { display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: cover; }
.events div { padding: 0.6rem 0.8rem; overflow-wrap: anywhere; }
.events strong, .events a { display: block; }
a { color: var(--clear); }
"""
_THUMBNAIL = 360
_DAY_SECONDS = 86400.0


@dataclass(frozen=True)
class Entry:
    """An event, or a time in which the source was lost, on the timeline of a report.

    Attributes:
        start: seconds from the beginning of the timeline.
        seconds: how long it was.
        title: when it was, for people.
        details: what else is known, for people.
        picture: JPEG, or None.
        link: where its video is, or None.
        lost: whether it is a time in which the source was lost.
    """

    start: float
    seconds: float
    title: str
    details: str = ""
    picture: bytes | None = None
    link: str | None = None
    lost: bool = False


def write_report(
    out: Path, title: str, note: str, length: float, ticks: Sequence[str], entries: Iterable[Entry]
) -> int:
    """Writes a report; returns the number of events in it.

    Args:
        out: the file.
        title: of the page.
        note: a sentence below the title.
        length: of the timeline, in seconds.
        ticks: what stands below the timeline, at even distances.
        entries: what happened.

    Raises:
        OSError: the file cannot be written.
    """
    entries = list(entries)
    events = [entry for entry in entries if not entry.lost]
    style = _STYLE.read_text(encoding="utf-8") + _MORE
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'"
    scale = "".join(f"<span>{html.escape(tick)}</span>" for tick in ticks)
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{html.escape(title)}</h1><p id="folder">{html.escape(note)}</p></header>
<main>
<section class="panel" aria-label="Timeline">
{_timeline(entries, length)}
<div class="ticks" aria-hidden="true">{scale}</div>
</section>
{"" if events else "<p>No events.</p>"}
<ul class="events">
{"".join(map(_item, events))}
</ul>
</main>
</body>
</html>
"""
    with whole_file(out) as partial:
        partial.write_text(page, encoding="utf-8", errors="backslashreplace")
    return len(events)


def day_entries(kept: Iterable[Kept], day: date, out: Path) -> list[Entry]:
    """The entries of a day; clips are linked relative to the report ``out``."""
    entries = []
    for one in kept:
        if one.started.date() != day:
            continue
        midnight = one.started.replace(hour=0, minute=0, second=0, microsecond=0)
        start = (one.started - midnight).total_seconds()
        seconds = one.seconds or 0.0
        length = "end not known" if one.seconds is None else f"{one.seconds:.0f} s"
        entries.append(
            Entry(
                start,
                min(seconds, _DAY_SECONDS - start),
                f"{one.started:%H:%M:%S}",
                f"{one.camera}, {length}, peak {one.peak:.0%}",
                _thumbnail(one.picture) if one.picture else None,
                _relative(one.clip, out) if one.clip else None,
                lost=not one.is_event,
            )
        )
    return entries


def write_day(out: Path, kept: Iterable[Kept], day: date) -> int:
    """Writes the report of a day; returns the number of events in it."""
    ticks = [f"{hour:02}:00" for hour in range(0, 25, 4)]
    entries = day_entries(kept, day, out)
    count = sum(not entry.lost for entry in entries)
    note = f"{counted(count, 'event')}, red on the timeline."
    if count < len(entries):
        note += " Amber: a source was lost."
    return write_report(out, f"Events of {day:%d %B %Y}", note, _DAY_SECONDS, ticks, entries)


def write_video_report(
    out: Path,
    video: Path,
    length: float,
    events: Iterable[tuple[dict[str, Any], bytes | None]],
    shortfall: str = "",
) -> int:
    """Writes the report of a video file; each event links to its moment in the video.

    Args:
        out: the file.
        video: the video.
        length: its length in seconds.
        events: records with ``position``, ``seconds`` and ``peak``, each with its best frame.
        shortfall: how the file ended too early; empty if it did not.
    """
    address = _relative(video, out)
    entries = [
        Entry(
            record["position"],
            record.get("seconds", 0.0),
            clock_text(record["position"]),
            f"{record.get('seconds', 0.0):.1f} s, peak {record['peak']:.0%}",
            picture,
            f"{address}#t={max(0.0, record['position'] - 1):.1f}",
        )
        for record, picture in events
    ]
    ticks = [clock_text(length * part / 4) for part in range(5)]
    note = f"{counted(len(entries), 'event')} in {clock_text(length)}"
    note += f". The video {shortfall}." if shortfall else ""
    return write_report(out, f"Events in {video.name}", note, length, ticks, entries)


def _timeline(entries: Sequence[Entry], length: float) -> str:
    bars = "".join(
        f'<rect class="{"lost" if entry.lost else "event"}" '
        f'x="{1000 * entry.start / max(length, 1e-9):.2f}" y="4" height="48" '
        f'width="{max(2.0, 1000 * entry.seconds / max(length, 1e-9)):.2f}"/>'
        for entry in sorted(entries, key=lambda entry: not entry.lost)
    )
    return (
        '<svg class="timeline" role="img" aria-label="When the events were" viewBox="0 0 1000 56" '
        f'preserveAspectRatio="none"><rect width="1000" height="56"/>{bars}</svg>'
    )


def _item(entry: Entry) -> str:
    picture = ""
    if entry.picture:
        data = base64.b64encode(entry.picture).decode()
        alt = html.escape(f"Best frame of the event at {entry.title}")
        picture = f'<img alt="{alt}" loading="lazy" src="data:image/jpeg;base64,{data}">'
    link = f'<a href="{html.escape(entry.link)}">Play</a>' if entry.link else ""
    text = f"<strong>{html.escape(entry.title)}</strong>{html.escape(entry.details)}{link}"
    return f"<li>{picture}<div>{text}</div></li>\n"


def _thumbnail(path: Path) -> bytes | None:
    try:
        picture = read_thumbnail(path, _THUMBNAIL)
    except PictureError:
        return None
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=75)
    return buffer.getvalue()


def _relative(path: Path, out: Path) -> str:
    """The address of a file in a page that lies at ``out``."""
    try:
        return quote(os.path.relpath(path, out.parent).replace(os.sep, "/"))
    except ValueError:  # on another drive
        return path.absolute().as_uri()


def clock_text(seconds: float) -> str:
    """A place in a video for people.

    >>> clock_text(3725.4)
    '1:02:05'
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
