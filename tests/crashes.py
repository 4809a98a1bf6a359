"""A decoder that really crashes, for the tests: what a damaged libjpeg would do, on demand.

`crashing_environment` makes every Python below it crash when it decodes what `write_crasher` wrote.
"""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

_SITECUSTOMIZE = """
import ctypes, os, signal
from PIL import BmpImagePlugin, Image

class CrashingBmp(BmpImagePlugin.BmpImageFile):
    def _open(self):
        self.reserved = self.fp.read(10)[6:]
        self.fp.seek(0)
        super()._open()

    def load(self):
        if self.reserved == b"SEGV":
            ctypes.string_at(0)  # what libraries do that follow a pointer to nowhere
        elif self.reserved == b"ABRT":
            os.abort()
        elif self.reserved == b"KILL":
            os.kill(os.getpid(), signal.SIGKILL)  # as a system without memory does
        return super().load()

Image.register_open("BMP", CrashingBmp, BmpImagePlugin._accept)
"""


def crashing_environment(folder: Path) -> dict[str, str]:
    """Environment variables with which Python's BMP decoder crashes; writes into the folder."""
    (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE)
    return {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{Path(__file__).parent.parent}"}


def write_crasher(path: Path, signal_name: str = "SEGV") -> None:
    """Writes a good BMP that makes that decoder die of SEGV, ABRT or KILL."""
    Image.new("RGB", (8, 8)).save(path, "BMP")
    content = bytearray(path.read_bytes())
    content[6:10] = signal_name.encode()  # reserved: no decoder looks at these
    path.write_bytes(content)
