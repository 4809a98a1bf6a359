"""The Live tab: the browser's camera. A visitor's state is a few smoothed scores, never a frame."""

from __future__ import annotations

import base64
import binascii
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from edge_app.decision import Decision
from edge_app.live.event_detector import EventDetector, Rule
from edge_app.web.cards import empty_card
from edge_app.web.live_card import TIME_LINE, live_card
from edge_app.web.pool import UNCERTAIN, Pool
from edge_app.web.texts import text
from edge_app.web.uploads import MOST_MEGABYTES, LimitError
from edge_app.web.visitor import classify_or_tell, language_in, note

_MOST_VISITORS = 8
"""Cameras that stream at once; the next ones wait in the queue."""
_MOST_SECONDS = 300
"""After so long a stream makes room for the next one."""


_CAMERA = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}}}
"""The model looks at 224 pixels: larger frames would cost the visitor's network alone."""


@dataclass
class Camera:
    """Scores of one visitor's camera, smoothed over time, newest last."""

    detector: EventDetector | None = None
    scores: deque[float] = field(default_factory=lambda: deque(maxlen=TIME_LINE))

    def update(self, score: float, decision: Decision) -> str:
        """Takes the score of a frame, P(Smoking), and tells the state: a label or ``Uncertain``.

        Returns:
            The label looked for, ``Uncertain``, or nothing where neither holds.
        """
        if self.detector is None:
            self.detector = EventDetector(Rule.of(decision))
        self.detector.update(score, time.monotonic())
        self.scores.append(self.detector.smoothed or 0.0)
        states = {"smoking": decision.label, "maybe": UNCERTAIN}
        return states.get(self.detector.state, "")


def frame_bytes(payload: Any) -> bytes | None:
    """The picture file inside a frame that the browser sent; nothing of it touches the disk.

    Raises:
        LimitError: it is larger than a picture may be.
    """
    address = (payload and payload.url) or ""
    if not address.startswith("data:image/"):
        return None
    if len(address) > MOST_MEGABYTES * 1_000_000:
        raise LimitError("error_large", mb=MOST_MEGABYTES)
    try:
        return base64.b64decode(address.partition(",")[2], validate=True)
    except binascii.Error:
        return None


def live_tab(pool: Pool, state_seconds: int) -> None:
    """Builds the tab inside the current one."""

    def classify(payload: Any, camera: Camera, request: gr.Request) -> tuple[Any, Camera]:
        try:
            content = frame_bytes(payload)
        except LimitError:
            content = None
        if content is None:
            return gr.skip(), camera
        language = language_in(request)
        answer = classify_or_tell(pool, content, language, preview=False)
        shown = camera.update(answer.prediction.smoking, pool.info.decision)
        shown = shown or pool.info.other_label
        return live_card(language, pool, shown, camera.scores), camera

    camera = gr.State(Camera(), time_to_live=state_seconds)
    gr.HTML(note("live_note") + note("no_camera", "insecure"))
    with gr.Row(elem_id="live-row"):
        with gr.Column(elem_id="camera-side"):
            stream: Any = gr.Image(
                label=text("en", "live_camera"),
                show_label=False,
                sources=["webcam"],
                streaming=True,
                height=360,
                webcam_options=gr.WebcamOptions(constraints=_CAMERA),
                elem_id="camera-input",
            )
            stream.preprocess = lambda payload: payload  # the frame stays the text that it came as
        with gr.Column(elem_id="state-side"):
            state = gr.HTML(empty_card("en", "live_empty"), elem_id="live-state")
            gr.HTML("<p></p>", elem_id="live-announce")
    stream.stream(
        classify,
        [stream, camera],
        [state, camera],
        stream_every=0.25,
        time_limit=_MOST_SECONDS,
        concurrency_limit=_MOST_VISITORS,
        show_progress="hidden",
        api_visibility="private",
    )
