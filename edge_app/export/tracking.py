"""How a caller can show the progress of an export."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Passes items on and shows how many of them went by, as ``tqdm`` does."""

    def __call__(
        self, items: Iterable[T], description: str, total: int | None = None
    ) -> Iterable[T]: ...


def untracked(items: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
    """Shows nothing."""
    return items
