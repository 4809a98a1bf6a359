"""Is the person in this picture smoking?

Runs a ``.tflite`` model on pictures, folders, cameras and in the browser.

>>> from edge_app import Classifier
>>> classifier = Classifier()
>>> prediction = classifier.classify("picture.jpg")
>>> prediction.label, prediction.confidence
"""

from edge_app.classifier import Classifier, ModelError, ModelInfo, Prediction
from edge_app.imaging import PictureError

__all__ = ["Classifier", "ModelError", "ModelInfo", "PictureError", "Prediction"]
__version__ = "0.1.0"
