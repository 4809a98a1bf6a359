"""Videos and events files of the tests of `live`."""

import json

import pytest

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")


def write_video(path, pictures, seconds=3, fps=10, codec="MJPG"):
    """A video that shows each picture for some seconds."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, (320, 240))
    for picture in pictures:
        pixels = cv2.resize(cv2.imread(str(picture)), (320, 240))
        for _ in range(int(seconds * fps)):
            writer.write(pixels)
    writer.release()
    return path


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]
