"""Frames in, predictions out, until the source ends or the user quits."""

from __future__ import annotations

import sys
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass

import click

from edge_app.classifier import Classifier, Prediction
from edge_app.imaging import from_frame
from edge_app.live import display as window
from edge_app.live.sources import Frame, SourceLostError, open_frames

_STATUS_SECONDS = 5.0


@dataclass
class Summary:
    """What a live run did.

    Attributes:
        label: the label looked for.
        classified: frames classified.
        dropped: frames that came while another one was at work.
        smoking: frames labelled with what is looked for.
        seconds: how long it ran.
        lost: whether a camera or stream was lost.
    """

    label: str
    classified: int = 0
    dropped: int = 0
    smoking: int = 0
    seconds: float = 0.0
    lost: bool = False

    def text(self) -> str:
        """The summary for people."""
        rate = self.classified / self.seconds if self.seconds else 0.0
        return (
            f"{self.classified} frames classified in {self.seconds:.1f} s ({rate:.0f} a second), "
            f"{self.dropped} dropped; {self.label} in {self.smoking}"
        )


def run_live(
    source: str,
    classifier: Classifier,
    display: str | None = None,
    duration: float | None = None,
) -> Summary:
    """Classifies frames as they come.

    Args:
        source: a camera's number, a video file, or a URL.
        classifier: what to use.
        display: "window", "none", or None for a window where there is a screen.
        duration: stop after so many seconds.

    Raises:
        edge_app.live.SourceError: the source cannot be opened.
    """
    with_window = display != "none" and window.has_screen()
    if display == "window" and not with_window:
        click.echo("There is no screen; going on without a window.", err=True)
    printer = _Printer()
    summary = Summary(classifier.info.decision.label)
    last_number = -1
    with closing(open_frames(source)) as frames:
        if with_window:
            window.open_window()
        start = time.monotonic()
        try:
            for frame in frames:
                prediction = classifier.classify_pixels(
                    from_frame(frame.pixels, classifier.info.size)
                )
                alert = prediction.label == classifier.info.decision.label
                summary.classified += 1
                summary.smoking += alert
                summary.dropped += frame.number - last_number - 1
                last_number = frame.number
                printer.add(frame, prediction)
                if with_window and not window.show(
                    window.draw(frame.pixels, prediction, printer.frame_rate, alert)
                ):
                    break
                if duration is not None and time.monotonic() - start >= duration:
                    break
        except KeyboardInterrupt:
            pass  # how a live run ends
        except SourceLostError as error:
            summary.lost = True
            click.echo(f"{source}: lost ({error})", err=True)
        finally:
            summary.seconds = time.monotonic() - start
            printer.end()
            if with_window:
                window.close_window()
    return summary


class _Printer:
    """A status line on a terminal; elsewhere a line at each change of label and now and then."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=30)
        self._last_line = 0.0
        self._last_label: str | None = None
        self._terminal = sys.stdout.isatty()

    @property
    def frame_rate(self) -> float:
        """Classified frames a second, over the last ones."""
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-6)

    def add(self, frame: Frame, prediction: Prediction) -> None:
        now = time.monotonic()
        self._times.append(now)
        text = (
            f"{prediction.label} {prediction.confidence:.0%}, {self.frame_rate:.0f} frames a "
            f"second, {(now - frame.captured_at) * 1000:.0f} ms from frame to result"
        )
        if self._terminal:
            click.echo(f"\r{text:<78}", nl=False)
        elif prediction.label != self._last_label or now - self._last_line > _STATUS_SECONDS:
            click.echo(f"frame {frame.number}: {text}")
            self._last_line = now
        self._last_label = prediction.label

    def end(self) -> None:
        if self._terminal and self._times:
            click.echo()
