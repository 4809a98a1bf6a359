"""What a person sees: the frame with label, confidence and frame rate, in a window."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from edge_app.classifier import Prediction

TITLE = "Smoking gesture detector (q quits)"

_RED, _GREEN, _WHITE, _BLACK = (60, 60, 230), (90, 180, 60), (255, 255, 255), (0, 0, 0)  # BGR


def has_screen() -> bool:
    """Whether a window can be opened here.

    Where a screen is named but cannot be used, Qt ends the whole process, so a process of its own
    tries it first.
    """
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        return False  # OpenCV's wheels draw by way of X, also on Wayland
    attempt = [sys.executable, "-c", "import cv2; cv2.namedWindow('attempt')"]
    return subprocess.run(attempt, capture_output=True).returncode == 0


def draw(pixels: np.ndarray, prediction: Prediction, frame_rate: float, alert: bool) -> np.ndarray:
    """Returns a copy of the frame with the result on it.

    Args:
        pixels: ``uint8[height, width, 3]``, BGR.
        prediction: of this frame.
        frame_rate: classified frames a second.
        alert: whether to draw it in the colour of the label looked for.

    Returns:
        ``uint8[height, width, 3]``, BGR.
    """
    import cv2

    picture = pixels.copy()
    height, width = picture.shape[:2]
    scale = max(0.4, min(height, width) / 600)
    bar = int(46 * scale)
    colour = _RED if alert else _GREEN
    picture[:bar] = (picture[:bar] * 0.25).astype(np.uint8)
    cv2.rectangle(picture, (0, bar), (int(width * prediction.smoking), bar + bar // 8), colour, -1)
    left = f"{prediction.label} {prediction.confidence:.0%}"
    right = f"{frame_rate:.0f} fps"
    thickness = max(1, round(2 * scale))
    font, baseline = cv2.FONT_HERSHEY_SIMPLEX, int(32 * scale)
    text_width = cv2.getTextSize(right, font, 0.9 * scale, thickness)[0][0]
    for text, x in ((left, int(12 * scale)), (right, width - text_width - int(12 * scale))):
        cv2.putText(picture, text, (x, baseline), font, 0.9 * scale, _BLACK, thickness + 2)
        cv2.putText(picture, text, (x, baseline), font, 0.9 * scale, _WHITE, thickness)
    return picture


def open_window() -> None:
    """Opens the window, without OpenCV's toolbar."""
    # OpenCV's Qt looks for fonts that it does not bring, and says so again and again.
    os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")
    import cv2

    cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)


def show(picture: np.ndarray) -> bool:
    """Shows a picture in the window; returns False once the user wants to quit."""
    import cv2

    cv2.imshow(TITLE, picture)
    key = cv2.waitKey(1) & 0xFF
    closed = cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1
    return not closed and key not in (ord("q"), 27)


def close_window() -> None:
    """Closes the window."""
    import cv2

    cv2.destroyAllWindows()
