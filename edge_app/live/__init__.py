"""Classifying cameras, video files and streams as they run."""

from edge_app.live.camera import Camera, Moment
from edge_app.live.devices import list_cameras, pi_camera_hint
from edge_app.live.errors import SourceError
from edge_app.live.event_detector import Event, EventDetector, Rule
from edge_app.live.loop import Summary, run_live
from edge_app.live.outputs import Outputs
from edge_app.live.zone import Zone

__all__ = [
    "Camera",
    "Event",
    "EventDetector",
    "Moment",
    "Outputs",
    "Rule",
    "SourceError",
    "Summary",
    "Zone",
    "list_cameras",
    "pi_camera_hint",
    "run_live",
]
