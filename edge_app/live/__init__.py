"""Classifying a camera, a video file or a stream as it runs."""

from edge_app.live.capture import SourceError, list_cameras, pi_camera_hint
from edge_app.live.decisions import Event, EventDetector, Rule
from edge_app.live.loop import Summary, run_live
from edge_app.live.outputs import Outputs

__all__ = [
    "Event",
    "EventDetector",
    "Outputs",
    "Rule",
    "SourceError",
    "Summary",
    "list_cameras",
    "pi_camera_hint",
    "run_live",
]
