"""What a source that cannot be used raises."""

from __future__ import annotations


class SourceError(Exception):
    """A source that cannot be opened; the message names it and says what to do."""
