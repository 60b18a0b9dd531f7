"""What every source of frames offers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import av


class SourceError(RuntimeError):
    """A source that cannot be opened or read; the message says what happened and what to do."""


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One picture of a source."""

    image: av.VideoFrame
    """The picture, upright, in whatever pixel format the source has."""

    position_s: float
    """Media time since the source's start, in seconds; it never goes back."""

    captured: float
    """When the picture was taken (live) or read (recorded), in seconds since the Unix epoch."""


class Source(ABC):
    """Somewhere that frames come from.

    A source is open once it is constructed, and belongs to one reader: call `frames` once, in a
    thread that may block. `close` it, from any thread, whether or not `frames` came to its end.
    """

    live: bool
    """Whether frames come in real time, so that those not taken at once are lost."""

    name: str
    """What to call the source in logs and messages; holds no credentials."""

    replaced: int = 0
    """Pictures that came live and were not taken in time."""

    @abstractmethod
    def frames(self) -> Iterator[SourceFrame]:
        """Give the frames in order, until the source ends or is closed.

        Raises:
            SourceError: the source failed before its end.
        """

    @abstractmethod
    def close(self) -> None:
        """End `frames` and free what the source holds; closing twice does no harm."""

    def __enter__(self) -> Self:
        """Give the source itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the source."""
        self.close()
