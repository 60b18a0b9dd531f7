"""A caption as JSON values: what every door tells of it, whatever form it has there."""

from typing import Any

from stream.caption_event import CaptionEvent
from stream.doubt import in_one_line


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
