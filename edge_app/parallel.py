"""Work on all cores, in order, with a bounded number of results in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

T = TypeVar("T")
Made = TypeVar("Made")


def count_cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_ahead(
    pool: Executor, function: Callable[[T], Made], items: Iterable[T], ahead: int
) -> Iterator[Made]:
    """Like ``pool.map``, but takes at most ``ahead`` items in advance.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(map_ahead(pool, abs, [-1, 2, -3], ahead=2))
    [1, 2, 3]
    """
    queued: deque[Future[Made]] = deque()
    try:
        for item in items:
            queued.append(pool.submit(function, item))
            if len(queued) >= ahead:
                yield queued.popleft().result()
        while queued:
            yield queued.popleft().result()
    finally:
        for future in queued:  # they are no longer needed
            future.cancel()
