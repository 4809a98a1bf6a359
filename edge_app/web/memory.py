"""Keeps the memory of a process with many threads low."""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8
"""From glibc's ``malloc.h``."""


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None  # not so with musl


def keep_memory_low() -> None:
    """Gives all threads two heaps instead of eight per core, which fill with freed memory.

    See ``M_ARENA_MAX`` in ``mallopt(3)``.
    """
    if (library := _glibc()) is not None:
        library.mallopt(_M_ARENA_MAX, 2)


def give_back() -> None:
    """Returns freed memory to the system, as after a large picture. See ``malloc_trim(3)``."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)
