"""Is the person in this picture smoking?

Runs a ``.tflite`` model on pictures, folders, cameras and in the browser.

>>> from edge_app import Classifier, ModelInfo, Prediction
>>> classifier = Classifier()
>>> prediction: Prediction = classifier.classify("samples/astronaut.jpg")
>>> prediction.label, prediction.smoking < 0.5
('NotSmoking', True)
>>> info: ModelInfo = classifier.info
>>> info.size, info.metadata.labels
(224, ('NotSmoking', 'Smoking'))

A model of your own. The errors say what is wrong with the file, or what to install:

>>> from edge_app import ModelError, RuntimeMissingError
>>> try:
...     Classifier("samples/coffee.jpg")
... except (ModelError, RuntimeMissingError) as error:
...     print(error)  # doctest: +ELLIPSIS
samples/coffee.jpg: is no TFLite model...

Every picture below a folder, with the errors of those that cannot be read:

>>> from edge_app import PictureError, find_pictures
>>> for path in find_pictures("samples"):
...     try:
...         prediction = classifier.classify(path)
...     except PictureError as error:
...         print(path, error)

A folder tree into a SQLite file, and back:

>>> import pathlib, tempfile
>>> from edge_app import Selection, StoreError, read_results, run_scan
>>> db = pathlib.Path(tempfile.mkdtemp(), "smoking.db")
>>> run_scan("samples", db, info, selection=Selection(exclude=("hand.*",))).scanned
4
>>> sum(row.smoking > 0.5 for row in read_results(db))
1
>>> try:
...     list(read_results("samples/coffee.jpg"))
... except StoreError as error:
...     print(error)  # doctest: +ELLIPSIS
samples/coffee.jpg: cannot be used as a database...

A video, a camera or a stream, each frame with its answer (needs the extra ``live``):

>>> from edge_app import SourceError, run_live
>>> try:
...     run_live("no-such-file.mp4", classifier, display="none")
... except SourceError as error:
...     print(error)
no-such-file.mp4: there is no such file

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
    from edge_app.export import read_results as read_results
    from edge_app.imaging import PictureError as PictureError
    from edge_app.imaging import find_pictures as find_pictures
    from edge_app.live import SourceError as SourceError
    from edge_app.live import run_live as run_live
    from edge_app.runtime import RuntimeMissingError as RuntimeMissingError
    from edge_app.scan import Selection as Selection
    from edge_app.scan import StoreError as StoreError
    from edge_app.scan import run_scan as run_scan

__version__ = "1.0.0"

_MODULES = {
    "Classifier": "edge_app.classifier",
    "ModelError": "edge_app.classifier",
    "ModelInfo": "edge_app.classifier",
    "Prediction": "edge_app.classifier",
    "read_results": "edge_app.export",
    "PictureError": "edge_app.imaging",
    "find_pictures": "edge_app.imaging",
    "SourceError": "edge_app.live",
    "run_live": "edge_app.live",
    "RuntimeMissingError": "edge_app.runtime",
    "Selection": "edge_app.scan",
    "StoreError": "edge_app.scan",
    "run_scan": "edge_app.scan",
}

__all__ = [
    "Classifier",
    "ModelError",
    "ModelInfo",
    "PictureError",
    "Prediction",
    "RuntimeMissingError",
    "Selection",
    "SourceError",
    "StoreError",
    "find_pictures",
    "read_results",
    "run_live",
    "run_scan",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
