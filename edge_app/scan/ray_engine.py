"""The same scan on a Ray cluster: pictures in folders or object stores into Parquet files.

The driver lists the pictures and cuts the list into batches of about equal bytes. Each actor of a
Ray Data pipeline holds one interpreter of one thread, reads the pictures of its batch itself, and
writes the results as one file. Only names and counts travel between processes, never pictures.

An actor that dies is started again, and its batch done again into the same file, so that every
picture is there exactly once. From then on it reads pictures in a process beside it, so that one
that crashes its decoder is named and costs nothing else. Nothing else imports ``ray``.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import logging
import os
import shutil
import socket
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_app import limits
from edge_app.classifier import ModelInfo, Prediction
from edge_app.decision import Decision
from edge_app.files import is_remote, printable
from edge_app.limits import Limits
from edge_app.parallel import count_cores
from edge_app.runtime import native_messages_to
from edge_app.scan.batches import Listed, cut_batches, list_pictures
from edge_app.scan.parquet import make_folder, read_parquet, write_part
from edge_app.scan.progress import Progress
from edge_app.scan.ray_worker import MODEL, Worker
from edge_app.scan.rows import FileState, Row
from edge_app.scan.selection import Selection
from edge_app.scan.summary import Tally
from edge_app.temporary import temporary_folder

# Read when ray is imported. Nothing is sent anywhere; its core is silent but for what ends it.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
import ray
import ray.data

_ray: Any = ray  # which has types for some of it
_log = logging.getLogger(__name__)

_TRIES = 4
"""Per batch, so that a batch that kills its worker is given up at some point."""

_RELABELLED_AT_ONCE = 100_000  # rows in a file


@dataclass(kw_only=True)
class RaySummary(Tally):
    """What a scan by Ray did.

    ``seconds`` are with the listing, without the start of Ray.

    Attributes:
        out: where the results are.
        workers: actors.
    """

    out: str
    workers: int = 0

    def text(self) -> str:
        """The summary for people."""
        lines = self.lines(workers=f", {self.workers} workers")
        if self.undone and not self.interrupted:
            lines.append(
                f"{self.undone} not done: their workers died or could not write; run it again"
            )
        return "\n".join([*lines, f"Results: {self.out}"])


def run_ray_scan(
    sources: Sequence[str],
    out: str,
    info: ModelInfo,
    address: str | None = None,
    workers: int | None = None,
    *,
    selection: Selection | None = None,
    rescan: bool = False,
    progress: Progress | None = None,
) -> RaySummary:
    """Scans folders or object stores into a folder of Parquet files.

    Pictures that the same model has scored already are not read again. Ctrl-C stops it and keeps
    all results.

    Args:
        sources: folders that all nodes see under the same path, or addresses (``s3://...``).
        out: a folder that all nodes see under the same path, or an address.
        info: of the classifier to use.
        address: of a Ray cluster; None starts Ray on this machine and stops it at the end.
        workers: number of actors; None for one per core of the cluster.
        selection: which files are scanned; None for all pictures that are not hidden.
        rescan: classify again what the results already hold.
        progress: shows the numbers meanwhile; None for nothing.

    Raises:
        edge_app.scan.StoreError: a source or the results cannot be used.
        ConnectionError: there is no cluster at the address, or it failed.
    """
    summary = RaySummary(out=out, labels=(info.decision.label, info.other_label))
    progress = progress or Progress()
    out = out if is_remote(out) else os.path.abspath(out)
    if address is None:
        make_folder(out)  # before Ray is started, which takes seconds
    with _cluster(address, workers, info):
        make_folder(out)  # not where no cluster answers
        summary.workers = workers or int(_ray.cluster_resources().get("CPU", 1))
        start = time.monotonic()
        try:
            listed = list_pictures(sources, selection or Selection())
            done = {} if rescan else _done(out, info)
            todo = list(_not_done(listed, done, summary))
            _relabel(done, out, info, summary)
            _run(todo, out, info, summary, progress)
        except KeyboardInterrupt:
            summary.interrupted = True
        summary.seconds = time.monotonic() - start
    return summary


@contextlib.contextmanager
def _cluster(address: str | None, workers: int | None, info: ModelInfo) -> Iterator[None]:
    """Connects to Ray, or starts it on this machine; disconnects or stops it at the end."""
    if address:
        _check_address(address)
        options: dict[str, Any] = {"address": address}
    else:  # names and counts need next to no memory
        options = {
            "address": "local",
            "num_cpus": workers or count_cores(),
            "include_dashboard": False,
            "object_store_memory": 128 << 20,
        }
    with temporary_folder("smoking-ray-") as temporary:
        # What a node needs beside the installed packages; Ray takes it there.
        app = Path(__file__).parent.parent
        hidden = shutil.ignore_patterns("__pycache__")
        shutil.copytree(app, temporary / app.name, ignore=hidden)
        shutil.copy(info.path, temporary / MODEL)
        with native_messages_to(os.devnull):  # its core says at which level it logs
            _ray.init(
                **options,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"working_dir": str(temporary)},
            )
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Ray itself waits for minutes where nobody answers, and then ends the process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return  # "auto" and its like
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise ConnectionError(
            f"{address}: no Ray cluster answers there ({error.strerror or error})"
        ) from None


@dataclass
class _Kept:
    """A picture whose score stands.

    Attributes:
        state: what the file was when it was scored.
        relabelled: its label by another threshold; None where the label stands, too.
        found: whether the file is there and unchanged.
    """

    state: FileState
    relabelled: Prediction | None
    found: bool = False


def _done(out: str, info: ModelInfo) -> dict[str, _Kept]:
    """What this model has scored already."""
    done = {}
    for row in read_parquet(out, may_be_empty=True):
        state = FileState(row.size, row.modified_ns)
        if row.is_scored_by(info, state):
            done[os.fspath(row.path)] = _Kept(state, row.relabelled(info))
    return done


def _not_done(
    listed: Iterable[Listed], done: dict[str, _Kept], summary: RaySummary
) -> Iterator[Listed]:
    for picture in listed:
        kept = done.get(picture.path)
        if kept is None or kept.state != picture.state:
            yield picture
        elif kept.relabelled:
            kept.found = True
        else:
            summary.unchanged += 1


def _relabel(done: dict[str, _Kept], out: str, info: ModelInfo, summary: RaySummary) -> None:
    """Writes the rows that only need another label, here, since nothing is read for them."""
    rows = (
        Row.of(path, kept.state, info, kept.relabelled)
        for path, kept in done.items()
        if kept.found and kept.relabelled
    )
    run = _run_name()
    for number in itertools.count():
        if not (part := list(itertools.islice(rows, _RELABELLED_AT_ONCE))):
            return
        write_part(out, run, number, part)
        summary.relabelled += len(part)


def _run_name() -> str:
    """Sorts after all earlier ones."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S%f")


def _run(
    todo: Sequence[Listed], out: str, info: ModelInfo, summary: RaySummary, progress: Progress
) -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # a batch that fails every time does not take the rest along
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    arguments = (info.decision, out, _run_name(), limits.current())
    left = {batch["batch"]: batch for batch in cut_batches(todo, summary.workers)}
    summary.undone = len(todo)
    progress.total = summary.seen + len(todo)
    # Batches on a node that disappears use up their tries before Ray notices. So what is left is
    # done in another round, as long as rounds achieve anything.
    failures: set[str] = set()
    achieved = True
    while left and achieved:
        achieved = False
        for counts in _classify(list(left.values()), arguments, summary.workers):
            if counts["failure"]:
                failures.add(counts["failure"])
                continue
            achieved = True
            del left[counts["batch"]]
            summary.scanned += counts["scanned"]
            summary.smoking += counts["smoking"]
            summary.looked_again += counts["looked_again"]
            summary.unreadable += counts["unreadable"]
            summary.undone -= counts["done"]
            progress.show(summary)
    progress.close(summary)
    for failure in sorted(failures) if left else ():
        _log.warning("not done: %s", printable(failure))


def _classify(
    batches: list[dict[str, object]], arguments: tuple[Decision, str, str, Limits], workers: int
) -> Iterator[dict[str, Any]]:
    """Runs the pipeline; yields what `Worker` says of each batch."""
    worker: Any = Worker
    with warnings.catch_warnings():
        # The limit of retries has no other place yet; requirements-ray.txt stops before it goes.
        warnings.filterwarnings("ignore", message=".*ray_remote_args")
        results = ray.data.from_items(batches, override_num_blocks=len(batches)).map(
            worker,
            fn_constructor_args=arguments,
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(batches))),
            num_cpus=1,
            max_restarts=-1,
            max_task_retries=_TRIES - 1,
        )
    try:
        yield from results.iter_rows()
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ConnectionError(f"the Ray cluster gave up: {reason}") from None
