"""What cannot be written: said once until it works again, since a full disk ends no run."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

from edge_app.files import printable

logger = logging.getLogger(__name__)

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.ENOENT: "the folder is gone",
    errno.EIO: "the disk does not answer",
}


class Trouble:
    """A context manager around each attempt to write to one output; it swallows ``OSError``.

    Args:
        what: the output, for people, such as ``Clips``.
        place: the file or folder.
    """

    def __init__(self, what: str, place: Path):
        self._what, self._place = what, printable(place)
        self._reason: str | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        if error is None:
            self.worked()
        elif isinstance(error, OSError):
            self.failed(error)
        return isinstance(error, OSError)

    def failed(self, error: Exception) -> None:
        """Takes the reason why it does not work, and says it unless it was said."""
        number = getattr(error, "errno", None)
        reason = _REASONS.get(number or 0) or getattr(error, "strerror", None) or str(error)
        if reason != self._reason:
            self._reason = reason
            text = f"cannot be written: {reason}" if number else reason
            logger.warning("%s (%s): %s", self._what, self._place, text)

    def worked(self) -> None:
        """Says that it works again if it did not."""
        if self._reason is not None:
            self._reason = None
            logger.info("%s (%s): can be written again", self._what, self._place)
