"""VP8 encoding (RFC 6386) by libvpx, for live video with text drawn on it, at low cost.

aiortc's own encoder turns libvpx's noise reduction on, which costs a sixth of the time and blurs
the drawn text. Without it, and at a higher fixed speed, footage of 640x480 takes 3.4 ms per frame
instead of 5.7 at 1.5 Mbit/s, and 2.4 instead of 4.6 at 1 Mbit/s, with a PSNR that is 2 to 3 dB
higher.
"""

import aiortc.codecs
import av
from aiortc.codecs.vpx import MIN_BITRATE, Vp8Encoder
from aiortc.mediastreams import VIDEO_TIME_BASE
from av.frame import Frame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from stream.video.frame import convert_frame

_OPTIONS = {
    # Each frame is returned before the next one arrives.
    "deadline": "realtime",
    "lag-in-frames": "0",
    # A fixed speed. At -6, aiortc's choice, a frame costs half as much again for 0.9 dB.
    "cpu-used": "-12",
    # Noise reduction costs a fifth more and blurs drawn text.
    "noise-sensitivity": "0",
    # A block of 16x16 that changed by less than noise (1.4 levels on average) is not encoded anew.
    # That saves 7 % for 0.1 dB.
    "static-thresh": "500",
    # A key frame for one viewer is a burst for all. This limits it to 4.5 frames' worth, which is
    # libwebrtc's limit at 15 frames per second.
    "max-intra-rate": "450",
    "undershoot-pct": "100",
    "overshoot-pct": "15",
}

_BITS_PER_PIXEL = 3.3

_RATE_TOLERANCE = 0.1
"""Relative change of the bit rate that is not worth the key frame of a new encoder."""


def sufficient_bit_rate(width: int, height: int) -> int:
    """Return the bit rate, in bits per second, above which a frame size gains little quality.

    About 1 Mbit/s at 640x480: footage at 15 frames per second then has a PSNR of 46 dB, which is
    hard to tell from the original; 1.5 Mbit/s would cost half as much time again.
    """
    return int(width * height * _BITS_PER_PIXEL)


def open_libvpx(width: int, height: int, bit_rate: int) -> VideoCodecContext:
    """Open an encoder that encodes key frames only on request.

    Args:
        width: Width of the frames, in pixels.
        height: Height of the frames, in pixels.
        bit_rate: Constant bit rate in bits per second, with a buffer of one second.
    """
    codec = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.bit_rate = bit_rate
    codec.gop_size = 3000
    codec.qmin, codec.qmax = 2, 56
    # Several streams are encoded in parallel; threads within one would only cost more.
    codec.thread_count = 1
    # Equal minimum and maximum make libvpx hold the rate.
    rates = {"minrate": str(bit_rate), "maxrate": str(bit_rate), "bufsize": str(bit_rate)}
    codec.options = {**_OPTIONS, **rates}
    return codec


class LiveVp8Encoder(Vp8Encoder):
    """aiortc's VP8 encoder with cheaper settings, for a peer that views its own stream.

    Its bit rate follows the peer's bandwidth estimate, as aiortc's own does.
    """

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """Encode a frame, as `Vp8Encoder.encode`.

        Returns:
            The payloads of its RTP packets (RFC 7741), and its timestamp in 1/90000 s.
        """
        assert isinstance(frame, av.VideoFrame)
        frame = convert_frame(frame, "yuv420p")
        if force_keyframe:
            frame.pict_type = PictureType.I
        bit_rate = _live_bit_rate(frame, self.target_bitrate)
        if self.codec is None or not (
            _has_size_of(self.codec, frame) and _has_rate(self.codec, bit_rate)
        ):
            self.codec = open_libvpx(frame.width, frame.height, bit_rate)
        encoded = b"".join(map(bytes, self.codec.encode(frame)))
        payloads = self._packetize(encoded, self.picture_id)
        self.picture_id = (self.picture_id + 1) % (1 << 15)
        assert frame.pts is not None and frame.time_base is not None
        return payloads, round(frame.pts * frame.time_base / VIDEO_TIME_BASE)


def install_vp8_encoder() -> None:
    """Make aiortc use `LiveVp8Encoder` for all VP8 that this process encodes."""
    aiortc.codecs.Vp8Encoder = LiveVp8Encoder  # type: ignore[attr-defined]


def _live_bit_rate(frame: av.VideoFrame, target: int) -> int:
    """Limit the peer's target bit rate to what is sufficient for the frame size."""
    return min(target, max(MIN_BITRATE, sufficient_bit_rate(frame.width, frame.height)))


def _has_size_of(codec: VideoCodecContext, frame: av.VideoFrame) -> bool:
    return (codec.width, codec.height) == (frame.width, frame.height)


def _has_rate(codec: VideoCodecContext, bit_rate: int) -> bool:
    return abs(bit_rate - (codec.bit_rate or 0)) <= _RATE_TOLERANCE * bit_rate
