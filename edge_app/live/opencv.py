"""Loading OpenCV, which only cameras and videos need."""

from __future__ import annotations

import os
from typing import Any

from edge_app.invocation import install_hint
from edge_app.live.errors import SourceError


def import_opencv() -> Any:
    """Returns the module ``cv2``, told to leave error messages to us.

    Raises:
        SourceError: it is not installed, or not whole.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError as error:
        raise SourceError(
            f"OpenCV cannot be loaded ({error}). Install it: {install_hint('live')}. Without a "
            "display: pip install opencv-python-headless"
        ) from None
    return cv2
