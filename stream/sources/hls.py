"""How late a live broadcast in segments is (HTTP Live Streaming, RFC 8216)."""

import re
import time
from collections.abc import Iterator
from datetime import datetime

_FIRST_SEGMENT = -3
"""The segment that FFmpeg starts with, from the end: RFC 8216, section 6.3.3, advises against a
later one."""

_DURATION = re.compile(r"#EXTINF:\s*([0-9.]+)")
_DATE = re.compile(r"#EXT-X-PROGRAM-DATE-TIME:\s*(\S+)")
_MAX_CLOCK_ERROR_S = 3600.0


def is_playlist(head: bytes) -> bool | None:
    """Return whether a body starts as a playlist, or None if more of it is needed."""
    return head.startswith(b"#EXTM3U") if len(head) >= 7 else None


def variant_of(playlist: str) -> str | None:
    """Return the address of the first variant if this is a master playlist."""
    lines = iter(playlist.splitlines())
    for line in lines:
        if line.startswith("#EXT-X-STREAM-INF"):
            return next((line for line in lines if line.strip() and line[0] != "#"), None)
    return None


def delay_of_first_segment(playlist: str) -> float:
    """Return how long ago the video was captured that a live playlist starts with, in seconds.

    The playlist may state it. Otherwise the end of the last segment counts as captured now, so that
    the delay is the least possible.
    """
    segments = list(_segments(playlist))[_FIRST_SEGMENT:]
    if not segments:
        return 0.0
    stated_s = time.time() - (segments[0][1] or 0.0)
    if 0.0 <= stated_s <= _MAX_CLOCK_ERROR_S:
        return stated_s
    return sum(duration_s for duration_s, _ in segments)


def _segments(playlist: str) -> Iterator[tuple[float, float | None]]:
    """Yield the duration of each segment, and when it was captured if that is stated."""
    captured: float | None = None
    for line in playlist.splitlines():
        if date := _DATE.match(line):
            try:
                captured = datetime.fromisoformat(date[1]).timestamp()
            except ValueError:
                captured = None
        elif duration := _DURATION.match(line):
            try:
                duration_s = float(duration[1])
            except ValueError:
                continue
            yield duration_s, captured
            captured = None if captured is None else captured + duration_s
