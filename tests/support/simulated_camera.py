"""What a webcam makes of what it is pointed at: noise, flicker, a shaking hand, and VP8."""

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

WIDTH, HEIGHT = 640, 480


PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
"""Of scikit-image: a woman, a cat, a cup, a rocket, a garage."""


_MARGIN = 24


_FLICKER_HZ = 0.93
"""What is left of the mains' frequency at a rate of frames near it."""


Picture = NDArray[np.uint8]


def photograph(file: str) -> Picture:
    """Read one of `PHOTOGRAPHS`, RGB, uint8 [HEIGHT, WIDTH, 3]."""
    spec = find_spec("skimage")
    assert spec and spec.origin
    pixels = cv2.imread(str(Path(spec.origin).parent / "data" / file))
    assert pixels is not None
    scaled = cv2.resize(pixels, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(scaled[..., ::-1])


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera, and the codec that carries its video."""

    noise: float = 4.0
    """Of the sensor: standard deviation, in grey levels."""
    flicker: float = 0.02
    """Of the exposure: the largest deviation, relative."""
    shake: float = 0.0
    """Of the hand: standard deviation, in pixels."""
    rate: int = 10
    """Pictures a second."""
    bitrate: int = 500_000
    seed: int = 0

    def film(self, scenes: Iterable[Picture]) -> Iterator[av.VideoFrame]:
        """Film what is before the camera, a scene [HEIGHT, WIDTH, 3] for each picture."""
        encoder = av.CodecContext.create("libvpx", "w")
        decoder = av.CodecContext.create("vp8", "r")
        assert isinstance(encoder, VideoCodecContext) and isinstance(decoder, VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        encoder.time_base, encoder.framerate = Fraction(1, self.rate), Fraction(self.rate)
        encoder.bit_rate, encoder.gop_size, encoder.thread_count = self.bitrate, 3000, 1
        # As browsers and aiortc encode calls.
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

    def _expose(self, scenes: Iterable[Picture]) -> Iterator[Picture]:
        random = np.random.default_rng(self.seed)
        # Cut from one field at another place each time, since to draw noise anew takes long.
        field = random.normal(0, self.noise, (HEIGHT + 128, WIDTH + 128, 3)).astype(np.float32)
        phase = random.uniform(0, 2 * np.pi)
        hand = np.zeros(2)
        for number, scene in enumerate(scenes):
            hand = 0.9 * hand + random.normal(0, self.shake * np.sqrt(1 - 0.9**2), 2)
            seconds = number / self.rate
            exposure = 1 + self.flicker * np.sin(phase + 2 * np.pi * _FLICKER_HZ * seconds)
            top, left = random.integers(0, 128, 2)
            noise = field[top : top + HEIGHT, left : left + WIDTH]
            seen = _shift(scene, hand).astype(np.float32) * np.float32(exposure) + noise
            yield np.clip(seen, 0, 255).astype(np.uint8)


def _shift(scene: Picture, by: NDArray[np.float64]) -> Picture:
    """Shift a picture by some pixels, with nothing empty at its edges."""
    if not by.any():
        return scene
    zoom = 1 + 2 * _MARGIN / WIDTH
    middle = np.array([WIDTH, HEIGHT]) * (1 - zoom) / 2 + np.clip(by, -_MARGIN / 2, _MARGIN / 2)
    move = np.array([[zoom, 0, middle[0]], [0, zoom, middle[1]]])
    shifted = cv2.warpAffine(scene, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(shifted, np.uint8)
