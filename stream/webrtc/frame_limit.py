"""A limit on the size of the frames that peers send; larger ones are not decoded.

A few bytes can announce a frame of 16383x16383 pixels, whose decoding takes hundreds of megabytes.
"""

from typing import Any, cast

import aiortc.rtcrtpreceiver
import av
from aiortc import RTCRtpCodecParameters
from aiortc.codecs import get_decoder
from aiortc.codecs.base import Decoder
from aiortc.jitterbuffer import JitterFrame
from av.frame import Frame

from stream.sources import OversizedFrame

_VP8_START_CODE = b"\x9d\x01\x2a"


class LimitedDecoder(Decoder):
    """A decoder of aiortc that returns an `OversizedFrame` in place of a frame that is too large.

    That frame reaches the reader of the track, which ends the session.
    """

    def __init__(self, decoder: Decoder, max_pixels: int) -> None:
        """Limit width times height of the frames of a VP8 or H.264 decoder."""
        self._decoder, self._max_pixels = decoder, max_pixels
        self._context: av.VideoCodecContext = cast(Any, decoder).codec
        self._context.options = {"max_pixels": str(max_pixels)}

    def decode(self, encoded_frame: JitterFrame) -> list[Frame]:
        """Decode a frame.

        Raises:
            av.FFmpegError: If it is damaged.
        """
        # libvpx allocates memory before FFmpeg compares the size with the limit.
        width, height = _vp8_size(encoded_frame.data)
        try:
            if width * height <= self._max_pixels:
                return self._decoder.decode(encoded_frame)
        except av.FFmpegError:
            width, height = self._context.width, self._context.height
            if width * height <= self._max_pixels:
                raise
        return [cast(Frame, OversizedFrame(width, height, self._max_pixels))]


def _vp8_size(data: bytes) -> tuple[int, int]:
    """Return the size in the header of a VP8 key frame (RFC 6386, section 9.1), zeros in others."""
    if len(data) < 10 or data[0] & 1 or data[3:6] != _VP8_START_CODE:
        return 0, 0
    width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return width, height


def limit_received_frames(max_pixels: int) -> None:
    """Make all receivers of this process refuse frames of more than this width times height."""

    def get_limited_decoder(codec: RTCRtpCodecParameters) -> Decoder:
        decoder = get_decoder(codec)
        is_video = codec.mimeType.lower().startswith("video/")
        return LimitedDecoder(decoder, max_pixels) if is_video else decoder

    aiortc.rtcrtpreceiver.get_decoder = get_limited_decoder  # type: ignore[attr-defined]
