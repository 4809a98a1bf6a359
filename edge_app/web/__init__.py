"""The web page: pictures, camera, batches, and a history of the visit.

Gradio is imported here and nowhere else. Before it loads, it is told to stay offline and to keep
what visitors upload in a folder of this process, which is removed when the process ends.
"""

import os

from edge_app.web.folder import UPLOADS

os.environ["GRADIO_TEMP_DIR"] = str(UPLOADS)
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

from edge_app.web.page import build_page
from edge_app.web.server import serve

__all__ = ["build_page", "serve"]
