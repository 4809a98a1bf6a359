"""How much memory a picture takes while it is decoded, by format and mode, in bytes per pixel.

    python -m benchmarks.picture_memory

On Linux only.
Each picture is read in a process of its own; what it took at its peak, less what the same process
took for a picture of one pixel, is divided by the number of pixels. The figures are those of
`edge_app.limits`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

_READ = """
import sys
import edge_app.limits
from edge_app.imaging import read_pixels
edge_app.limits.set_max_pixels(10**9)
read_pixels(sys.argv[1])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
KINDS = (
    ("JPEG", "RGB", {}),
    ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
    ("JPEG", "CMYK", {}),
    ("PNG", "RGB", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "L", {}),
    ("PNG", "P", {}),
    ("PNG", "I;16", {}),
    ("GIF", "P", {}),
    ("BMP", "RGB", {}),
    ("TIFF", "RGB", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "RGBA", {}),
    ("TIFF", "F", {}),
    ("TIFF", "I;16", {}),
    ("WEBP", "RGB", {"method": 0}),
    ("WEBP", "RGBA", {"method": 0}),
    ("AVIF", "RGB", {"speed": 10}),
    ("HEIF", "RGB", {}),
)


def measure(side: int, folder: Path) -> list[tuple[str, str, float]]:
    """Bytes per pixel for each kind."""
    rows = []
    for form, mode, options in KINDS:
        if form == "HEIF":
            import pillow_heif

            pillow_heif.register_heif_opener()
        peaks = []
        for pixels in (1, side):
            path = folder / f"{pixels}.{form.lower()}"
            _picture(mode, pixels).save(path, form, **options)
            done = subprocess.run(
                [sys.executable, "-c", _READ, path], capture_output=True, text=True, check=True
            )
            peaks.append(int(done.stdout) * 1024)
        name = f"{form} {' '.join(f'{k}={v}' for k, v in options.items())}"
        rows.append((name, mode, (peaks[1] - peaks[0]) / side**2))
        print(f"{name:<40}{mode:<6}{rows[-1][2]:6.1f}", flush=True)
    return rows


def _picture(mode: str, side: int) -> Image.Image:
    ramp = np.arange(side, dtype=np.uint16)
    grey = (ramp[:, None] + ramp[None]).astype(np.uint16)
    if mode == "I;16":
        return Image.fromarray(grey)
    if mode == "F":
        return Image.fromarray((grey % 256).astype(np.float32))
    return Image.fromarray((grey % 256).astype(np.uint8)).convert(mode)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=4000, help="of the square pictures, in pixels")
    with tempfile.TemporaryDirectory() as name:
        measure(parser.parse_args().side, Path(name))


if __name__ == "__main__":
    main()
