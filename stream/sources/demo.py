"""A moving picture that needs neither camera nor network.

Four photographs that scikit-image ships, each panned and zoomed over for some seconds, with a cut
to the next. Their licences, as `skimage.data` states them:

- `astronaut.png`: Eileen Collins, by NASA; no known copyright restrictions, public domain.
- `chelsea.png`: Chelsea the cat, by Stefan van der Walt; CC0.
- `coffee.png`: a cup of espresso, courtesy of Pikolo Espresso Bar, by Rachel Michetti; CC0.
- `rocket.jpg`: DSCOVR on a Falcon 9, by SpaceX, released into the public domain.
"""

import functools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import av
import cv2
import numpy as np

from stream.sources.source import Source, SourceError, SourceFrame
from stream.video import Plane, blank, planes

SHOT_S = 6.0
"""How long each photograph is on, in seconds."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a photograph that fills the frame.

    Attributes:
        zoom: 1 for as much of the photograph as the frame's shape allows, 2 for half of that.
        x: where the window lies, from 0 (at the left edge) to 1 (at the right edge).
        y: the same from the top to the bottom.
    """

    zoom: float
    x: float
    y: float

    def place(self, width: int, height: int, aspect: float) -> tuple[float, float, float]:
        """Lay the window into a photograph of `width` x `height` pixels.

        Args:
            width: of the photograph.
            height: of the photograph.
            aspect: width by height of the window.

        Returns:
            The window's left and top edge and its width, in pixels.
        """
        size = min(width, height * aspect) / self.zoom
        return self.x * (width - size), self.y * (height - size / aspect), size


@dataclass(frozen=True, slots=True)
class Shot:
    """A photograph and the windows that the camera moves between."""

    file: str
    first: Window
    last: Window


SHOTS = (
    Shot("astronaut.png", Window(1.0, 0.0, 0.1), Window(1.3, 0.3, 0.05)),
    Shot("chelsea.png", Window(1.25, 0.1, 0.6), Window(1.0, 0.9, 0.5)),
    Shot("coffee.png", Window(1.0, 0.0, 0.5), Window(1.3, 0.55, 0.3)),
    Shot("rocket.jpg", Window(1.3, 0.6, 1.0), Window(1.0, 0.4, 0.5)),
)


class DemoSource(Source):
    """The demonstration clip, endless and paced by the clock."""

    live = True
    name = "demo"

    def __init__(self, width: int = 640, height: int = 480, rate: int = 25) -> None:
        """Load the photographs.

        Args:
            width: of the frames, in pixels.
            height: of the frames, in pixels.
            rate: in frames a second.

        Raises:
            SourceError: scikit-image, whose photographs these are, is not installed.
        """
        self._width = width
        self._height = height
        self._rate = rate
        self._photographs = _photographs(width, height)
        self._closed = threading.Event()

    def picture(self, position_s: float) -> av.VideoFrame:
        """Draw the clip's picture at an instant; the same instant gives the same picture.

        Args:
            position_s: seconds since the clip's start; it begins anew when all shots were on.

        Returns:
            A yuv420p frame in ITU-R BT.601 video range, without timestamps.
        """
        number, time_in_shot = divmod(position_s, SHOT_S)
        index = int(number) % len(SHOTS)
        shot, photograph = SHOTS[index], self._photographs[index]
        luma_height, luma_width = photograph[0].shape
        aspect = self._width / self._height
        first = np.array(shot.first.place(luma_width, luma_height, aspect))
        last = np.array(shot.last.place(luma_width, luma_height, aspect))
        left, top, size = first + (last - first) * (time_in_shot / SHOT_S)
        frame = blank(self._width, self._height)
        for subsampling, source, target in zip((1, 2, 2), photograph, planes(frame), strict=True):
            _fill(target, source, left / subsampling, top / subsampling, size / self._width)
        return frame

    def frames(self) -> Iterator[SourceFrame]:
        """Give each frame when it is due; those that nobody waited for are left out."""
        started, started_unix = time.monotonic(), time.time()
        index = 0
        while True:
            due = started + index / self._rate
            if self._closed.wait(max(0.0, due - time.monotonic())):
                return
            index = max(index, int((time.monotonic() - started) * self._rate))
            position_s = index / self._rate
            image = self.picture(position_s)
            image.pts, image.time_base = index, Fraction(1, self._rate)
            yield SourceFrame(image, position_s, started_unix + position_s)
            index += 1

    def close(self) -> None:
        """End `frames`."""
        self._closed.set()


def _fill(target: Plane, source: Plane, left: float, top: float, scale: float) -> None:
    """Draw a window of one plane over the whole of another.

    Args:
        target: uint8 [height, width], written.
        source: uint8, the plane of the photograph.
        left: of the window, in samples of the source, as is `top`.
        top: of the window.
        scale: samples of the source for each of the target.
    """
    # Sample centres lie half a sample inside; the window's edges, not its centres, are aligned.
    inset = 0.5 * scale - 0.5
    to_source = np.array([[scale, 0.0, left + inset], [0.0, scale, top + inset]])
    height, width = target.shape
    target[:] = cv2.warpAffine(
        source,
        to_source,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


@functools.lru_cache(maxsize=2)
def _photographs(width: int, height: int) -> tuple[tuple[Plane, Plane, Plane], ...]:
    """Load the photographs as planes, for frames of a size."""
    return tuple(_photograph(shot.file, width, height) for shot in SHOTS)


def _photograph(file: str, width: int, height: int) -> tuple[Plane, Plane, Plane]:
    """Load one photograph, scaled so that its widest window has the size of the frame.

    No window then ever shrinks it, so linear interpolation does not alias.
    """
    pixels = cv2.imread(str(_folder() / file))
    if pixels is None:
        raise SourceError(
            f"scikit-image's photograph {file} is missing: install scikit-image again"
        )
    scale = max(width / pixels.shape[1], height / pixels.shape[0])
    # Chroma is halved: even sizes keep it aligned.
    even_width, even_height = (2 * max(1, round(side * scale / 2)) for side in pixels.shape[1::-1])
    pixels = cv2.resize(pixels, (even_width, even_height), interpolation=cv2.INTER_CUBIC)
    stacked = cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_I420).reshape(-1).astype(np.uint8)
    y, u, v = np.split(stacked, [even_width * even_height, even_width * even_height * 5 // 4])
    half = (even_height // 2, even_width // 2)
    return y.reshape(even_height, even_width), u.reshape(half), v.reshape(half)


def _folder() -> Path:
    # Found without being imported: the package takes a second to load.
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise SourceError("the demo needs scikit-image's photographs: pip install scikit-image")
    return Path(spec.origin).parent / "data"
