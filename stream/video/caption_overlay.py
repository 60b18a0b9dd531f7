"""The caption on the returned video.

The type is drawn once per caption, as what is to be mixed into the Y, U and V planes; each frame
then costs one multiplication and one addition per sample of the rows that the caption covers. The
rest of the picture is copied as it came.
"""

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from stream.video.frame import Mixture, blank, converted, planes
from stream.video.typesetting import Paragraph, typeset

Coverage = NDArray[np.float32]
"""How much of each sample something covers, float32 [rows, width] from 0 to 1."""


MIN_SIDE = 32
"""Pictures with a shorter side have no room for type, and stay without."""


MAX_LINES = 4


MAX_NOTICE_LINES = 2


CACHED = 2
"""Renderings kept: the present caption, and the one before while frames of both are around."""


@dataclass(frozen=True, slots=True)
class Subtitle:
    """What the returned video says."""

    text: str
    """The caption."""

    stale: bool = False
    """Whether the caption speaks of a scene that may have gone by."""

    notice: str | None = None
    """A short line above the caption: on the state of things, such as "Captions are paused", or on
    the caption itself, such as "Not sure. Perhaps:"."""


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour in ITU-R BT.601 video range (Y from 16 to 235, U and V around 128)."""

    y: int
    u: int = 128
    v: int = 128


@dataclass(frozen=True, slots=True)
class Style:
    """How a caption looks."""

    type: Colour
    band: Colour
    band_opacity: float


FRESH = Style(type=Colour(235), band=Colour(16), band_opacity=0.7)


STALE = Style(type=Colour(180), band=Colour(44), band_opacity=0.72)


NOTICE = Colour(188, 58, 162)  # amber


OUTLINE = Colour(16)


OUTLINE_OPACITY = 0.75


TYPE_GAMMA = 0.8
"""Gamma-coded values are mixed, in which light type on a dark band comes out too thin: samples that
it partly covers are given this power of their share."""


# Lengths, as parts of the size of the caption's type.
NOTICE_SIZE = 0.74


MARGIN = 0.7


PADDING = 0.45


GAP = 0.2


STROKE = 0.06


FINE_SIZE = 64
"""The least size that type is drawn in, in pixels, before it is reduced to that of the frame."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One colour, and how much of each sample it covers."""

    colour: Colour
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class Rendering:
    """A drawn caption: what is mixed into each plane, from its row `top` (of Y) to the bottom."""

    top: int
    mixtures: tuple[Mixture, Mixture, Mixture]


class CaptionOverlay:
    """Draws the captions of one stream: one thread draws, another may prepare meanwhile."""

    def __init__(self) -> None:
        """Start with nothing drawn."""
        self._renderings: OrderedDict[tuple[Subtitle, int, int], Rendering | None] = OrderedDict()
        self._lock = threading.Lock()

    def is_prepared(self, subtitle: Subtitle, width: int, height: int) -> bool:
        """Whether the caption can be drawn into frames of this size at once."""
        return (subtitle, width, height) in self._renderings

    def prepare(self, subtitle: Subtitle, width: int, height: int) -> None:
        """Typeset the caption for frames of this size, some milliseconds' work."""
        self._rendering(subtitle, width, height)

    def draw(self, frame: av.VideoFrame, subtitle: Subtitle) -> av.VideoFrame:
        """Give the frame with the caption on a band at its lower edge.

        Args:
            frame: of any size and pixel format; it is only read.
            subtitle: what to draw.

        Returns:
            A new yuv420p frame with the same timestamps; the frame itself where there is nothing
            to draw, or no room for it.
        """
        if not subtitle.text and not subtitle.notice:
            return frame
        rendering = self._rendering(subtitle, frame.width, frame.height)
        if rendering is None:
            return frame
        picture = converted(frame, "yuv420p")
        drawn = blank(picture.width, picture.height, like=picture)
        tops = (rendering.top, rendering.top // 2, rendering.top // 2)
        for source, target, top, mixture in zip(
            planes(picture), planes(drawn), tops, rendering.mixtures, strict=True
        ):
            target[:top] = source[:top]
            mixture.apply(source[top:], target[top:])
        return drawn

    def _rendering(self, subtitle: Subtitle, width: int, height: int) -> Rendering | None:
        key = (subtitle, width, height)
        with self._lock:
            if key in self._renderings:
                self._renderings.move_to_end(key)
                return self._renderings[key]
        rendering = _render(subtitle, width, height)
        with self._lock:
            self._renderings[key] = rendering
            if len(self._renderings) > CACHED:
                self._renderings.popitem(last=False)
        return rendering


def _render(subtitle: Subtitle, width: int, height: int) -> Rendering | None:
    """Draw a caption for frames of a size; None where there is nothing to see."""
    if min(width, height) < MIN_SIDE:
        return None
    size = _type_size(width, height)
    # Type is set and drawn this many times finer than the frame: set in whole pixels of the frame,
    # letters of a few pixels stand at visibly uneven distances.
    fine = math.ceil(FINE_SIZE / size)
    room = fine * (width - 2 * round(MARGIN * size))
    most = fine * height
    notice_size = round(fine * size * NOTICE_SIZE)
    notice = typeset(subtitle.notice or "", room, most // 4, notice_size, MAX_NOTICE_LINES)
    text = typeset(subtitle.text, room, most // 2 - notice.height, fine * size, MAX_LINES)
    if not notice.lines and not text.lines:
        return None
    padding = fine * round(PADDING * size)
    gap = fine * round(GAP * size) if notice.lines and text.lines else 0
    text_row = padding + notice.height + gap
    rows = math.ceil((text_row + text.height + padding) / fine)
    # An even top row keeps the chroma's rows, each of two rows of luma, in step.
    top = max(0, height - rows) // 2 * 2

    style = STALE if subtitle.stale else FRESH
    shape = (height - top, width)
    layers = [Layer(style.band, np.full(shape, style.band_opacity, np.float32))]
    for paragraph, row, colour in ((notice, padding, NOTICE), (text, text_row, style.type)):
        if paragraph.lines:
            outline = _coverage(paragraph, shape, fine, row, STROKE * fine * size)
            layers.append(Layer(OUTLINE, OUTLINE_OPACITY * outline))
            type_ = _coverage(paragraph, shape, fine, row)
            layers.append(Layer(colour, type_**TYPE_GAMMA))
    halved = [Layer(layer.colour, _halve(layer.coverage)) for layer in layers]
    return Rendering(
        top,
        (
            _mix([(layer.coverage, layer.colour.y) for layer in layers]),
            _mix([(layer.coverage, layer.colour.u) for layer in halved]),
            _mix([(layer.coverage, layer.colour.v) for layer in halved]),
        ),
    )


def _type_size(width: int, height: int) -> int:
    """Choose the size of the type, in pixels: about a twentieth of the shorter side."""
    shorter = min(width, height)
    return round(min(max(11, 3 + 0.046 * shorter), 0.25 * shorter))


def _coverage(
    paragraph: Paragraph, shape: tuple[int, int], fine: int, row: int, stroke: float = 0
) -> Coverage:
    """Draw centred lines.

    Args:
        paragraph: the lines, `fine` times as large as they shall be.
        shape: height and width of the result.
        fine: how many times finer than the result the drawing is.
        row: where the lines begin, in fine rows.
        stroke: how much thicker the letters are on all sides, in fine pixels.
    """
    height, width = (fine * side for side in shape)
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    ascent, _ = paragraph.font.getmetrics()
    for number, line in enumerate(paragraph.lines):
        baseline = row + ascent + number * paragraph.line_height
        draw.text(
            (width / 2, baseline), line, 255, paragraph.font, anchor="ms", stroke_width=stroke
        )
    return np.asarray(canvas.reduce(fine), np.float32) * np.float32(1 / 255)


def _halve(coverage: Coverage) -> Coverage:
    """Average each two by two samples, as chroma does; an odd edge counts twice."""
    rows, columns = coverage.shape
    even = np.pad(coverage, ((0, rows % 2), (0, columns % 2)), mode="edge")
    return (even[::2, ::2] + even[::2, 1::2] + even[1::2, ::2] + even[1::2, 1::2]) * np.float32(
        0.25
    )


def _mix(layers: list[tuple[Coverage, int]]) -> Mixture:
    """Lay layers over each other, the first at the bottom, in one plane's values."""
    keep = np.ones_like(layers[0][0])
    add = np.zeros_like(keep)
    for coverage, value in layers:
        keep *= 1 - coverage
        add += coverage * (value - add)
    # Rounding and 256 * 255 together stay below 2 ** 16.
    return Mixture(
        keep=np.rint(256 * keep).astype(np.uint16),
        add=np.rint(256 * add + 128).astype(np.uint16),
        product=np.empty(keep.shape, np.uint16),
    )
