"""Events of captions, as a feed would have them."""

from inference.captioning.caption import Caption
from stream.captioning.event import CaptionEvent
from tests.support.captions import sure

NOON = 1_700_000_000.0
"""A time, in seconds since the Unix epoch."""


def event(
    says: Caption | str, at_s: float = 0.0, stream: str = "yard", seq: int = 0
) -> CaptionEvent:
    """A feed says something, some seconds after noon."""
    return CaptionEvent(
        stream=stream,
        seq=seq,
        caption=sure(says) if isinstance(says, str) else says,
        captured=NOON + at_s,
        pts=round(at_s * 90_000),
        width=640,
        height=480,
        prepare_ms=1.0,
        wait_ms=2.0,
    )
