"""A simulated webcam: sensor noise, flicker, camera shake, and VP8 compression."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

Image = NDArray[np.uint8]

WIDTH, HEIGHT = 640, 480

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
"""Photographs of scikit-image: a woman, a cat, a cup, a rocket and a garage."""

_MARGIN = 24
"""Pixels at each edge that the shaking image may move into."""

_FLICKER_HZ = 0.93
"""Beat frequency of the mains' flicker with a frame rate near it."""


def photograph(file: str) -> Image:
    """Read one of `PHOTOGRAPHS`, RGB, uint8 [HEIGHT, WIDTH, 3]."""
    spec = find_spec("skimage")
    assert spec and spec.origin
    pixels = cv2.imread(str(Path(spec.origin).parent / "data" / file))
    assert pixels is not None
    scaled = cv2.resize(pixels, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(scaled[..., ::-1])


@dataclass(frozen=True, slots=True)
class SimulatedCamera:
    """A camera and the codec of its video.

    Attributes:
        noise: Standard deviation of the sensor noise, in grey levels.
        flicker: Largest relative deviation of the exposure.
        shake: Standard deviation of the camera's movement, in pixels.
        rate: Frames per second.
        bitrate: Bits per second.
        seed: Seed of the noise, the flicker and the shake.
    """

    noise: float = 4.0
    flicker: float = 0.02
    shake: float = 0.0
    rate: int = 10
    bitrate: int = 500_000
    seed: int = 0

    def record(self, scenes: Iterable[Image]) -> Iterator[av.VideoFrame]:
        """Record scenes, uint8 [HEIGHT, WIDTH, 3] RGB, one for each frame."""
        encoder = av.CodecContext.create("libvpx", "w")
        decoder = av.CodecContext.create("vp8", "r")
        assert isinstance(encoder, VideoCodecContext) and isinstance(decoder, VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        encoder.time_base, encoder.framerate = Fraction(1, self.rate), Fraction(self.rate)
        encoder.bit_rate, encoder.gop_size, encoder.thread_count = self.bitrate, 3000, 1
        # The options of browsers and aiortc for calls.
        encoder.options = {
            "deadline": "realtime",
            "cpu-used": "-6",
            "noise-sensitivity": "4",
            "static-thresh": "1",
            "lag-in-frames": "0",
            "minrate": str(self.bitrate),
            "maxrate": str(self.bitrate),
            "bufsize": str(self.bitrate),
        }
        for number, pixels in enumerate(self._expose(scenes)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, self.rate)
            for packet in encoder.encode(frame):
                yield from decoder.decode(packet)

    def _expose(self, scenes: Iterable[Image]) -> Iterator[Image]:
        random = np.random.default_rng(self.seed)
        # Each frame's noise is a random crop of one field: generating it anew is slow.
        field = random.normal(0, self.noise, (HEIGHT + 128, WIDTH + 128, 3)).astype(np.float32)
        phase = random.uniform(0, 2 * np.pi)
        offset = np.zeros(2)
        for number, scene in enumerate(scenes):
            offset = 0.9 * offset + random.normal(0, self.shake * np.sqrt(1 - 0.9**2), 2)
            seconds = number / self.rate
            exposure = 1 + self.flicker * np.sin(phase + 2 * np.pi * _FLICKER_HZ * seconds)
            top, left = random.integers(0, 128, 2)
            noise = field[top : top + HEIGHT, left : left + WIDTH]
            exposed = _shift(scene, offset).astype(np.float32) * np.float32(exposure) + noise
            yield np.clip(exposed, 0, 255).astype(np.uint8)


def _shift(scene: Image, offset: NDArray[np.float64]) -> Image:
    """Shift an image by x and y pixels, slightly enlarged so that no edge is empty."""
    if not offset.any():
        return scene
    zoom = 1 + 2 * _MARGIN / WIDTH
    centre = np.array([WIDTH, HEIGHT]) * (1 - zoom) / 2
    x, y = centre + np.clip(offset, -_MARGIN / 2, _MARGIN / 2)
    matrix = np.array([[zoom, 0, x], [0, zoom, y]])
    shifted = cv2.warpAffine(scene, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(shifted, np.uint8)
