"""Is the person in this picture smoking?

Runs a ``.tflite`` model on pictures, folders, cameras and in the browser.

>>> from edge_app import Classifier
>>> prediction = Classifier().classify("samples/astronaut.jpg")
>>> prediction.label, round(prediction.confidence, 2) > 0.9
('NotSmoking', True)

The library prints nothing: it logs to ``logging.getLogger("edge_app")``. What is named here is
imported when it is first used, so ``import edge_app`` takes a millisecond.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_app.classifier import Classifier as Classifier
    from edge_app.classifier import ModelError as ModelError
    from edge_app.classifier import ModelInfo as ModelInfo
    from edge_app.classifier import Prediction as Prediction
    from edge_app.imaging import PictureError as PictureError

__version__ = "0.1.0"

_MODULES = {
    "Classifier": "edge_app.classifier",
    "ModelError": "edge_app.classifier",
    "ModelInfo": "edge_app.classifier",
    "Prediction": "edge_app.classifier",
    "PictureError": "edge_app.imaging",
}

__all__ = ["Classifier", "ModelError", "ModelInfo", "PictureError", "Prediction"]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
