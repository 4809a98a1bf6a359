"""Fuzzes the way from a file's bytes to the model's input, guided by coverage.

    python -m tests.fuzz.pictures [--seconds 300]

Begins with the files of `tests.corpus`. Anything but an array of the right shape or a
`PictureError` of one line ends it, and so does a file that takes over 20 s of CPU time or over 2 GB
of memory.
The last lines say how many files were tried. What breaks it is written to the current folder.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["PIL", "edge_app"]):
    from PIL import BmpImagePlugin, GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin  # noqa
    from PIL import TiffImagePlugin, WebPImagePlugin  # noqa: F401

    from edge_app.imaging import PictureError, read_pixels

sys.path.insert(0, str(Path(__file__).parent.parent))
from corpus import corpus

_LARGEST_SEED = 20_000
_SECONDS = 20  # of the processor; instrumented code is several times slower than it is for a user


def try_one(content: bytes) -> None:
    start = time.process_time()
    try:
        pixels = read_pixels(content)
    except PictureError as error:
        assert "\n" not in str(error) and len(str(error)) < 500
    else:
        assert pixels.shape == (224, 224, 3)
    assert time.process_time() - start < _SECONDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for number, kind in enumerate(corpus()):
            if len(kind.content) <= _LARGEST_SEED:
                Path(folder, str(number)).write_bytes(kind.content)
        arguments = [
            f"-max_total_time={options.seconds}",
            "-timeout=900",
            "-rss_limit_mb=2048",
            f"-max_len={2 * _LARGEST_SEED}",
            "-print_final_stats=1",
            folder,
        ]
        atheris.Setup([sys.argv[0], *arguments], try_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
