"""Dataset to ``.keras`` (``python -m train``), and the figures of any model (``train.evaluate``)."""
