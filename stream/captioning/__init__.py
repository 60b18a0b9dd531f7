"""TODO."""

from stream.captioning.event import (
    CaptionEvent,
    caption_json,
    feed_caption_json,
    in_one_line,
    worded,
)
from stream.captioning.kept_frames import FrameGone, KeptFrame, KeptFrames, StudiedFrames
from stream.captioning.live_maps import Explanations, LiveExplanation, LiveMaps
from stream.captioning.sampler import Sampler
from stream.captioning.stillness import MOST_PICTURES, RecentPictures
from stream.captioning.stream_captioner import CaptionedFrame
from stream.captioning.transcript import (
    WebVtt,
    check_writable,
    json_line,
    lasts_on,
    line_for_people,
    transcribe,
)

__all__ = [
    "MOST_PICTURES",
    "CaptionEvent",
    "CaptionedFrame",
    "Explanations",
    "FrameGone",
    "KeptFrame",
    "KeptFrames",
    "LiveExplanation",
    "LiveMaps",
    "RecentPictures",
    "Sampler",
    "StudiedFrames",
    "WebVtt",
    "caption_json",
    "check_writable",
    "feed_caption_json",
    "in_one_line",
    "json_line",
    "lasts_on",
    "line_for_people",
    "transcribe",
    "worded",
]
