"""The web page: pictures, camera, batches, and a history of the visit.

Gradio is imported here and nowhere else. Before it loads, it is told to stay offline, and to keep
what visitors upload in a folder of this process, which goes with it.
"""

import os
import tempfile

_uploads = tempfile.TemporaryDirectory(prefix="smoking-web-")  # removed at exit
os.environ["GRADIO_TEMP_DIR"] = _uploads.name
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

from edge_app.web.page import build_page  # noqa: E402
from edge_app.web.server import serve  # noqa: E402

__all__ = ["build_page", "serve"]
