"""What a person sees: the frame with answer, confidence, state and speed, in a window."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from edge_app.classifier import Prediction
from edge_app.live.camera import Moment
from edge_app.live.meter import describe

TITLE = "Smoking gesture detector (q quits, p pauses, s saves, e evidence)"

# BGR
_COLOURS = {"clear": (90, 180, 60), "maybe": (40, 170, 240), "smoking": (60, 60, 230)}
_WHITE, _BLACK, _GREY, _TRACK = (255, 255, 255), (0, 0, 0), (140, 140, 140), (60, 60, 60)

_LOOK = (79, 213, 255)  # of the region that was looked at again

_SMALLEST, _LARGEST = 640, 1280  # pixels of the window's longer side when it opens


def has_screen() -> bool:
    """Whether a window can be opened here.

    Where a screen is named but cannot be used, Qt ends the whole process, so a process of its own
    tries it first.
    """
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        return False  # OpenCV's wheels draw by way of X, also on Wayland
    attempt = [sys.executable, "-c", "import cv2; cv2.namedWindow('attempt')"]
    return subprocess.run(attempt, capture_output=True).returncode == 0


class Window:
    """The window and its keys."""

    def __init__(self) -> None:
        # OpenCV's Qt looks for fonts that it does not bring, and says so again and again.
        os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")
        import cv2

        self._cv2 = cv2
        self.paused = self.wants_to_quit = self.wants_snapshot = False
        self._with_evidence = self._has_size = False
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)

    def show(self, moment: Moment, lost: bool = False) -> None:
        """Draws a frame with its result and takes a key."""
        cv2 = self._cv2
        told: str = "paused" if self.paused else "lost" if lost else moment.state
        picture, prediction, region = moment.frame.pixels, moment.prediction, moment.box
        if self._with_evidence and prediction.evidence is None:
            told += ", no evidence map in this model"
        elif self._with_evidence and prediction.evidence is not None:
            picture = overlay_evidence(picture, prediction.evidence, region)
        picture = draw(picture, prediction, told, moment.rate, moment.latency, region, moment.label)
        cv2.imshow(TITLE, picture)
        if not self._has_size:  # from then on it is the user's
            longest = max(picture.shape[:2])
            scale = min(max(longest, _SMALLEST), _LARGEST) / longest
            cv2.resizeWindow(TITLE, *(round(side * scale) for side in picture.shape[1::-1]))
            self._has_size = True
        key = cv2.waitKey(50 if self.paused else 1) & 0xFF
        closed = cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1
        self.wants_to_quit = closed or key in (ord("q"), 27)
        self.wants_snapshot = key == ord("s")
        if key in (ord("p"), ord(" ")):
            self.paused = not self.paused
        if key == ord("e"):
            self._with_evidence = not self._with_evidence

    def close(self) -> None:
        """Closes the window."""
        self._cv2.destroyAllWindows()


def draw(
    pixels: np.ndarray,
    prediction: Prediction,
    state: str,
    rate: float,
    latency: float,
    region: tuple[int, int, int, int] | None = None,
    label: str = "Smoking",
) -> np.ndarray:
    """Returns a copy of the frame with the result on it.

    Args:
        pixels: ``uint8[height, width, 3]``, BGR.
        prediction: of this frame.
        state: of the event detector, or what else there is to say.
        rate: classified frames a second.
        latency: from frame to result, in seconds.
        region: the part that was looked at: x, y, width, height.
        label: the label that the model looks for.

    Returns:
        ``uint8[height, width, 3]``, BGR.
    """
    import cv2

    picture = pixels.copy()
    height, width = picture.shape[:2]
    scale = max(0.4, min(height, width) / 600)
    bar = int(46 * scale)
    colour = _COLOURS.get(state.split(",")[0], _GREY)
    if region is not None:
        x, y, w, h = region
        cv2.rectangle(picture, (x, y), (x + w - 1, y + h - 1), colour, max(1, round(2 * scale)))
    if prediction.region is not None:
        left, top, right, bottom = prediction.region
        corners = (left, top), (right - 1, bottom - 1)
        cv2.rectangle(picture, *corners, _LOOK, max(1, round(2 * scale)))
    picture[:bar] = (picture[:bar] * 0.25).astype(np.uint8)
    picture[height - bar :] = (picture[height - bar :] * 0.25).astype(np.uint8)
    # The bar is P(Smoking), whatever the label, so that it moves one way as the score rises.
    cv2.rectangle(picture, (0, bar), (width, bar + bar // 5), _TRACK, -1)
    cv2.rectangle(picture, (0, bar), (int(width * prediction.smoking), bar + bar // 5), colour, -1)
    thickness = max(1, round(2 * scale))
    font, margin = cv2.FONT_HERSHEY_SIMPLEX, int(12 * scale)
    top, bottom = int(32 * scale), height - int(14 * scale)
    dot = int(9 * scale)
    cv2.circle(picture, (margin + dot, height - bar // 2), dot, colour, -1, cv2.LINE_AA)
    lines: tuple[tuple[str, int | None, int], ...] = (
        (describe(prediction, label), margin, top),
        (f"{rate:.0f} fps", None, top),
        (state, 2 * margin + 2 * dot, bottom),
        (f"{latency * 1000:.0f} ms", None, bottom),
    )
    for text, place, y in lines:
        text_width = cv2.getTextSize(text, font, 0.9 * scale, thickness)[0][0]
        x = width - text_width - margin if place is None else place
        cv2.putText(picture, text, (x, y), font, 0.9 * scale, _BLACK, thickness + 2)
        cv2.putText(picture, text, (x, y), font, 0.9 * scale, _WHITE, thickness)
    return picture


def overlay_evidence(
    pixels: np.ndarray, evidence: np.ndarray, region: tuple[int, int, int, int] | None = None
) -> np.ndarray:
    """Returns a copy of the frame, red where a cell speaks for smoking, blue where against.

    Args:
        pixels: ``uint8[height, width, 3]``, BGR.
        evidence: ``float32[rows, columns]``, logits.
        region: the part that was looked at: x, y, width, height.

    Returns:
        ``uint8[height, width, 3]``, BGR.
    """
    import cv2

    picture = pixels.copy()
    x, y, width, height = region or (0, 0, pixels.shape[1], pixels.shape[0])
    part = picture[y : y + height, x : x + width]
    cells = cv2.resize(evidence.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    # tanh: a logit of 2 is nearly certain, and no outlier fades all the rest.
    strength = np.tanh(cells / 2)[..., None]
    red, blue = np.array((40, 40, 255), np.float32), np.array((255, 140, 40), np.float32)
    colour = np.where(strength > 0, red, blue)
    weight = 0.6 * np.abs(strength)
    part[:] = (part * (1 - weight) + colour * weight).astype(np.uint8)
    return picture
