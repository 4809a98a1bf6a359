"""Which cameras there are, and why one cannot be used."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from edge_app.files import printable
from edge_app.invocation import invocation
from edge_app.live.opencv import import_opencv
from edge_app.live.redact import shown

_DEVICES = Path("/dev")
_V4L2 = Path("/sys/class/video4linux")
_BOARD = Path("/proc/device-tree/model")

# Parts of a Raspberry Pi's chip that are video devices for the kernel and no cameras: decoders,
# image processors, and what receives a camera module's raw data.
_CLOSED = "cannot be opened"
_NO_CAMERA = ("bcm2835-", "pispbe", "rp1-cfe", "rpi-hevc", "rpivid", "unicam")


def list_cameras() -> list[tuple[str, str]]:
    """The cameras there are: what to give as ``--source``, and a name for people."""
    cameras = []
    if importlib.util.find_spec("picamera2"):
        from edge_app.live.picamera import list_pi_cameras

        cameras += list_pi_cameras()
    if sys.platform.startswith("linux"):
        return cameras + _v4l2_cameras()
    cv2 = import_opencv()
    for number in range(8):  # elsewhere they can only be tried
        capture = cv2.VideoCapture(number)
        if capture.isOpened():
            cameras.append((str(number), f"camera {number}"))
        capture.release()
    return cameras


def _v4l2_cameras() -> list[tuple[str, str]]:
    cameras = []
    for folder in sorted(_V4L2.glob("video*"), key=lambda path: (len(path.name), path.name)):
        name = _read(folder / "name") or "camera"
        # The devices of a camera after its first one carry no pictures.
        if _read(folder / "index") in ("0", "") and not name.startswith(_NO_CAMERA):
            cameras.append((f"/dev/{folder.name}", name))
    return cameras


def why_not(source: str, reason: str = _CLOSED) -> str:
    """What to tell the user of a source that gives nothing, and what may help; one line.

    >>> why_not("rtsp://camera.local/live")
    'rtsp://camera.local/live: cannot be opened. Check the address and that the camera is on'
    """
    if "://" in source:
        return f"{shown(source)}: {reason}. Check the address and that the camera is on"
    if source.startswith("picamera"):
        return f"{source}: {reason}. Does rpicam-hello show a picture?"
    if not (source.isdecimal() or source.startswith(f"{_DEVICES}/")):
        return f"{printable(shown(source))}: {reason} as a video"
    name = f"camera {source}" if source.isdecimal() else source
    fault = _fault(source) if reason == _CLOSED else ""
    text = f"{name}: {fault or f'{reason}. Is it plugged in and not in use?'}"
    hint = pi_camera_hint()
    return f"{text}. {hint}" if hint else text


def _fault(source: str) -> str:
    """What is wrong with a device and the remedy; empty where Linux sees nothing wrong."""
    if not sys.platform.startswith("linux"):
        return ""
    device = _DEVICES / f"video{source}" if source.isdecimal() else Path(source)
    if not device.exists():
        return f"there is no {device}. {invocation()} live --list shows the cameras"
    if not os.access(device, os.R_OK | os.W_OK):
        return (
            f"no permission to use {device}. Run: sudo usermod -aG video $USER; then log out and "
            "in again"
        )
    program = _user_of(device)
    return f"is in use by {program}. Stop that program and try again" if program else ""


def _user_of(device: Path) -> str:
    """The other program that has a device open, as far as this user may see; else empty."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            is_it = os.readlink(link) == str(device)
        except OSError:
            continue  # ended meanwhile, or another user's
        process = link.parts[2]
        if is_it and int(process) != os.getpid():
            return f"{_read(Path('/proc', process, 'comm'))} (process {process})"
    return ""


def pi_camera_hint() -> str:
    """What to know of a Raspberry Pi's own camera modules; empty on other computers."""
    if "Raspberry Pi" not in _read(_BOARD):
        return ""
    text = "OpenCV cannot open the Raspberry Pi's own camera modules; for one, use"
    if importlib.util.find_spec("picamera2"):
        return f"{text}: --source picamera"
    return (
        f"{text} --source picamera, after: sudo apt install python3-picamera2 "
        "(docs/raspberry-pi.md)"
    )


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
