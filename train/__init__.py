"""Dataset to ``.keras`` (``python -m train``), and the figures of a model (``train.evaluate``)."""
