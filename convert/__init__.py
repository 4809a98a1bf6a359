"""``.keras`` to a small, self-describing ``.tflite``: ``python -m convert``."""
