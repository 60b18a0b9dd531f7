"""The caption on the annotated video: white text on a dark band at the lower edge.

The text is drawn once per caption, as a layer for each of the Y, U and V planes. Each frame then
costs one multiplication and one addition per sample of the rows that the caption covers; the rest
of the frame is copied.
"""

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from stream.video.frame import Blend, blank_frame, convert_frame, yuv_planes
from stream.video.typesetting import Paragraph, typeset

Coverage = NDArray[np.float32]
"""Fraction of each sample that is covered, float32 [rows, width], 0..1."""

_MIN_SIDE = 32
"""Frames with a shorter side have no room for text and are left as they are."""

_MAX_LINES = 4
_MAX_NOTICE_LINES = 2

_MAX_CACHED = 2
"""Renderings kept: the current one, and the one before while frames still use it."""


@dataclass(frozen=True, slots=True)
class OverlayText:
    """Text on the annotated video."""

    text: str
    """The caption."""

    stale: bool = False
    """Whether the caption may no longer describe the scene; it is drawn in grey."""

    notice: str | None = None
    """A short line above the caption: about the stream, such as "Captions are paused", or about
    the caption, such as "Not sure. Possibly:"."""

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.text and not self.notice


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour in ITU-R BT.601 video range (Y in 16..235, U and V around 128)."""

    y: int
    u: int = 128
    v: int = 128


@dataclass(frozen=True, slots=True)
class Style:
    """Colours of a caption."""

    text: Colour
    band: Colour
    band_opacity: float


_FRESH = Style(text=Colour(235), band=Colour(16), band_opacity=0.7)
_STALE = Style(text=Colour(180), band=Colour(44), band_opacity=0.72)
_NOTICE = Colour(188, 58, 162)
"""Amber."""

_OUTLINE = Colour(16)
_OUTLINE_OPACITY = 0.75

_TEXT_GAMMA = 0.8
"""Exponent applied to the coverage of text: blending happens in gamma-coded values, where light
text on a dark band comes out too thin."""

# Lengths as fractions of the caption's font size.
_NOTICE_SIZE = 0.74
_MARGIN = 0.7
_PADDING = 0.45
_GAP = 0.2
_STROKE = 0.06

_MIN_DRAWN_SIZE = 64
"""Minimum font size for drawing, in pixels; the drawing is then reduced to the frame's size."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A colour and its coverage."""

    colour: Colour
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class Rendering:
    """A drawn caption: a layer for each plane, from row `top` (of Y) to the bottom."""

    top: int
    blends: tuple[Blend, Blend, Blend]


class CaptionOverlay:
    """Draws the captions of one stream: one thread may draw while another prepares."""

    def __init__(self) -> None:
        """Start without renderings."""
        self._renderings: OrderedDict[tuple[OverlayText, int, int], Rendering | None] = (
            OrderedDict()
        )
        self._lock = threading.Lock()

    def is_prepared(self, text: OverlayText, width: int, height: int) -> bool:
        """Return whether the text can be drawn on frames of this size at once."""
        return text.is_blank or (text, width, height) in self._renderings

    def prepare(self, text: OverlayText, width: int, height: int) -> None:
        """Render the text for frames of this size, which takes some milliseconds."""
        self._rendering(text, width, height)

    def top(self, text: OverlayText, width: int, height: int) -> float:
        """Return where the band begins on frames of this size.

        Returns:
            Fraction of the frame's height; 1 if nothing is drawn.
        """
        rendering = None if text.is_blank else self._rendering(text, width, height)
        return rendering.top / height if rendering else 1.0

    def draw(self, frame: av.VideoFrame, text: OverlayText) -> av.VideoFrame:
        """Return the frame with the text on a band at its lower edge.

        Args:
            frame: Of any size and pixel format; it is only read.
            text: What to draw.

        Returns:
            A new yuv420p frame with the same timestamps; the frame itself if there is nothing to
            draw or no room for it.
        """
        if text.is_blank:
            return frame
        rendering = self._rendering(text, frame.width, frame.height)
        if rendering is None:
            return frame
        source = convert_frame(frame, "yuv420p")
        drawn = blank_frame(source.width, source.height, like=source)
        tops = (rendering.top, rendering.top // 2, rendering.top // 2)
        for before, after, top, blend in zip(
            yuv_planes(source), yuv_planes(drawn), tops, rendering.blends, strict=True
        ):
            after[:top] = before[:top]
            blend.apply(before[top:], after[top:])
        return drawn

    def _rendering(self, text: OverlayText, width: int, height: int) -> Rendering | None:
        key = (text, width, height)
        with self._lock:
            if key in self._renderings:
                self._renderings.move_to_end(key)
                return self._renderings[key]
        rendering = _render(text, width, height)
        with self._lock:
            self._renderings[key] = rendering
            if len(self._renderings) > _MAX_CACHED:
                self._renderings.popitem(last=False)
        return rendering


def _render(overlay: OverlayText, width: int, height: int) -> Rendering | None:
    """Draw a text for frames of a size; None if nothing is visible."""
    if min(width, height) < _MIN_SIDE:
        return None
    size = _font_size(width, height)
    # The text is drawn this many times larger than on the frame: set in whole pixels of the frame,
    # small letters would be spaced visibly unevenly.
    scale = math.ceil(_MIN_DRAWN_SIZE / size)
    line_width = scale * (width - 2 * round(_MARGIN * size))
    drawn_height = scale * height
    notice_size = round(scale * size * _NOTICE_SIZE)
    notice = typeset(
        overlay.notice or "", line_width, drawn_height // 4, notice_size, _MAX_NOTICE_LINES
    )
    text = typeset(
        overlay.text, line_width, drawn_height // 2 - notice.height, scale * size, _MAX_LINES
    )
    if not notice.lines and not text.lines:
        return None
    padding = scale * round(_PADDING * size)
    gap = scale * round(_GAP * size) if notice.lines and text.lines else 0
    text_row = padding + notice.height + gap
    rows = math.ceil((text_row + text.height + padding) / scale)
    # Even, because each row of U and V belongs to two rows of Y.
    top = max(0, height - rows) // 2 * 2

    style = _STALE if overlay.stale else _FRESH
    shape = (height - top, width)
    layers = [Layer(style.band, np.full(shape, style.band_opacity, np.float32))]
    for paragraph, row, colour in ((notice, padding, _NOTICE), (text, text_row, style.text)):
        if paragraph.lines:
            outline = _coverage(paragraph, shape, scale, row, _STROKE * scale * size)
            layers.append(Layer(_OUTLINE, _OUTLINE_OPACITY * outline))
            letters = _coverage(paragraph, shape, scale, row)
            layers.append(Layer(colour, letters**_TEXT_GAMMA))
    halved = [Layer(layer.colour, _halve(layer.coverage)) for layer in layers]
    return Rendering(
        top,
        (
            _flatten([(layer.coverage, layer.colour.y) for layer in layers]),
            _flatten([(layer.coverage, layer.colour.u) for layer in halved]),
            _flatten([(layer.coverage, layer.colour.v) for layer in halved]),
        ),
    )


def _font_size(width: int, height: int) -> int:
    """Choose the font size, in pixels: about a twentieth of the shorter side."""
    shorter = min(width, height)
    return round(min(max(11, 3 + 0.046 * shorter), 0.25 * shorter))


def _coverage(
    paragraph: Paragraph, shape: tuple[int, int], scale: int, row: int, stroke: float = 0
) -> Coverage:
    """Draw centred lines.

    Args:
        paragraph: The lines, `scale` times as large as in the result.
        shape: Height and width of the result.
        scale: How many times larger than the result the drawing is.
        row: Top of the lines, in rows of the drawing.
        stroke: By how much the letters are thickened on all sides, in pixels of the drawing.
    """
    height, width = (scale * side for side in shape)
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    ascent, _ = paragraph.font.getmetrics()
    for number, line in enumerate(paragraph.lines):
        baseline = row + ascent + number * paragraph.line_height
        draw.text(
            (width / 2, baseline), line, 255, paragraph.font, anchor="ms", stroke_width=stroke
        )
    return np.asarray(canvas.reduce(scale), np.float32) * np.float32(1 / 255)


def _halve(coverage: Coverage) -> Coverage:
    """Average each 2 x 2 samples, as chroma subsampling does; an odd edge is repeated."""
    rows, columns = coverage.shape
    even = np.pad(coverage, ((0, rows % 2), (0, columns % 2)), mode="edge")
    return (even[::2, ::2] + even[::2, 1::2] + even[1::2, ::2] + even[1::2, 1::2]) * np.float32(
        0.25
    )


def _flatten(layers: list[tuple[Coverage, int]]) -> Blend:
    """Merge the layers of one plane, the first at the bottom, into one."""
    keep = np.ones_like(layers[0][0])
    add = np.zeros_like(keep)
    for coverage, value in layers:
        keep *= 1 - coverage
        add += coverage * (value - add)
    # 256 * 255 plus the rounding term stays below 2 ** 16.
    return Blend(
        keep=np.rint(256 * keep).astype(np.uint16),
        add=np.rint(256 * add + 128).astype(np.uint16),
        product=np.empty(keep.shape, np.uint16),
    )
