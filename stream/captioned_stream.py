"""A captioned stream: from its incoming frames to its captions, maps and annotated video."""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from inference.engine import EngineState
from stream.broadcast import Broadcast
from stream.captioning import (
    CaptionedFrame,
    CaptionEvent,
    ExplanationMode,
    KeptFrames,
    LiveExplanation,
    LiveMaps,
    RecentFrames,
    Sampler,
    display_parts,
)
from stream.context import StreamContext
from stream.counters import StreamTotals
from stream.sources import Ingest
from stream.video import AnnotatedTrack, Frame, OverlayText, ReturnedVideo, SharedVideo, Slot

_STALE_INTERVALS = 3
_MIN_STALE_S = 3.0

_ENGINE_NOTICES = {
    EngineState.STARTING: "The captioner is starting",
    EngineState.PAUSED: "Captions are paused",
    EngineState.READY: None,
}


class SignalState(StrEnum):
    """Whether frames arrive."""

    CONNECTING = "connecting"
    """Not yet: the source is being opened for the first time."""
    LIVE = "live"
    """Frames arrive."""
    LOST = "lost"
    """No frames arrive although they should; the source is reopened again and again."""
    ENDED = "ended"
    """The source has ended, and no more frames will arrive."""
    IDLE = "idle"
    """The source is closed because the stream has no viewers."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Whether a stream's frames arrive, since when, and why not."""

    state: SignalState
    since: float = field(default_factory=time.time)
    """Start of the state in seconds since the Unix epoch; for a lost signal, the arrival of the
    last frame."""
    message: str = ""
    """Reason, for people; contains no credentials."""

    def to_json(self) -> dict[str, Any]:
        """Return `signal` of the messages in `schema.json`."""
        return {"state": self.state.value, "since": round(self.since, 3), "message": self.message}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Signal":
        """Read what `to_json` returned."""
        return cls(SignalState(values["state"]), values["since"], values["message"])


StreamKind = Literal["feed", "session"]
"""A stream of a source in the configuration, or of a session."""


class CaptionedStream:
    """One stream, whatever its source and its viewers.

    Put frames into `ingest`, call `run`, and call `close` at the end.
    """

    latest_caption: CaptionEvent | None = None
    notice: str | None = None
    """Notice above the caption in the annotated video, such as "No signal"."""

    def __init__(
        self,
        name: str,
        context: StreamContext,
        *,
        title: str = "",
        interval_s: float | None = None,
        kind: StreamKind = "session",
    ) -> None:
        """Prepare a stream.

        Args:
            name: Name in URLs, topics and logs.
            context: Context that all streams of the server share.
            title: Name for people; `name` by default.
            interval_s: Seconds between captions; the server's setting by default.
            kind: Whether it is a feed.
        """
        self.name, self.title, self.kind = name, title or name, kind
        self.ingest, self.recent_frames = Ingest(), RecentFrames()
        self.captions: Broadcast[CaptionEvent] = Broadcast()
        """Publishes each caption."""
        self.live_explanations: Broadcast[LiveExplanation] = Broadcast()
        """Publishes each saliency map that was computed without a request."""
        self.signals: Broadcast[Signal] = Broadcast()
        """Publishes each change of the signal."""
        self.viewers = 0
        self.viewer_counts: Broadcast[int] = Broadcast()
        """Publishes the number of viewers whenever it changes."""
        self.frames = KeptFrames(context.image_executor)
        """Frames of the last captions."""
        self._context = context
        self._caption_count = 0
        self._signal = Signal(SignalState.CONNECTING, time.time())
        self.sampler = Sampler(
            self.ingest.to_caption,
            context.caption_service,
            self._publish,
            context.prepare_executor,
            interval_s or context.settings.interval_s,
            context.settings.beam_width,
            lambda: self.maps.word_maps_due(),
            self.recent_frames,
            lambda: context.load.interval_factor,
        )
        self.maps = LiveMaps(
            context.caption_service,
            context.settings.explanation_share,
            lambda: self.sampler.interval_s,
            self.live_explanations.publish,
            self._spawn,
            lambda: context.load.level,
        )
        self.track = self._create_track(self.ingest.to_annotate, "annotated")
        """The annotated video, for a single viewer."""
        self.shared_video = SharedVideo(self.track, context.encode_executor)
        """The annotated video, encoded once for several viewers; use it or `track`, not both."""
        self.plain_track = self._create_track(self.ingest.to_share_plain, "plain")
        """The video of `plain_video`."""
        self.plain_video = SharedVideo(self.plain_track, context.encode_executor)
        """The video without captions, for viewers that show the captions themselves."""
        self.closed = asyncio.Event()
        self._task_group: asyncio.TaskGroup | None = None
        self._stop_counting = context.counters.add_stream(self._totals)

    @property
    def signal(self) -> Signal:
        """Whether frames arrive; setting it publishes it to `signals`."""
        return self._signal

    @signal.setter
    def signal(self, signal: Signal) -> None:
        self._signal = signal
        self.signals.publish(signal)

    @property
    def interval_s(self) -> float:
        """Seconds between captions."""
        return self.sampler.interval_s

    @property
    def explanations(self) -> ExplanationMode:
        """The heat maps that are computed for each caption."""
        return self.maps.explanations

    async def picture(self) -> bytes:
        """Return the frame of the latest caption as a JPEG, without annotations.

        Raises:
            FrameNotFound: If there is no caption yet.
        """
        return await self.frames.newest().jpeg()

    async def small_picture(self, seq: int) -> bytes:
        """Return the frame of a caption as a small WebP, without annotations.

        Raises:
            FrameNotFound: If it is not kept any more.
        """
        return await self.frames.find(seq).small_picture()

    @contextmanager
    def viewing(self) -> Iterator[None]:
        """Count a viewer for as long as the context lasts."""
        self._change_viewers(1)
        try:
            yield
        finally:
            self._change_viewers(-1)

    async def run(self) -> None:
        """Caption the incoming frames until cancelled.

        Raises:
            ExceptionGroup: If something failed unexpectedly.
        """
        async with asyncio.TaskGroup() as self._task_group:
            self._task_group.create_task(self.sampler.run(), name=f"stream {self.name}")

    async def close(self) -> None:
        """Stop the video and drop all frames; safe to call more than once."""
        self.closed.set()
        for video, track in self._videos:
            await video.close()
            track.stop()
        self._stop_counting()
        self.frames.clear()
        self.recent_frames.clear()
        self.latest_caption = None

    def _change_viewers(self, change: int) -> None:
        self.viewers += change
        self.viewer_counts.publish(self.viewers)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        assert self._task_group
        self._task_group.create_task(coroutine, name=f"stream {self.name}")

    def _publish(self, captioned: CaptionedFrame) -> None:
        kept = self.frames.keep(self._caption_count, captioned)
        event = CaptionEvent.of(self.name, self._caption_count, captioned)
        self.latest_caption = event
        self._caption_count += 1
        self._context.counters.count_caption(event)
        # Without the delays of network, peer and endpoint, which are not the load of this server.
        age_s = event.received_age_s() - event.caption.timing_ms.endpoint / 1e3
        self._context.load.count_caption(age_s, self.sampler.interval_s)
        self.captions.publish(event)
        self.maps.on_caption(kept)

    def _totals(self) -> StreamTotals:
        ingest, videos = self.ingest, [video for video, _ in self._videos]
        return StreamTotals(
            received=ingest.received,
            drawn=self.track.returned,
            not_drawn=self.track.replaced,
            not_captioned=ingest.to_caption.replaced,
            captions=self._caption_count,
            encoded=sum(video.encoded for video in videos),
            not_encoded=sum(video.failed for video in videos),
            not_delivered=sum(video.dropped for video in videos),
        )

    @property
    def _videos(self) -> list[tuple[SharedVideo, AnnotatedTrack]]:
        return [(self.shared_video, self.track), (self.plain_video, self.plain_track)]

    def _create_track(self, frames: Slot[Frame], mode: ReturnedVideo) -> AnnotatedTrack:
        track = AnnotatedTrack(
            frames,
            lambda: self._overlay_text(track.cut_boottime),
            lambda: self.maps.overlay_map(self._max_age_s(), track.cut_boottime),
            self._context.draw_executor,
            self._context.prepare_executor,
            mode,
        )
        return track

    def _overlay_text(self, since_boottime: float) -> OverlayText:
        """Return the text to draw on the annotated video now.

        Args:
            since_boottime: Earliest time when the frame of the caption was captured, on the clock
                `boottime`.
        """
        event = self.latest_caption
        engine_notice = _ENGINE_NOTICES[self._context.caption_service.state]
        notice = " · ".join(filter(None, (self.notice, engine_notice))) or None
        if event is None or event.captured_boottime < since_boottime:
            return OverlayText("", notice=notice)
        is_stale = notice is not None or event.received_age_s() > self._max_age_s()
        confidence_notice, text = display_parts(event.caption)
        return OverlayText(
            text, is_stale, " · ".join(filter(None, (notice, confidence_notice))) or None
        )

    def _max_age_s(self) -> float:
        """Return the age at which a caption or map may no longer describe the scene."""
        return max(_MIN_STALE_S, _STALE_INTERVALS * self.sampler.interval_s)
