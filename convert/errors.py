"""What stops a conversion."""

from __future__ import annotations


class ConversionError(ValueError):
    """A model that cannot be converted. The message is one line: what is wrong, what to do."""


class QuantizationError(ConversionError):
    """TensorFlow's converter gave up; its own messages say more."""
