"""Frames that a decoder cannot decode completely, because the key frame before them is missing.

FFmpeg returns none of them before a key frame or a recovery point (H.264, section D.2.8). Encoders
with periodic intra refresh send one key frame only, and some mark no recovery points: a receiver
that missed the key frame, or connected later, would see nothing for ever.
"""

from av.codec.context import CodecContext, Flags


class IncompleteFrames:
    """Makes a decoder return incomplete frames when it has returned no others for long.

    What is missing is concealed; intra refresh soon repairs it.
    """

    def __init__(self, context: CodecContext, after_s: float) -> None:
        """Watch a decoder.

        Args:
            context: The decoder.
            after_s: Seconds of video without a frame after which incomplete frames are returned.
        """
        self._context, self._after_s = context, after_s
        self._missing_since: float | None = None

    def count(self, frames: int, at_s: float) -> None:
        """Note how many frames the decoder returned for a packet, and the packet's time."""
        if frames or self._missing_since is None:
            self._missing_since = None if frames else at_s
        elif at_s - self._missing_since > self._after_s:
            self._context.flags |= Flags.output_corrupt
