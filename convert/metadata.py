"""Writes TFLite metadata into a model, so that the file needs no other one beside it.

The layout is the published one that MediaPipe, ML Kit and others read: a flatbuffer with the
description inside the model, and the label file appended as a ZIP archive. `edge_app.metadata`
reads it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tflite
from mediapipe.tasks.metadata import metadata_schema_py_generated as schema

from convert.graph import pack
from edge_app.decision import MEMBER, Decision
from edge_app.metadata import METADATA_BUFFER, TENSOR_AXIS_LABELS

LABEL_FILE = "labels.txt"
CLASSES_FILE = "original_labels.txt"


def add_metadata(
    model: bytes,
    *,
    name: str,
    version: str,
    description: str,
    labels: Sequence[str],
    mean: float | Sequence[float],
    std: float | Sequence[float],
    decision: Decision,
    explain: bool = False,
    classes: Sequence[str] = (),
) -> bytes:
    """Returns the model with metadata, label file and decision inside.

    Args:
        model: the bytes of a ``.tflite`` file.
        name: the model's name.
        version: its version.
        description: what it is, for people.
        labels: one for each score, in order.
        mean: subtracted from pixels 0..255.
        std: what the difference is divided by.
        decision: which label is looked for, and its threshold.
        explain: whether the model has an evidence map as its second output.
        classes: the original model's labels, where it has more than two.
    """
    place = ("first", "second")[labels.index(decision.label)]
    means, stds = ([float(n) for n in np.atleast_1d(values)] for values in (mean, std))
    metadata = _build_metadata(name, version, description, means, stds, explain and place)
    described = _embed(model, metadata)
    archive = io.BytesIO(described)
    with zipfile.ZipFile(archive, "a") as members:
        # Stored, not deflated: MediaPipe maps the label file straight from the model's bytes.
        # A ZipInfo carries no time of writing, so that the same conversion gives the same bytes.
        members.writestr(zipfile.ZipInfo(LABEL_FILE), "".join(f"{label}\n" for label in labels))
        members.writestr(zipfile.ZipInfo(MEMBER), decision.to_json())
        if classes:
            text = "".join(f"{label}\n" for label in classes)
            members.writestr(zipfile.ZipInfo(CLASSES_FILE), text)
    return archive.getvalue()


def _build_metadata(
    name: str,
    version: str,
    description: str,
    mean: list[float],
    std: list[float],
    explain: str | bool,
) -> bytes:
    pixels = schema.TensorMetadataT()
    pixels.name = "image"
    pixels.description = "RGB picture, stretched to a square"
    pixels.content = schema.ContentT()
    pixels.content.contentPropertiesType = schema.ContentProperties.ImageProperties
    pixels.content.contentProperties = schema.ImagePropertiesT()
    pixels.content.contentProperties.colorSpace = schema.ColorSpaceType.RGB
    normalization = schema.ProcessUnitT()
    normalization.optionsType = schema.ProcessUnitOptions.NormalizationOptions
    normalization.options = schema.NormalizationOptionsT()
    normalization.options.mean = mean
    normalization.options.std = std
    pixels.processUnits = [normalization]

    label_file = schema.AssociatedFileT()
    label_file.name = LABEL_FILE
    label_file.description = "one label for each score, in order"
    label_file.type = TENSOR_AXIS_LABELS
    scores = schema.TensorMetadataT()
    scores.name = "scores"
    scores.description = "a score in [0, 1] for each label, summing to 1"
    scores.content = schema.ContentT()
    scores.content.contentPropertiesType = schema.ContentProperties.FeatureProperties
    scores.content.contentProperties = schema.FeaturePropertiesT()
    scores.associatedFiles = [label_file]

    graph = schema.SubGraphMetadataT()
    graph.inputTensorMetadata = [pixels]
    graph.outputTensorMetadata = [scores]
    if explain:
        evidence = schema.TensorMetadataT()
        evidence.name = "evidence"
        evidence.description = (
            f"how much each cell of the picture speaks for the {explain} label, in logits; "
            "the mean plus the bias of the model is the logit of its score"
        )
        evidence.content = schema.ContentT()
        evidence.content.contentPropertiesType = schema.ContentProperties.FeatureProperties
        evidence.content.contentProperties = schema.FeaturePropertiesT()
        graph.outputTensorMetadata.append(evidence)
    model = schema.ModelMetadataT()
    model.name = name
    model.version = version
    model.description = description
    model.license = "Apache-2.0"
    model.minParserVersion = "1.0.0"
    model.subgraphMetadata = [graph]

    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"M001")
    return bytes(builder.Output())


def _embed(model: bytes, metadata: bytes) -> bytes:
    graph = tflite.ModelT.InitFromPackedBuf(model, 0)
    buffer = tflite.BufferT()
    buffer.data = list(metadata)
    graph.buffers.append(buffer)
    entry = tflite.MetadataT()
    entry.name = METADATA_BUFFER
    entry.buffer = len(graph.buffers) - 1
    graph.metadata = [*(graph.metadata or []), entry]
    return pack(graph, len(model) + len(metadata))
