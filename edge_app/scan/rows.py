"""One row per picture: its result, and whether a later scan may keep it."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from edge_app.classifier import ModelInfo, Prediction
from edge_app.files import is_remote
from edge_app.looks import Box, Looks, logit


@dataclass(frozen=True)
class FileState:
    """What tells whether a file has changed: its size in bytes and modification time."""

    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> FileState:
        """Reads it from the file system; zeros where that fails."""
        try:
            status = os.stat(path)
        except OSError:
            return cls(0, 0)
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Row:
    """The result for one picture.

    Attributes:
        path: absolute, as the file system knows it, whatever bytes it contains; the address of
            a picture in an object store.
        size: in bytes, when it was scanned.
        modified_ns: modification time when it was scanned, nanoseconds since 1970.
        label: the model's, such as ``Smoking`` or ``NotSmoking``; None where it is unreadable.
        smoking: score of the positive label, in [0, 1]; None where it is unreadable.
        threshold: score from which on the label is the positive one.
        model: SHA-256 of the model file.
        error: why it is unreadable, else None.
        scanned_at: when, ISO 8601, UTC.
        uncertain: whether the model is often wrong at this score; None where it is unreadable,
            and in results of an earlier version.
        looks: how many looks the score is the mean of; None where it is unreadable.
        region: of the closest look, in pixels of the upright picture; None for one look.
        network: `edge_app.classifier.ModelInfo.network`, which another threshold leaves as it is;
            None in results of an earlier version.
        looks_rule: the model's rule for looking again, as JSON, if the first score required it;
            else None.
        incomplete: whether the file ends too early, so that a part of the picture is missing; None
            where it is unreadable, and in results of an earlier version.
    """

    path: Path | str
    size: int
    modified_ns: int
    label: str | None
    smoking: float | None
    threshold: float
    model: str
    error: str | None
    scanned_at: str
    uncertain: bool | None = None
    looks: int | None = None
    region: Box | None = None
    network: str | None = None
    looks_rule: str | None = None
    incomplete: bool | None = None

    @classmethod
    def of(
        cls,
        path: str | os.PathLike[str],
        state: FileState,
        info: ModelInfo,
        result: Prediction | Exception,
    ) -> Row:
        """The row for a result of just now.

        Args:
            path: of the file, or an address.
            state: what the file was when it was found.
            info: of the classifier.
            result: the prediction, or why there is none.
        """
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        row = cls(
            path=os.fspath(path) if is_remote(path) else Path(path),
            size=state.size,
            modified_ns=state.modified_ns,
            label=None,
            smoking=None,
            threshold=info.decision.threshold,
            model=info.sha256,
            error=str(result),
            scanned_at=now,
            network=info.network,
        )
        if not isinstance(result, Prediction):
            return row
        return dataclasses.replace(
            row,
            label=result.label,
            smoking=result.smoking,
            error=None,
            uncertain=result.uncertain,
            looks=result.looks,
            region=result.region,
            looks_rule=_looks_rule(result, info.decision.looks),
            incomplete=result.incomplete,
        )

    def is_scored_by(self, info: ModelInfo, state: FileState) -> bool:
        """Whether this model would give the score that is here already.

        Another threshold changes no score. Another rule for looking again changes those of the
        pictures that it looks at again, or no longer does. An unreadable picture has no score:
        the reason may be gone.
        """
        if self.smoking is None or (self.size, self.modified_ns) != (state.size, state.modified_ns):
            return False
        if self.model != info.sha256 and self.network != info.network:
            return False
        looks = info.decision.looks
        if self.looks_rule is None:  # the first look alone
            return looks is None or logit(self.smoking) < looks.lowest
        if looks is None:
            return self.looks == 1
        try:
            before = Looks.from_dict(json.loads(self.looks_rule))
        except ValueError:  # another program wrote it
            return False
        # What the earlier rule looked at again, one that begins lower does, too.
        same = dataclasses.replace(before, lowest=looks.lowest) == looks
        return same and looks.lowest <= before.lowest

    def relabelled(self, info: ModelInfo) -> Prediction | None:
        """The row under another decision of the same model; None if it stays as it is."""
        decision = info.decision
        assert self.smoking is not None
        found = self.smoking >= decision.threshold
        label = decision.label if found else info.other_label
        uncertain = decision.is_uncertain(self.smoking)
        if (self.threshold, self.label, self.uncertain) == (decision.threshold, label, uncertain):
            return None
        return Prediction(
            label,
            self.smoking if found else 1 - self.smoking,
            self.smoking,
            uncertain,
            looks=self.looks or 1,
            region=self.region,
            incomplete=bool(self.incomplete),
        )


def _looks_rule(prediction: Prediction, looks: Looks | None) -> str | None:
    if looks is None or (prediction.looks == 1 and logit(prediction.smoking) < looks.lowest):
        return None
    return json.dumps(looks.to_dict(), separators=(",", ":"))


def stored_name(path: str | os.PathLike[str]) -> str:
    r"""A path as text that any SQLite tool can show.

    Bytes that are not UTF-8 become ``\xNN``. So that this can be undone, a backslash that happens
    to stand before an x and two hexadecimal digits becomes ``\x5c``.

    >>> stored_name(os.fsdecode(b"caf\xe9.jpg"))
    'caf\\xe9.jpg'
    """
    name = os.fspath(path)
    if "\\" in name:
        name = re.sub(r"\\(?=x[0-9a-f]{2})", r"\\x5c", name)
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def path_of(name: str) -> str:
    r"""The path that `stored_name` made a name of.

    >>> os.fsencode(path_of("caf\\xe9.jpg"))
    b'caf\xe9.jpg'
    """
    if name.isascii() and "\\" not in name:
        return name
    escape = re.compile(rb"\\x([0-9a-f]{2})")
    return os.fsdecode(escape.sub(lambda m: bytes.fromhex(m[1].decode()), name.encode()))
