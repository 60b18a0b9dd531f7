"""Caption events: what a stream publishes with each caption, its JSON, and its text for display."""

from dataclasses import dataclass, fields
from typing import Any

from inference.captioning import Caption, Tag
from stream.captioning.stream_captioner import CaptionedFrame
from stream.clock import boottime

_DOUBTFUL, _CERTAIN_TAG = 0.4, 0.85
"""A tag leads if the caption is less probable, and the tag at least as probable, as these."""

_UNSURE = "Not sure. Possibly:"
_UNSURE_OF_ALL = "Not sure."
_NO_CAPTION = "No caption for this frame."
_BLANK = "Nothing to describe: the frame is blank."


@dataclass(frozen=True, slots=True)
class CaptionEvent:
    """A new caption of a stream, with data about its frame but without the frame itself."""

    stream: str
    """Name of the feed or shared session; the id of any other session."""
    seq: int
    """Number of the caption within its stream, from 0; it restarts with the server."""
    caption: Caption
    captured: float
    """When the frame was captured, as far as is known, in seconds since the Unix epoch."""
    captured_boottime: float
    """The same time on the clock `boottime`, for its age."""
    pts: int
    """Timestamp of the frame in units of 1/90000 s, as for video over RTP (RFC 3551)."""
    width: int
    """Width of the frame, in pixels."""
    height: int
    """Height of the frame, in pixels."""
    prepare_ms: float
    """See `CaptionedFrame`."""
    wait_ms: float
    """See `CaptionedFrame`."""
    received_boottime: float
    """When the server received the frame, on the clock `boottime`."""
    note: str = ""
    """What the source states about the frame; empty for nothing."""

    @classmethod
    def of(cls, stream: str, seq: int, captioned: CaptionedFrame) -> "CaptionEvent":
        """Create the event of a captioned frame."""
        image = captioned.frame.image
        pts, base = image.pts, image.time_base
        return cls(
            stream=stream,
            seq=seq,
            caption=captioned.caption,
            captured=captioned.frame.captured,
            captured_boottime=captioned.frame.captured_boottime,
            pts=0 if pts is None or base is None else round(pts * base * 90_000),
            width=image.width,
            height=image.height,
            prepare_ms=captioned.prepare_ms,
            wait_ms=captioned.wait_ms,
            received_boottime=captioned.frame.received_boottime,
            note=captioned.frame.note,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the whole event as JSON values, for other processes of the server."""
        return {
            **{each.name: getattr(self, each.name) for each in fields(self)},
            "caption": self.caption.to_json(),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "CaptionEvent":
        """Read what `to_json` returned.

        The times on the clock `boottime` are those of the machine that wrote them.
        """
        return cls(**{**values, "caption": Caption.from_json(values["caption"])})

    @property
    def id(self) -> str:
        """Id that is unique across streams and server restarts."""
        return f"{self.stream}-{round(1e3 * self.captured)}"

    def age_ms(self) -> float:
        """Return the current age of the frame in milliseconds."""
        return (boottime() - self.captured_boottime) * 1e3

    def received_age_s(self) -> float:
        """Return how long ago the server received the frame, in seconds."""
        return boottime() - self.received_boottime


def caption_json(event: CaptionEvent) -> dict[str, Any]:
    """Return `caption` of `schema.json`, without `type` and `maps`; `age_ms` is as of now."""
    caption = event.caption
    return {
        "seq": event.seq,
        **wording_json(caption),
        "kept": caption.kept,
        "note": event.note,
        "frame": {
            "pts": event.pts,
            "time": event.captured,
            "width": event.width,
            "height": event.height,
        },
        "age_ms": round(event.age_ms(), 1),
        **timing_json(caption, {"prepare": event.prepare_ms, "wait": event.wait_ms}),
    }


def wording_json(caption: Caption) -> dict[str, Any]:
    """Return what a caption states: its text with its confidence, its words and its tags."""
    body = caption.to_json()
    return {
        "text": caption.text,
        "confidence": body["confidence"],
        "words": body["words"],
        "tags": body["tags"],
        "fallback": caption.fallback,
        "guess": caption.guess,
        "runner_up": caption.runner_up,
        "instead_of": caption.instead_of,
    }


def timing_json(caption: Caption, before_ms: dict[str, float]) -> dict[str, Any]:
    """Return `timing_ms`, and `replica` if a captioner pool captioned.

    Args:
        caption: The caption.
        before_ms: Times of what was done before the captioner got the image, by name.
    """
    timing = caption.timing_ms
    parts = {
        **before_ms,
        "encoder": timing.encoder,
        "decoder": timing.decoder,
        "maps": timing.maps,
        "endpoint": timing.endpoint,
    }
    parts["total"] = sum(parts.values())
    return {
        "timing_ms": {part: round(ms, 2) for part, ms in parts.items()},
        **({"replica": timing.replica} if timing.replica else {}),
    }


def feed_caption_json(event: CaptionEvent, *, maps: bool = False) -> dict[str, Any]:
    """Return a caption for subscribers of several feeds, with `feed` and `said` added.

    `said` is the caption as `display_text`, for subtitles and speech.

    Args:
        event: The caption.
        maps: Whether to add `maps`, as in `maps_json`.
    """
    body = {"feed": event.stream, "said": display_text(event.caption), **caption_json(event)}
    return {**body, "maps": maps_json(event.caption)} if maps else body


def maps_json(caption: Caption) -> dict[str, Any] | None:
    """Return a caption's maps, `maps` of `schema.json`; None if they were not computed."""
    return caption.maps.to_json() if caption.maps else None


def display_parts(caption: Caption) -> tuple[str, str]:
    """Return a notice, of low confidence or a missing caption, if any, and the text to display.

    A tag that is almost certain leads when the caption is doubtful: `Cat (88%). Possibly: a dog`.
    """
    if leading := _leading_tag(caption):
        return "", _after_lead(caption, f"{leading.text.capitalize()} ({_percent(leading.prob)})")
    if caption.fallback == "blank":
        return _BLANK, ""
    if not caption.text:
        return _NO_CAPTION if caption.fallback is None else _UNSURE_OF_ALL, ""
    if caption.fallback is None:
        return "", caption.text
    return _UNSURE, _uncapitalize(caption.text)


def _leading_tag(caption: Caption) -> Tag | None:
    if caption.fallback == "blank" or caption.confidence is None:
        return None
    if caption.confidence < _DOUBTFUL and caption.tags and caption.tags[0].prob >= _CERTAIN_TAG:
        return caption.tags[0]
    return None


def _after_lead(caption: Caption, lead: str) -> str:
    others = ", ".join(tag.text for tag in caption.tags[1:])
    rest = others if caption.fallback == "tags" else caption.text
    return f"{lead}. Possibly: {_uncapitalize(rest)}" if rest else lead


def _percent(share: float) -> str:
    return "over 99%" if 0.995 < share < 1 else f"{share:.0%}"


def _uncapitalize(text: str) -> str:
    return text[:1].lower() + text[1:]


def display_text(caption: Caption) -> str:
    """Return the caption in one line: `A dog runs` or `Not sure. Possibly: dog, ball`.

    Without probabilities: captions that state the same have the same text.
    """
    if leading := _leading_tag(caption):
        return _after_lead(caption, leading.text.capitalize())
    return " ".join(filter(None, display_parts(caption)))
