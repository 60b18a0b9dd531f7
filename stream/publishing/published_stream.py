"""What readers see of a published stream, and a stream that another process captions."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

from stream.broadcast import Broadcast
from stream.captioned_stream import Signal, StreamKind
from stream.captioning import CaptionEvent, ExplanationMode, FrameNotFound


class PublishedStream(Protocol):
    """A stream as its readers see it, whichever process captions it."""

    @property
    def name(self) -> str:
        """Name in URLs, topics and logs."""

    @property
    def title(self) -> str:
        """Name for people."""

    @property
    def kind(self) -> StreamKind:
        """Whether it is a feed or a session."""

    @property
    def interval_s(self) -> float:
        """Seconds between captions."""

    @property
    def explanations(self) -> ExplanationMode:
        """The heat maps that are computed for each caption."""

    @property
    def viewers(self) -> int:
        """Number of viewers."""

    @property
    def signal(self) -> Signal:
        """Whether frames arrive."""

    @property
    def signals(self) -> Broadcast[Signal]:
        """Publishes each change of the signal."""

    @property
    def captions(self) -> Broadcast[CaptionEvent]:
        """Publishes each caption."""

    @property
    def latest_caption(self) -> CaptionEvent | None:
        """The latest caption; None if there is none yet."""

    def viewing(self) -> AbstractContextManager[None]:
        """Count a viewer for as long as the context lasts."""

    async def picture(self) -> bytes:
        """Return the frame of the latest caption as a JPEG; raises FrameNotFound."""

    async def small_picture(self, seq: int) -> bytes:
        """Return the frame of a caption as a small WebP; raises FrameNotFound."""


@dataclass(frozen=True, slots=True)
class StreamReport:
    """The state of a published stream, as the process that captions it reports it to others."""

    title: str
    kind: StreamKind
    interval_s: float
    explanations: ExplanationMode
    viewers: int
    signal: Signal

    @classmethod
    def of(cls, stream: PublishedStream) -> Self:
        """Return a stream's current state."""
        return cls(
            stream.title,
            stream.kind,
            stream.interval_s,
            stream.explanations,
            stream.viewers,
            stream.signal,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {**asdict(self), "signal": self.signal.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(**{**values, "signal": Signal.from_json(values["signal"])})


class RemoteStream:
    """A published stream that another process captions: what that process reports of it."""

    latest_caption: CaptionEvent | None = None

    def __init__(
        self,
        name: str,
        report: StreamReport,
        *,
        url: str = "",
        read_picture: Callable[[], Awaitable[bytes]],
        read_small_picture: Callable[[int], Awaitable[bytes]] | None = None,
        watch: Callable[[int], None] = lambda viewers: None,
    ) -> None:
        """Start with the process's first report.

        Args:
            name: Name in URLs, topics and logs.
            report: The stream's state.
            url: URL of the server that captions it; empty for a process of this server.
            read_picture: Returns the frame of the latest caption as a JPEG; may raise
                FrameNotFound.
            read_small_picture: Returns the frame of a caption as a small WebP; may raise
                FrameNotFound. None if that process does not return it.
            watch: Called with the number of viewers in this process whenever it changes, to tell
                the process that captions the stream.
        """
        self.name, self.url = name, url
        self.captions: Broadcast[CaptionEvent] = Broadcast()
        self.signals: Broadcast[Signal] = Broadcast()
        self._report = report
        self._read_picture, self._watch = read_picture, watch
        self._read_small_picture = read_small_picture
        self._viewers = 0

    @property
    def title(self) -> str:
        """Name for people."""
        return self._report.title

    @property
    def kind(self) -> StreamKind:
        """Whether it is a feed or a session."""
        return self._report.kind

    @property
    def interval_s(self) -> float:
        """Seconds between captions."""
        return self._report.interval_s

    @property
    def explanations(self) -> ExplanationMode:
        """The heat maps that are computed for each caption."""
        return self._report.explanations

    @property
    def viewers(self) -> int:
        """Number of viewers, as last reported; those in this process are among them."""
        return max(self._report.viewers, self._viewers)

    @property
    def signal(self) -> Signal:
        """Whether frames arrive."""
        return self._report.signal

    def update(self, report: StreamReport) -> None:
        """Take over a new report; a change of the signal is published."""
        before, self._report = self._report, report
        if report.signal != before.signal:
            self.signals.publish(report.signal)

    def receive(self, event: CaptionEvent) -> None:
        """Publish a new caption."""
        self.latest_caption = event
        self.captions.publish(event)

    @contextmanager
    def viewing(self) -> Iterator[None]:
        """Count a viewer for as long as the context lasts."""
        self._change_viewers(1)
        try:
            yield
        finally:
            self._change_viewers(-1)

    async def picture(self) -> bytes:
        """Return the frame of the latest caption as a JPEG, without annotations.

        Raises:
            FrameNotFound: If there is none.
        """
        return await self._read_picture()

    async def small_picture(self, seq: int) -> bytes:
        """Return the frame of a caption as a small WebP, without annotations.

        Raises:
            FrameNotFound: If it is not kept any more, or the process does not return it.
        """
        if self._read_small_picture is None:
            raise FrameNotFound("the server that captions the feed stores its pictures itself")
        return await self._read_small_picture(seq)

    def _change_viewers(self, change: int) -> None:
        self._viewers += change
        self._watch(self._viewers)
