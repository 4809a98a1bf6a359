"""The machine that a measurement was made on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path


def describe_machine() -> str:
    """Processor, cores, memory, system and the versions that matter for speed, on one line."""
    memory = ""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        memory = f"{total / 2**30:.0f} GiB, "
    versions = []
    for package in ("ai-edge-litert", "pillow", "numpy"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory}{platform.system()}, "
        f"Python {platform.python_version()}, {', '.join(versions)}"
    )


def resident_megabytes(process: int | str = "self") -> float:
    """Resident memory of a process in MB. Linux only."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
