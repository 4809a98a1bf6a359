"""A page that shows the cameras of a live run: pictures, scores, events, health and metrics."""
