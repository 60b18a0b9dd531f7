"""The one event that every door tells, each in its own form: a stream has a new caption.

A caption as JSON values: what every door tells of it, whatever form it has there.

How a caption is worded when it is too doubtful to be said as it is.
"""

import time
from dataclasses import dataclass
from typing import Any

from inference.captioning import Caption
from stream.captioning.stream_captioner import CaptionedFrame

_PERHAPS = "Not sure. Perhaps:"
_NOTHING = "Not sure."


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


def caption_json(event: CaptionEvent) -> dict[str, Any]:
    """Return `caption` of `schema.json`, aged as of now, but for its `type` and `maps`."""
    said = event.caption
    body = said.to_json()
    timing = {
        "prepare": event.prepare_ms,
        "wait": event.wait_ms,
        "encoder": said.timing_ms.encoder,
        "decoder": said.timing_ms.decoder,
        "maps": said.timing_ms.maps,
    }
    timing["total"] = sum(timing.values())
    return {
        "seq": event.seq,
        "text": said.text,
        "confidence": round(said.confidence, 4),
        "words": body["words"],
        "tags": body["tags"],
        "fallback": said.fallback,
        "guess": said.guess,
        "kept": said.kept,
        "frame": {
            "pts": event.pts,
            "time": event.captured,
            "width": event.width,
            "height": event.height,
        },
        "age_ms": round(event.age_ms(), 1),
        "timing_ms": {part: round(ms, 2) for part, ms in timing.items()},
    }


def feed_caption_json(event: CaptionEvent) -> dict[str, Any]:
    """Return what the doors tell that serve many feeds: whose caption it is, and a line to say.

    `said` owns up to a doubt in words ("Not sure. Perhaps: dog"), as subtitles and speech do.
    """
    return {"feed": event.stream, "said": in_one_line(event.caption), **caption_json(event)}


def worded(caption: Caption) -> tuple[str, str]:
    """The words that own up to a doubt, empty where there is none, and what is left to say."""
    if caption.fallback is None:
        return "", caption.text
    if not caption.text:
        return _NOTHING, ""
    return _PERHAPS, caption.text[0].lower() + caption.text[1:]


def in_one_line(caption: Caption) -> str:
    """`A dog runs`, or `Not sure. Perhaps: dog, ball`."""
    return " ".join(filter(None, worded(caption)))
