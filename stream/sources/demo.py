"""The built-in demo clip: photographs through which a virtual camera moves. It needs no network.

The scenes are chosen by their captions: mostly right and sure, and the last one wrong. To choose
again for another captioner, run `python -m tests.bench.demo`, which prints the captions during each
scene, or those of parts of any photograph. `demo_photographs/CREDITS.md` and the page
(`web/static/index.html`) list the photographs; a photograph is at most 960 pixels wide and high.
"""

import functools
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from stream.clock import boottime
from stream.sources.source import Source, SourceError, SourceFrame
from stream.video import Plane, blank_frame, yuv_planes

PHOTOGRAPHS = Path(__file__).parent / "demo_photographs"
"""Folder of the photographs."""

SCENE_S = 8.0
"""Duration of each scene, in seconds: enough to point at a word and look at its map."""


@dataclass(frozen=True, slots=True)
class Crop:
    """The part of a photograph that fills the frame.

    Attributes:
        zoom: 1 for the largest crop of the frame's aspect ratio, 2 for one of half that width.
        x: Horizontal position, from 0 (at the left edge) to 1 (at the right edge).
        y: Vertical position, from 0 (at the top edge) to 1 (at the bottom edge).
    """

    zoom: float
    x: float
    y: float

    def to_pixels(self, width: int, height: int, aspect: float) -> tuple[float, float, float]:
        """Convert to pixels of a photograph of `width` x `height`.

        Args:
            width: Width of the photograph.
            height: Height of the photograph.
            aspect: Aspect ratio (width by height) of the crop.

        Returns:
            The crop's left edge, top edge and width, in pixels.
        """
        size = min(width, height * aspect) / self.zoom
        return self.x * (width - size), self.y * (height - size / aspect), size


@dataclass(frozen=True, slots=True)
class Scene:
    """A photograph, and the crops between which the virtual camera moves."""

    file: str
    """Name of the file in `PHOTOGRAPHS`."""
    first: Crop
    last: Crop
    note: str = ""
    """What viewers read with the captions of the scene, as a sentence without a full stop."""


SCENES = (
    Scene("skateboarder.webp", Crop(1.0, 0.5, 0.3), Crop(1.0, 0.5, 0.55)),
    Scene("surfer.webp", Crop(1.2, 0.25, 0.5), Crop(1.4, 0.5, 0.3)),
    Scene("tennis.webp", Crop(1.2, 0.0, 0.4), Crop(1.0, 1.0, 0.5)),
    Scene("cyclist.webp", Crop(1.0, 0.5, 0.4), Crop(1.0, 0.5, 0.55)),
    Scene("beach.webp", Crop(1.4, 1.0, 0.45), Crop(1.3, 0.5, 0.5)),
    Scene("plate.webp", Crop(1.2, 0.25, 0.0), Crop(1.2, 0.75, 0.0)),
    Scene(
        "horse.webp",
        Crop(1.0, 0.5, 0.2),
        Crop(1.2, 0.8, 0.5),
        note="A mistake, shown on purpose: this is the outline of a horse",
    ),
)
"""Mostly right and sure; the last is a mistake, and its note states so."""


class DemoSource(Source):
    """The demo clip: endless, played in real time, with a hard cut between two scenes."""

    live = True
    name = "demo"

    def __init__(self, width: int = 640, height: int = 480, rate: int = 25) -> None:
        """Load the photographs.

        Args:
            width: Width of the frames, in pixels.
            height: Height of the frames, in pixels.
            rate: Frames per second.

        Raises:
            SourceError: If a photograph is missing.
        """
        self._width = width
        self._height = height
        self._rate = rate
        self._photographs = _load_photographs(width, height)
        self._closed = threading.Event()

    def frame_at(self, position_s: float) -> av.VideoFrame:
        """Draw the frame at a position of the clip; deterministic.

        Args:
            position_s: Seconds since the start; the clip repeats after the last scene.

        Returns:
            A yuv420p frame in ITU-R BT.601 video range, without timestamps.
        """
        scene, photograph = _scene_at(position_s), self._photographs[_index_at(position_s)]
        luma_height, luma_width = photograph[0].shape
        aspect = self._width / self._height
        first = np.array(scene.first.to_pixels(luma_width, luma_height, aspect))
        last = np.array(scene.last.to_pixels(luma_width, luma_height, aspect))
        left, top, size = first + (last - first) * _progress(position_s % SCENE_S / SCENE_S)
        frame = blank_frame(self._width, self._height)
        for subsampling, source, target in zip(
            (1, 2, 2), photograph, yuv_planes(frame), strict=True
        ):
            _resample(target, source, left / subsampling, top / subsampling, size / self._width)
        return frame

    def frames(self) -> Iterator[SourceFrame]:
        """Yield each frame when it is due; frames that the reader was too slow for are skipped."""
        started = time.monotonic()
        index = 0
        while True:
            due = started + index / self._rate
            if self._closed.wait(max(0.0, due - time.monotonic())):
                return
            index = max(index, int((time.monotonic() - started) * self._rate))
            position_s = index / self._rate
            captured, captured_boottime = time.time(), boottime()
            image = self.frame_at(position_s)
            image.pts, image.time_base = index, Fraction(1, self._rate)
            note = _scene_at(position_s).note
            yield SourceFrame(image, position_s, captured, captured_boottime, note=note)
            index += 1

    def close(self) -> None:
        """End `frames`."""
        self._closed.set()


def _index_at(position_s: float) -> int:
    return int(position_s // SCENE_S) % len(SCENES)


def _scene_at(position_s: float) -> Scene:
    return SCENES[_index_at(position_s)]


def _progress(time_in_scene: float) -> float:
    """Map the time in a scene to the way covered, both in 0..1, with a gentle start and stop."""
    return 0.5 - 0.5 * math.cos(math.pi * time_in_scene)


def _resample(target: Plane, source: Plane, left: float, top: float, scale: float) -> None:
    """Scale a crop of one plane to the whole of another, with linear interpolation.

    Args:
        target: uint8 [height, width], overwritten.
        source: uint8 [height, width], a plane of the photograph.
        left: Left edge of the crop, in samples of the source.
        top: Top edge of the crop, in samples of the source.
        scale: Samples of the source per sample of the target.
    """
    # Aligns the edges of crop and target, not the centres of their first samples.
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
def _load_photographs(width: int, height: int) -> tuple[tuple[Plane, Plane, Plane], ...]:
    """Load the photographs as yuv420p planes, for frames of the given size."""
    return tuple(_load_photograph(scene.file, width, height) for scene in SCENES)


def _load_photograph(file: str, width: int, height: int) -> tuple[Plane, Plane, Plane]:
    """Load one photograph, scaled so that its widest crop has the size of the frame.

    No crop is then ever scaled down, so that linear interpolation does not alias.
    """
    pixels = cv2.imread(str(PHOTOGRAPHS / file))
    if pixels is None:
        raise SourceError(f"the demo's photograph {file} is missing; install Sightline again")
    scale = max(width / pixels.shape[1], height / pixels.shape[0])
    # Even sizes keep the subsampled chroma aligned.
    even_width, even_height = (2 * max(1, round(side * scale / 2)) for side in pixels.shape[1::-1])
    pixels = cv2.resize(pixels, (even_width, even_height), interpolation=cv2.INTER_CUBIC)
    stacked = cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_I420).reshape(-1).astype(np.uint8)
    y, u, v = np.split(stacked, [even_width * even_height, even_width * even_height * 5 // 4])
    half = (even_height // 2, even_width // 2)
    return y.reshape(even_height, even_width), u.reshape(half), v.reshape(half)
