"""The one event that every door tells, each in its own form: a stream has a new caption."""

import time
from dataclasses import dataclass

from inference.caption import Caption
from stream.stream_captioner import CaptionedFrame


@dataclass(frozen=True, slots=True)
class CaptionEvent:
    """A caption of a stream; it holds no picture, so that whoever keeps it keeps little."""

    stream: str
    """The name of the feed or of the published session; of any other session its id."""
    seq: int
    """Counts the stream's captions, from 0; it begins anew when the server does."""
    caption: Caption
    captured: float
    """When the picture was taken, in seconds since the Unix epoch."""
    pts: int
    """The picture's timestamp in the units of video over RTP, 1/90000 s (RFC 3551)."""
    width: int
    """Of the picture, in pixels."""
    height: int
    """Of the picture, in pixels."""
    prepare_ms: float
    """As in `CaptionedFrame`."""
    wait_ms: float
    """As in `CaptionedFrame`."""

    @classmethod
    def of(cls, stream: str, seq: int, captioned: CaptionedFrame) -> "CaptionEvent":
        """Say it of a captioned picture."""
        image = captioned.frame.image
        pts, base = image.pts, image.time_base
        return cls(
            stream=stream,
            seq=seq,
            caption=captioned.caption,
            captured=captioned.frame.captured,
            pts=0 if pts is None or base is None else round(pts * base * 90_000),
            width=image.width,
            height=image.height,
            prepare_ms=captioned.prepare_ms,
            wait_ms=captioned.wait_ms,
        )

    @property
    def id(self) -> str:
        """No other caption has it, of this stream or another, before a restart or after it."""
        return f"{self.stream}-{round(1e3 * self.captured)}"

    def age_ms(self) -> float:
        """How old the picture is now, in milliseconds; never negative, whatever clocks do."""
        return max(0.0, (time.time() - self.captured) * 1e3)
