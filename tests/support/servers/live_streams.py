"""Live video over HTTP, as cameras and restreamers send it: muxed as it is captured, endless."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from av.video.stream import VideoStream

SIZE = 96, 128

OPTIONS: Mapping[str, Mapping[str, str]] = {
    "flv": {"flush_packets": "1"},
    "mp4": {"movflags": "frag_every_frame+empty_moov+default_base_moof", "flush_packets": "1"},
    "mpegts": {"flush_packets": "1"},
    "matroska": {"live": "1", "cluster_time_limit": "100", "flush_packets": "1"},
    "asf": {"flush_packets": "1"},
}
"""Muxer options of live streams."""

CODEC_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency", "crf": "10"},
    "libvpx": {"deadline": "realtime", "lag-in-frames": "0"},
    "wmv2": {},
}


@dataclass
class LiveCamera:
    """A camera that encodes its frames as it captures them; the brightness is the frame's number.

    While `passing` is clear the connection is suspended but the camera continues, as on a network.
    """

    format: str = "flv"
    rate: float = 20.0
    """Frames per second."""
    limit: float = float("inf")
    """Number of frames after which the camera ends its stream."""
    options: Mapping[str, str] = field(default_factory=dict)
    captured: dict[int, float] = field(default_factory=dict)
    """When each frame was captured, in seconds since the Unix epoch."""
    passing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Start with a network that passes everything."""
        self.passing.set()

    def send(self, write: Callable[[bytes], object], stopping: threading.Event) -> None:
        """Encode and send frames in real time until `stopping` is set or the limit is reached."""
        codec = {"asf": "wmv2", "matroska": "libvpx"}.get(self.format, "libx264")
        options = {**OPTIONS[self.format], **self.options}
        with av.open(_Pipe(write), "w", format=self.format, options=options) as output:
            stream = output.add_stream(codec, rate=Fraction(self.rate).limit_denominator(1000))
            assert isinstance(stream, VideoStream)
            stream.height, stream.width = SIZE
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            stream.codec_context.gop_size = 10
            stream.options = dict(CODEC_OPTIONS[codec])
            started, number = time.time(), 0
            while number < self.limit:
                due = started + number / self.rate
                if stopping.wait(max(0.0, due - time.time())):
                    return
                self.captured[number] = due
                frame = _frame(number)
                frame.pts, frame.time_base = round(1000 * number / self.rate), Fraction(1, 1000)
                # While the network passes nothing, the camera continues to capture.
                self.passing.wait()
                output.mux(stream.encode(frame))
                number += 1

    def number_of(self, frame: av.VideoFrame) -> int:
        """Return the number of a received frame, which must be among the last 100."""
        brightness = float(np.mean(frame.to_ndarray(format="rgb24")))
        latest = max(self.captured)
        return latest - (latest - round((brightness - 20) / 2)) % 100


class _Pipe:
    """A file that can only be written, as a network connection."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(bytes(data))
        return len(data)


def _frame(number: int) -> av.VideoFrame:
    brightness = 20 + 2 * (number % 100)
    return av.VideoFrame.from_ndarray(np.full((*SIZE, 3), brightness, np.uint8))
