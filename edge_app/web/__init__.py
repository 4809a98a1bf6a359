"""The web page: upload a picture, see the class and its confidence, keep a history.

Gradio is imported here and nowhere else. It is told to stay offline before it loads.
"""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from edge_app.web.page import build_page, serve

__all__ = ["build_page", "serve"]
