"""The classifier: a picture in, a prediction out. Everything else comes from the model file."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import math
import os
import struct
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_app.archive import DAMAGED
from edge_app.decision import Decision, checksum_without, read_decision
from edge_app.description import read_description
from edge_app.imaging import Picture, Source, read_frame, read_picture
from edge_app.looks import Box, Looks, logit, probability, regions
from edge_app.metadata import MetadataError, read_metadata
from edge_app.prediction import ModelError, ModelInfo, Prediction
from edge_app.runtime import RuntimeMissingError, make_interpreter
from edge_app.shipped import shipped
from edge_app.tensors import Tensor, cells, check_contract, dequantize, outputs, quantize
from edge_app.trial import TrialError, read_model, refusal, try_out

__all__ = ["DEFAULT_MODEL", "Classifier", "ModelError", "ModelInfo", "Prediction"]

DEFAULT_MODEL = shipped("models/smoking_mobilenetv2_int8.tflite")
"""The shipped model."""

_DAMAGE: tuple[type[Exception], ...] = (
    *(ValueError, LookupError, TypeError, AttributeError, MemoryError, OverflowError),
    struct.error,
)
_DAMAGE += DAMAGED
"""What readers of a damaged model file raise."""


class Classifier:
    """Runs a ``.tflite`` image classifier of two classes.

    It may be shared between threads; they take turns. For parallel inference, make one each.

    >>> classifier = Classifier()
    >>> classifier.classify("samples/astronaut.jpg").label
    'NotSmoking'
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        threshold: float | None = None,
        looks: int | None = None,
        decision: Decision | None = None,
        threads: int = 1,
    ):
        """Loads a model.

        Args:
            model: a ``.tflite`` file with metadata, as ``python -m convert`` writes it.
            threshold: score from which on a picture gets the positive label; None for the
                model's own.
            looks: maximum number of looks at a picture, 1 for the whole picture alone; None for
                the model's own.
            decision: use this instead of the model's own, for a copy of another classifier.
            threads: number of threads per inference.

        Raises:
            ModelError: the file is missing, damaged, or no classifier of two classes.
            edge_app.runtime.RuntimeMissingError: no interpreter is installed.
            ValueError: the threshold is outside [0, 1], or ``looks`` is below 1.
        """
        path = Path(model)
        try:
            content = read_model(path)
            self._foreign = read_description(content)
            metadata = self._foreign.metadata if self._foreign else read_metadata(content)
            of_model = (
                self._foreign.decision if self._foreign else read_decision(io.BytesIO(content))
            )
            decision = decision or of_model or Decision()
            try_out(content)
            self._interpreter, runtime = make_interpreter(content, threads)
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
        except TrialError as error:
            raise ModelError(f"{path}: {error}") from None
        except MetadataError as error:
            remedy = "say what it is: --labels A,B --positive B --input-range 0 1"
            if content[4:8] != b"TFL3":
                remedy = "convert it first, in a checkout: python3 run.py convert --help"
            raise ModelError(f"{path}: {error}; {remedy}") from None
        except RuntimeMissingError:
            raise
        except _DAMAGE as error:
            raise ModelError(f"{path}: {refusal('loaded', error)}") from None
        if threshold is not None:
            decision = decision.with_threshold(threshold)
        if looks is not None:
            decision = decision.with_looks(looks)

        self._input = self._interpreter.get_input_details()[0]
        self._output, self._evidence = outputs(path, self._interpreter.get_output_details())
        if not self._foreign:
            check_contract(path, metadata, decision, self._input, self._output)
        if self._evidence is None:  # nothing says where to look again
            decision = decision.with_looks(1)
        self._index = metadata.labels.index(decision.label)
        self._lock = threading.Lock()
        self.info = ModelInfo(
            path=path,
            sha256=hashlib.sha256(content).hexdigest(),
            network=checksum_without(content),
            metadata=metadata,
            decision=decision,
            size=int(self._input["shape"][1]),
            input_dtype=np.dtype(self._input["dtype"]).name,
            quantization=self._input["quantization"],
            runtime=runtime,
            evidence=cells(self._evidence),
        )

    def classify(self, source: Source) -> Prediction:
        """Classifies one picture, with as many looks as the decision requires.

        Args:
            source: a path, the bytes of a picture file, a file open in binary mode, a PIL image,
                or an RGB array ``uint8[height, width, 3]``.

        Raises:
            edge_app.imaging.PictureError: it cannot be read.
            TypeError: it is something else, such as None or a list.
        """
        return self.classify_picture(read_picture(source, self.info.size))

    def classify_frame(self, frame: np.ndarray) -> Prediction:
        """Classifies one camera frame, with as many looks as the decision requires.

        Args:
            frame: ``uint8[height, width, 3]``, **BGR**, as OpenCV gives it.

        Raises:
            edge_app.imaging.PictureError: the frame has another shape or dtype.
            TypeError: it is no array, such as None.
        """
        return self.classify_picture(read_frame(frame, self.info.size))

    def classify_picture(self, picture: Picture) -> Prediction:
        """Classifies a picture that is decoded already; see `edge_app.imaging.read_picture`.

        It is made of the four steps below, which a program may also spread over several frames.
        """
        first = self.classify_pixels(picture.pixels)
        boxes = self.regions(first, picture.width, picture.height)
        prediction = self.combine(first, [self.look_at(picture, box) for box in boxes], boxes)
        return dataclasses.replace(prediction, incomplete=picture.incomplete)

    def classify_pixels(self, pixels: np.ndarray) -> Prediction:
        """Classifies the model's input itself: one look.

        Args:
            pixels: ``uint8[size, size, 3]``, RGB, with the model's own size.
        """
        score, evidence = self._run(pixels)
        return self._predict(score, evidence)

    def regions(self, first: Prediction, width: int, height: int) -> list[Box]:
        """Where a picture is to be looked at again after its first look.

        Args:
            first: the prediction of `classify_pixels` for the whole picture.
            width: of the upright picture in pixels.
            height: likewise.

        Returns:
            Boxes in pixels of the upright picture; none where one look is enough.
        """
        looks = self.info.decision.looks
        if looks is None or first.evidence is None or logit(first.smoking) < looks.lowest:
            return []
        return regions(first.evidence, width, height, looks, self.info.size)

    def look_at(self, picture: Picture, box: Box) -> float:
        """The logit of the positive label for a part of a picture.

        Args:
            picture: as `read_picture` or `read_frame` gives it.
            box: left, top, right, bottom in pixels of the upright picture.
        """
        return logit(self._run(picture.crop(box))[0])

    def combine(
        self, first: Prediction, logits: Sequence[float], boxes: Sequence[Box]
    ) -> Prediction:
        """What the first look and those at regions say together.

        Args:
            first: the prediction of `classify_pixels` for the whole picture.
            logits: of the regions, as `look_at` gives them; none leaves ``first`` as it is.
            boxes: the regions.
        """
        looks = self.info.decision.looks
        if looks is None or not logits:
            return first
        score = probability(looks.combine([logit(first.smoking), *logits]))
        closest = min(boxes, key=lambda box: box[2] - box[0])
        return self._predict(score, first.evidence, 1 + len(logits), closest)

    def look(self, source: Source, looks: Looks | None = None) -> list[float]:
        """The logits of all looks at a picture, whatever the first one says; for fitting.

        Args:
            source: as in `classify`.
            looks: sizes to try; None for those of the model's decision.

        Returns:
            The logit of the whole picture, then one for each size; NaN where the picture has too
            few pixels for it. `edge_app.looks.combine_all` takes rows of these.

        Raises:
            edge_app.imaging.PictureError: it cannot be read.
            ValueError: looks are asked of a model without an evidence map.
        """
        looks = looks or self.info.decision.looks
        picture = read_picture(source, self.info.size)
        score, evidence = self._run(picture.pixels)
        logits = [logit(score)]
        if looks is None:
            return logits
        if evidence is None:
            raise ValueError(f"{self.info.path}: has no evidence map, so it can look only once")
        for share in looks.sizes:
            one = dataclasses.replace(looks, sizes=(share,))
            boxes = regions(evidence, picture.width, picture.height, one, self.info.size)
            logits.append(self.look_at(picture, boxes[0]) if boxes else math.nan)
        return logits

    def _predict(
        self,
        smoking: float,
        evidence: np.ndarray | None,
        looks: int = 1,
        region: Box | None = None,
    ) -> Prediction:
        decision = self.info.decision
        found = smoking >= decision.threshold
        return Prediction(
            decision.label if found else self.info.other_label,
            smoking if found else 1 - smoking,
            smoking,
            decision.is_uncertain(smoking),
            evidence,
            looks,
            region,
        )

    def _run(self, pixels: np.ndarray) -> tuple[float, np.ndarray | None]:
        """P(Smoking) and the evidence map of the model's input."""
        with self._lock:
            self._interpreter.set_tensor(self._input["index"], self._to_input(pixels)[None])
            self._interpreter.invoke()
            scores = self._get(self._output)
            if self._foreign:
                scores = self._foreign.scores(scores)
            evidence = self._get(self._evidence) if self._evidence else None
        if not np.isfinite(scores).all():
            raise ModelError(f"{self.info.path}: gives no numbers for this picture")
        return float(np.clip(scores[self._index], 0, 1)), evidence

    def _get(self, tensor: Tensor) -> np.ndarray:
        return dequantize(self._interpreter.get_tensor(tensor["index"])[0], tensor)

    def _to_input(self, pixels: np.ndarray) -> np.ndarray:
        if self._foreign:
            return quantize(self._foreign.preprocessing.apply(pixels), self._input)
        if self._input["dtype"] == np.uint8:
            return pixels  # the quantization parameters are the map to [-1, 1]
        metadata = self.info.metadata
        mean, std = np.array(metadata.mean, np.float32), np.array(metadata.std, np.float32)
        values = (pixels - mean) / std
        return quantize(values.astype(np.float32), self._input)
