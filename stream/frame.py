"""A picture on its way through a session."""

from dataclasses import dataclass

import av


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture; its buffer is shared and must never be written to."""

    image: av.VideoFrame
    captured: float
    """When the server had it, Unix time in seconds."""
