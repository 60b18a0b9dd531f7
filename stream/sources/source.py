"""The interface of all frame sources."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import av

from stream.clock import boottime
from stream.video import Frame


class SourceError(RuntimeError):
    """A source cannot be opened or read; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One frame of a source."""

    image: av.VideoFrame
    """The frame, upright, in the source's own pixel format."""

    position_s: float
    """Media time since the start of the source, in seconds; it never decreases."""

    captured: float = field(default_factory=time.time)
    """When the frame was captured (live) or read (recorded), in seconds since the Unix epoch; by
    default now."""

    captured_boottime: float = field(default_factory=boottime)
    """The same time on the clock `boottime`, for its age."""

    held_back_s: float = 0.0
    """How long the network or the peer held it back before it arrived, in seconds."""

    note: str = ""
    """What viewers read with its caption, as a sentence without a full stop; empty for nothing."""

    def to_frame(self) -> Frame:
        """Return the frame without its position."""
        return Frame(self.image, self.captured, self.captured_boottime, self.held_back_s, self.note)


class Source(ABC):
    """A source of frames; a context manager that closes it.

    A source is open once it is constructed, and has a single reader: call `frames` once, in a
    thread that may block. Call `close` from any thread, whether or not `frames` has finished.
    """

    live: bool
    """Whether frames arrive in real time, so that those not taken at once are dropped."""

    endless: bool = False
    """Whether the source has no end, so that its end means that it was lost."""

    name: str
    """Name for logs and messages; holds no credentials."""

    replaced: int = 0
    """Live frames that were dropped because the reader was too slow."""

    @abstractmethod
    def frames(self) -> Iterator[SourceFrame]:
        """Yield the frames in order, until the source ends or is closed.

        Raises:
            SourceError: If the source fails before its end.
        """

    @abstractmethod
    def close(self) -> None:
        """End `frames` and free the source's resources; safe to call more than once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
