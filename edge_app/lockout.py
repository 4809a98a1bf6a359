"""No patience for guessing: after some wrong passwords an address has to wait."""

from __future__ import annotations

import time
from collections import defaultdict, deque

from starlette.types import Scope

MOST_WRONG = 5
"""Wrong passwords of one address within `LOCK_SECONDS`; then even the right one has to wait."""
LOCK_SECONDS = 60
MOST_WRONG_ALL = 100
"""Of all addresses together: somebody who guesses from many addresses is slowed down too."""


class Lockout:
    """Counts wrong passwords by the visitor's address."""

    def __init__(self) -> None:
        self._wrong: defaultdict[str, deque[float]] = defaultdict(deque)

    def add(self, address: str) -> None:
        """Notes a wrong password."""
        for key in (address, ""):
            self._wrong[key].append(time.monotonic())

    def seconds(self, address: str) -> int:
        """Whole seconds that an address has to wait; 0 for none."""
        now = time.monotonic()
        for key, times in list(self._wrong.items()):
            while times and now - times[0] > LOCK_SECONDS:
                times.popleft()
            if not times:
                del self._wrong[key]
        for key, most in ((address, MOST_WRONG), ("", MOST_WRONG_ALL)):
            if key in self._wrong and len(self._wrong[key]) >= most:
                return int(LOCK_SECONDS - (now - self._wrong[key][-most])) + 1
        return 0


def address_of(scope: Scope) -> str:
    """The visitor's address; behind a proxy, the one that the proxy told."""
    return (scope.get("client") or ("unknown",))[0]
