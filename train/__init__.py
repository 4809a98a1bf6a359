"""Dataset to ``.keras``: training (``python -m train``) and evaluation (``python -m train.evaluate``)."""
