"""Loads the folder of a SavedModel."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from convert.containers import Found
from convert.errors import ConversionError
from convert.source import Source, classes_of, size_of
from convert.trust import operations_that_reach_out
from edge_app.wording import first_line


def load_saved_model(found: Found) -> Source:
    """Loads a SavedModel by its signature; one that reads files or runs Python is refused.

    Raises:
        ConversionError: it cannot be loaded, or is no image classifier.
    """
    try:
        reaching = operations_that_reach_out(found.file)
        if reaching:
            raise ConversionError(
                f"{found.given}: uses files or Python ({', '.join(reaching)}), which is refused; "
                "save the model alone, without the code around it"
            )
        saved = tf.saved_model.load(str(found.file))
        signatures = dict(saved.signatures)
    except ConversionError:
        raise
    except Exception as error:  # TensorFlow raises whatever its readers raise.
        raise ConversionError(
            f"{found.given}: is no SavedModel that can be loaded ({first_line(error)})"
        ) from None
    function = signatures.get("serving_default") or next(iter(signatures.values()), None)
    if function is None:
        raise ConversionError(
            f"{found.given}: has no signature to call; save it with model.export() or model.save()"
        )
    named, made = function.structured_input_signature[1], function.structured_outputs
    if len(named) != 1 or len(made) != 1:
        raise ConversionError(
            f"{found.given}: expected one input and one output, found {len(named)} and {len(made)}"
        )
    ((key, spec),), (output,) = named.items(), made
    size = size_of(found, spec.shape)
    classes = classes_of(found, made[output].shape)

    def call(values: Any) -> Any:
        _ = saved  # which owns the variables
        return function(**{key: tf.cast(values, spec.dtype)})[output]

    return Source(
        path=found.given,
        kind="SavedModel",
        name=found.given.stem,
        size=size,
        outputs=classes,
        call=call,
        labels=found.labels,
        from_teachable_machine=found.from_teachable_machine,
    )
