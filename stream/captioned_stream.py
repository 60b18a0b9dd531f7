"""Whether pictures come, since when, and why not.

A stream of pictures that is captioned and annotated, whoever feeds it and whoever watches.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from inference.engine import EngineState
from inference.explanations import Map
from stream.broadcast import Broadcast
from stream.captioning import (
    CaptionedFrame,
    CaptionEvent,
    KeptFrames,
    LiveExplanation,
    LiveMaps,
    RecentPictures,
    Sampler,
    worded,
)
from stream.context import Surroundings
from stream.counters import StreamTotals
from stream.sources import Intake
from stream.video import AnnotatedTrack, SharedVideo, Subtitle

_STALE_INTERVALS = 3
_STALE_S = 3.0
_NOTICES = {
    EngineState.STARTING: "The captioner is starting",
    EngineState.PAUSED: "Captions are paused",
    EngineState.READY: None,
}


class SignalState(StrEnum):
    """Whether pictures come."""

    CONNECTING = "connecting"
    """Not yet: the source is being opened, and nothing has failed so far."""
    LIVE = "live"
    """They come."""
    LOST = "lost"
    """They should come and do not; it is tried again and again."""
    ENDED = "ended"
    """The source is over, and no more will come."""
    IDLE = "idle"
    """Nobody watches, so none are asked for."""


@dataclass(frozen=True, slots=True)
class Signal:
    """The state of a stream's pictures."""

    state: SignalState
    since: float = field(default_factory=time.time)
    """When it began, in seconds since the Unix epoch; of a lost signal, when the last picture
    came."""
    message: str = ""
    """Why, for people; holds no credentials."""

    def to_json(self) -> dict[str, Any]:
        """Give it as the values of JSON."""
        return {"state": self.state.value, "since": round(self.since, 3), "message": self.message}


class CaptionedStream:
    """One stream, from its pictures to its captions and its annotated video.

    Put pictures into its `intake`, `run` it, and `close` it at the end.
    """

    newest: CaptionEvent | None = None
    """The last caption."""
    notice: str | None = None
    """What is to be written above the caption, such as that no pictures come."""

    def __init__(
        self, name: str, shared: Surroundings, *, title: str = "", interval_s: float | None = None
    ) -> None:
        """Prepare a stream.

        Args:
            name: What other programs and the log call it.
            shared: The server.
            title: What people call it; the name if it is empty.
            interval_s: Seconds between captions; the server's setting when None.
        """
        self.name, self.title = name, title or name
        self.intake, self.pictures = Intake(), RecentPictures()
        self.captions: Broadcast[CaptionEvent] = Broadcast()
        """Told each caption as it comes."""
        self.explanations: Broadcast[LiveExplanation] = Broadcast()
        """Publishes each saliency map that was computed without a request."""
        self.signals: Broadcast[Signal] = Broadcast()
        """Told each change of the signal."""
        self.viewers = 0
        self.audience: Broadcast[int] = Broadcast()
        """Told how many watch, whenever somebody comes or goes."""
        self.frames = KeptFrames(shared.studying)
        self._shared, self._count = shared, 0
        self._signal = Signal(SignalState.CONNECTING, time.time())
        self.sampler = Sampler(
            self.intake.to_caption,
            shared.captions,
            self._publish,
            shared.sampling,
            interval_s or shared.settings.interval_s,
            shared.settings.beam_width,
            lambda: self.maps.gradcam_is_due(),
            self.pictures,
            lambda: shared.load.stretch,
        )
        self.maps = LiveMaps(
            shared.captions,
            shared.settings.explanation_share,
            lambda: self.sampler.interval_s,
            self.explanations.publish,
            self._spawn,
            lambda: shared.load.step,
        )
        self.track = AnnotatedTrack(
            self.intake.to_return, self._subtitle, self._heat, shared.painting, shared.sampling
        )
        self.shared_video = SharedVideo(self.track, shared.encoding)
        """The annotated video, for several who watch; one alone may read the track instead."""
        self.closed = asyncio.Event()
        """Set at the end."""
        self._running: asyncio.TaskGroup | None = None
        self._count_no_more = shared.counts.begin(self._totals)

    @property
    def signal(self) -> Signal:
        """Whether pictures come; setting it tells whoever listens to `signals`."""
        return self._signal

    @signal.setter
    def signal(self, signal: Signal) -> None:
        self._signal = signal
        self.signals.publish(signal)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Count somebody who watches for as long as the context lasts."""
        self._count_viewers(1)
        try:
            yield
        finally:
            self._count_viewers(-1)

    async def run(self) -> None:
        """Caption what comes until cancelled.

        Raises:
            ExceptionGroup: If something failed that was not foreseen.
        """
        async with asyncio.TaskGroup() as self._running:
            self._running.create_task(self.sampler.run(), name=f"stream {self.name}")

    async def close(self) -> None:
        """Let go of all pictures; safe to call more than once."""
        self.closed.set()
        await self.shared_video.close()
        self.track.stop()
        self._count_no_more()
        self.frames.clear()
        self.pictures.clear()
        self.newest = None

    def _count_viewers(self, more: int) -> None:
        self.viewers += more
        self.audience.publish(self.viewers)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._running
        self._running.create_task(work, name=f"stream {self.name}")

    def _publish(self, captioned: CaptionedFrame) -> None:
        kept = self.frames.keep(self._count, captioned)
        self.newest = CaptionEvent.of(self.name, self._count, captioned)
        self._count += 1
        self._shared.counts.count_caption(self.newest)
        self._shared.load.count_caption(self.newest.age_ms() / 1e3, self.sampler.interval_s)
        self.captions.publish(self.newest)
        self.maps.follow(kept)

    def _totals(self) -> StreamTotals:
        """What became of the pictures so far."""
        intake, video = self.intake, self.shared_video
        return StreamTotals(
            received=intake.received,
            drawn=self.track.returned,
            not_drawn=intake.to_return.replaced,
            not_captioned=intake.to_caption.replaced,
            captions=self._count,
            encoded=video.encoded,
            not_encoded=video.failed,
            not_delivered=video.dropped,
        )

    def _subtitle(self) -> Subtitle:
        """What the annotated video carries now."""
        captions, newest = self._shared.captions, self.newest
        notice = " · ".join(filter(None, (self.notice, _NOTICES[captions.state]))) or None
        if newest is None:
            return Subtitle("", notice=notice)
        stale = notice is not None or time.time() - newest.captured > self._patience_s()
        doubt, text = worded(newest.caption)
        return Subtitle(text, stale, " · ".join(filter(None, (notice, doubt))) or None)

    def _heat(self) -> Map | None:
        """What the annotated video shows over the picture now."""
        return self.maps.heat(self._patience_s())

    def _patience_s(self) -> float:
        """Age at which what was said of a picture may be true no more."""
        return max(_STALE_S, _STALE_INTERVALS * self.sampler.interval_s)
