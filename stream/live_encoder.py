"""VP8 for one who sees their own stream: aiortc's encoder, with settings that cost less.

aiortc has libvpx take the noise out of what it encodes, which costs a sixth of the time, and here
is the picture's loss: the type drawn into it is no noise. Without that, and at a higher fixed
speed, footage of 640x480 takes 3.4 ms a picture instead of 5.7 at 1.5 Mbit/s, and 2.4 instead of
4.6 at 1 Mbit/s, and is 2 to 3 dB nearer to what was encoded.
"""

import aiortc.codecs
import av
from aiortc.codecs.vpx import MIN_BITRATE, Vp8Encoder
from aiortc.mediastreams import VIDEO_TIME_BASE
from av.frame import Frame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from stream.conversion import converted
from stream.libvpx import enough_bps, fits, open_libvpx

_CHANGE = 0.1
"""Of the rate of bits: a smaller one is not worth the key frame with which an encoder begins."""


class LiveVp8Encoder(Vp8Encoder):
    """Follows what the peer says that it can receive, as aiortc's own does."""

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """Encode a picture; see `Vp8Encoder`.

        Returns:
            The payloads of its RTP packets (RFC 7741), and its time in 1/90000 s.
        """
        assert isinstance(frame, av.VideoFrame)
        frame = converted(frame, "yuv420p")
        if force_keyframe:
            frame.pict_type = PictureType.I
        rate = _rate(frame, self.target_bitrate)
        if self.codec is None or not (fits(self.codec, frame) and _follows(self.codec, rate)):
            self.codec = open_libvpx(frame.width, frame.height, rate)
        encoded = b"".join(map(bytes, self.codec.encode(frame)))
        payloads = self._packetize(encoded, self.picture_id)
        self.picture_id = (self.picture_id + 1) % (1 << 15)
        assert frame.pts is not None and frame.time_base is not None
        return payloads, round(frame.pts * frame.time_base / VIDEO_TIME_BASE)


def encode_lightly() -> None:
    """Let every sender of this process that encodes VP8 do it with these settings."""
    aiortc.codecs.Vp8Encoder = LiveVp8Encoder  # type: ignore[attr-defined]


def _rate(frame: av.VideoFrame, target: int) -> int:
    """What the peer can receive, or what is enough for pictures of this size."""
    return min(target, max(MIN_BITRATE, enough_bps(frame.width, frame.height)))


def _follows(codec: VideoCodecContext, rate: int) -> bool:
    return abs(rate - (codec.bit_rate or 0)) <= _CHANGE * rate
