"""Frames that a decoder cannot decode completely, because the key frame before them is missing.

FFmpeg returns none of them before a key frame or a recovery point (H.264, section D.2.8). Encoders
with periodic intra refresh send one key frame only, and some mark no recovery points: a receiver
that missed the key frame, or connected later, would see nothing for ever.
"""

from av.codec.context import CodecContext, Flags

_MAX_MISSING = 50
"""Packets without a frame after which incomplete frames are returned: two seconds at 25 frames per
second, and more than a decoder delays frames to reorder them."""


class IncompleteFrames:
    """Makes a decoder return incomplete frames when it has returned no others for long.

    What is missing is concealed; intra refresh soon repairs it.
    """

    def __init__(self, context: CodecContext) -> None:
        """Watch a decoder."""
        self._context = context
        self._missing = 0

    def count(self, frames: int) -> None:
        """Note how many frames the decoder returned for a packet."""
        self._missing = 0 if frames else self._missing + 1
        if self._missing > _MAX_MISSING:
            self._context.flags |= Flags.output_corrupt
