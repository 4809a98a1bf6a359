"""Classifying a camera, a video file or a stream as it runs."""

from edge_app.live.loop import Summary, run_live
from edge_app.live.sources import SourceError

__all__ = ["SourceError", "Summary", "run_live"]
