"""``scan``: folders into a SQLite file."""

from __future__ import annotations

import datetime
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from edge_app.classifier import ModelInfo, Prediction
from edge_app.cli.ending import NOT_WRITTEN
from edge_app.cli.options import (
    SOME_UNREADABLE,
    answer_line,
    limit_options,
    load_classifier,
    looks_option,
    model_options,
)
from edge_app.files import is_remote
from edge_app.invocation import install_hint, invocation

if TYPE_CHECKING:
    from edge_app.scan.workers import Done


class _Source(click.Path):
    """A path that exists, or an address like ``s3://bucket/pictures``."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return value if is_remote(value) else super().convert(value, param, ctx)


@click.command(epilog=f"Example: {invocation()} scan ~/Pictures --db smoking.db")
@click.argument(
    "folders",
    metavar="DIR...",
    nargs=-1,
    required=True,
    type=_Source(exists=True, path_type=Path),
)
@click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("smoking.db"),
    show_default=True,
    help="Write results to this SQLite file.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="Use N threads, each with its own interpreter.  [default: one per core]",
)
@click.option(
    "--watch", is_flag=True, help="Keep running and classify new pictures as they arrive."
)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    metavar="DATE",
    help="Scan only files modified on or after 2026-05-31 or 2026-05-31T18:00.",
)
@click.option(
    "--include",
    metavar="GLOB",
    multiple=True,
    help="Scan only files with this name, or with a slash this path below DIR. Repeatable.",
)
@click.option(
    "--exclude",
    metavar="GLOB",
    multiple=True,
    help="Skip files and folders with this name or path. Repeatable.",
)
@click.option("--follow-symlinks", is_flag=True, help="Enter linked folders, each once.")
@click.option("--rescan", is_flag=True, help="Classify again what the database already holds.")
@click.option("--prune", is_flag=True, help="Remove results of files that no longer exist.")
@click.option("--force", is_flag=True, help="With --prune: remove even if most files are gone.")
@click.option(
    "--all-folders",
    is_flag=True,
    help="Also scan folders of systems and programs, such as @eaDir and $RECYCLE.BIN.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Scan on a Ray cluster, also from s3:// and gs://, into Parquet files.",
)
@click.option("--address", help="With --engine ray: join this cluster.  [default: this machine]")
@click.option(
    "--out", metavar="FOLDER", help="With --engine ray: write results to this folder or address."
)
@limit_options
@looks_option
@model_options
def scan(
    folders: tuple[Path | str, ...],
    db: Path,
    workers: int | None,
    watch: bool,
    since: datetime.datetime | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    follow_symlinks: bool,
    rescan: bool,
    prune: bool,
    force: bool,
    all_folders: bool,
    engine: str,
    address: str | None,
    out: str | None,
    model: Path,
    threshold: float | None,
    looks: int | None,
) -> None:
    """Classify the pictures in folders into a SQLite file. Run it again for new or changed files.

    Pictures are detected by content: JPEG, PNG, WebP, AVIF, HEIC, TIFF, BMP, GIF.

    Exit codes: 0 fine, also after a --watch; 1 some pictures could not be read, all others were
    classified; 2 wrong usage, or a database that cannot be used; 3 the results could not be
    written, for example because the disk is full; 130 stopped with Ctrl-C. After 3 and 130 the
    same command resumes.
    """
    from edge_app.cli.progress import ScanProgress
    from edge_app.scan import Selection, StoreBusyError, StoreError, run_scan
    from edge_app.scan.selection import from_here
    from edge_app.scan.watch import WatchError, run_watch

    info = load_classifier(model, threshold, looks).info  # its interpreter is not needed
    selection = Selection(
        include,
        from_here(exclude, folders),
        int(since.timestamp() * 1e9) if since else None,
        follow_symlinks,
        all_folders,
    )
    options: dict[str, Any] = {"workers": workers, "selection": selection, "rescan": rescan}
    if engine == "ray":
        if watch or prune or not out:
            raise click.UsageError("--engine ray needs --out and goes without --watch and --prune.")
        _scan_with_ray(folders, out, info, address, options)
    if out or address or any(map(is_remote, folders)):
        raise click.UsageError("--out, --address and places like s3:// need --engine ray.")
    if force and not prune:
        raise click.UsageError("--force goes with --prune.")
    options |= {"prune": prune, "force": force, "progress": ScanProgress()}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service is stopped like this
    try:
        if watch:
            summary = run_watch(folders, db, info, on_result=_print_result, **options)
        else:
            summary = run_scan(folders, db, info, **options)
    except StoreBusyError as error:
        click.echo(f"{error}. Run the same command again to resume.", err=True)
        sys.exit(NOT_WRITTEN)
    except (StoreError, WatchError) as error:
        raise click.UsageError(str(error)) from None
    if watch:  # which Ctrl-C ends, and which tries again what it could not read
        _end(summary.text(), stopped=False, incomplete=False)
    _end(summary.text(), summary.interrupted, incomplete=bool(summary.unreadable or summary.kept))


def _scan_with_ray(
    sources: Sequence[Path | str],
    out: str,
    info: ModelInfo,
    address: str | None,
    options: dict[str, Any],
) -> NoReturn:
    from edge_app.cli.progress import ScanProgress
    from edge_app.scan import StoreError

    try:
        from edge_app.scan.ray_engine import run_ray_scan

        options |= {"progress": ScanProgress()}
        summary = run_ray_scan(
            [os.fspath(source) for source in sources], out, info, address, **options
        )
    except ImportError as error:
        raise click.UsageError(f"--engine ray needs: {install_hint('ray')} ({error})") from None
    except (StoreError, ConnectionError) as error:
        raise click.UsageError(str(error)) from None
    incomplete = bool(summary.unreadable or summary.undone)
    _end(summary.text(), summary.interrupted, incomplete)


def _end(text: str, stopped: bool, incomplete: bool) -> NoReturn:
    click.echo(text)
    if stopped:
        click.echo("Stopped. Run the same command again to resume.")
        sys.exit(130)
    sys.exit(SOME_UNREADABLE if incomplete else 0)


def _print_result(done: Done) -> None:
    from tqdm import tqdm

    if isinstance(done.result, Prediction):
        tqdm.write(answer_line(done.result, done.job.path))
