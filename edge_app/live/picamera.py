"""The Raspberry Pi's own camera modules, by way of Picamera2, which Raspberry Pi OS brings.

Interface: the Picamera2 manual, https://datasheets.raspberrypi.com/camera/picamera2-manual.pdf
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_app.live.errors import SourceError

SIZE = (640, 480)
"""Width and height asked of the camera: the model sees 224 x 224 of it."""


def list_pi_cameras() -> list[tuple[str, str]]:
    """What to give as ``--source``, and the model of each camera module."""
    cameras = _import().global_camera_info()
    return [
        (f"picamera{number or ''}", f"{camera.get('Model', 'camera')} (Raspberry Pi camera)")
        for number, camera in enumerate(cameras)
    ]


class PiCapture:
    """Reads a camera module as `edge_app.live.capture.Capture` says."""

    def __init__(self, number: int = 0):
        camera_class = _import()
        count = len(camera_class.global_camera_info())
        if number >= count:
            raise SourceError(
                f"picamera{number or ''}: there are {count} camera modules. Is the ribbon cable in "
                "right, and does rpicam-hello --list-cameras show it?"
            )
        try:
            self._camera = camera_class(number)
        except (RuntimeError, IndexError) as error:
            raise SourceError(
                f"picamera{number or ''}: cannot be opened ({error}). Does another program use it?"
            ) from None
        try:
            # What Picamera2 calls RGB888 is B, G, R in memory, as OpenCV has it.
            self._camera.configure(
                self._camera.create_video_configuration(main={"size": SIZE, "format": "RGB888"})
            )
            self._camera.start()
        except BaseException:
            self._camera.close()
            raise
        self._pixels: np.ndarray | None = None

    def grab(self) -> bool:
        self._pixels = self._camera.capture_array("main")
        return True

    def retrieve(self) -> np.ndarray | None:
        return self._pixels

    def release(self) -> None:
        self._camera.stop()
        self._camera.close()


def _import() -> Any:
    try:
        from picamera2 import Picamera2  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise SourceError(
            f"picamera: Picamera2 cannot be loaded ({error}). On a Raspberry Pi: sudo apt install "
            "python3-picamera2, and make the environment with --system-site-packages "
            "(docs/raspberry-pi.md)"
        ) from None
    return Picamera2
