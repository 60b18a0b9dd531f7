"""Captioning of streams: sampling, caption events, kept frames, live maps, and transcripts."""

from stream.captioning.event import (
    CaptionEvent,
    caption_json,
    display_parts,
    display_text,
    feed_caption_json,
    maps_json,
    timing_json,
    wording_json,
)
from stream.captioning.kept_frames import ClientFrames, FrameNotFound, KeptFrame, KeptFrames
from stream.captioning.live_maps import ExplanationMode, LiveExplanation, LiveMaps, OverlayMode
from stream.captioning.sampler import Sampler
from stream.captioning.stillness import MAX_RECENT_FRAMES, RecentFrames
from stream.captioning.stream_captioner import CaptionedFrame
from stream.captioning.transcript import (
    check_writable,
    format_json_line,
    format_line,
    is_repeat,
    transcribe,
)
from stream.captioning.webvtt import WebVttWriter

__all__ = [
    "MAX_RECENT_FRAMES",
    "CaptionEvent",
    "CaptionedFrame",
    "ClientFrames",
    "ExplanationMode",
    "FrameNotFound",
    "KeptFrame",
    "KeptFrames",
    "LiveExplanation",
    "LiveMaps",
    "OverlayMode",
    "RecentFrames",
    "Sampler",
    "WebVttWriter",
    "caption_json",
    "check_writable",
    "display_parts",
    "display_text",
    "feed_caption_json",
    "format_json_line",
    "format_line",
    "is_repeat",
    "maps_json",
    "timing_json",
    "transcribe",
    "wording_json",
]
