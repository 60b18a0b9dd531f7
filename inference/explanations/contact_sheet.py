"""The colours of maps: what a value from 0 to 1 looks like over a picture.

The colours are those of "viridis" by Smith, van der Walt and Firing (matplotlib 1.5, 2015; CC0), as
on the page (`web/static/ramp.js`): lightness grows from dark purple to yellow, so that the
colour-blind read it too, and so does paper. Opacity grows as well, so that what mattered little is
seen as it is.

A map over its picture.

A sheet of small pictures in rows, each with a title and a note, under a heading.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from inference.explanations.map import Map, pooled

LEVELS: Final = 256

ANCHORS: Final = (
    0x440154,
    0x472D7B,
    0x3B528B,
    0x2C728E,
    0x21918C,
    0x28AE80,
    0x5EC962,
    0xADDC30,
    0xFDE725,
)
"""0xRRGGBB, from 0 to 1 at even distances; colours between them are mixed."""

MOST_OPAQUE: Final = 0.74
"""Opacity at 1: the picture is still to be recognised."""

OPACITIES: Final = (MOST_OPAQUE * np.linspace(0, 1, LEVELS) ** 0.7).astype(np.float32)
"""How much of the picture a value covers, float32 [LEVELS] in 0..1."""

_WIDTH = 1280

_MARGIN = 32

_GAP = 20

_TEXT_GAP = 8

_BACKGROUND, _INK, _GREY = (255, 255, 255), (24, 24, 27), (95, 95, 102)

_HEADING, _NOTE, _TITLE = 30, 17, 22

_TALLEST = 420
"""Of a picture on the sheet, in pixels."""

_BAR = (320, 16)


def _ramp() -> NDArray[np.uint8]:
    anchors = np.array([[anchor >> shift & 0xFF for shift in (16, 8, 0)] for anchor in ANCHORS])
    places = np.linspace(0, 1, len(ANCHORS))
    values = np.linspace(0, 1, LEVELS)
    mixed = [np.interp(values, places, channel) for channel in anchors.T]
    return np.asarray(np.rint(np.stack(mixed, axis=-1)), np.uint8)


COLOURS: Final = _ramp()
"""sRGB of each value, uint8 [LEVELS, 3]: value v has the colour `COLOURS[round(255 * v)]`."""


def paint(picture: NDArray[np.uint8], explanation: Map) -> NDArray[np.uint8]:
    """Colour a picture by a map, whose peak has the last colour of the ramp.

    Args:
        picture: RGB, uint8 [H, W, 3].
        explanation: Of any number of cells; drawn smoothly, and one that is finer as `to_json` has
            it: single pixels are not to be seen. One of zeros leaves the picture as it is.

    Returns:
        uint8 [H, W, 3].
    """
    levels = levels_of(explanation, picture.shape[0], picture.shape[1])
    opacity = OPACITIES[levels][..., None]
    mixed = picture * (1 - opacity) + COLOURS[levels] * opacity
    return np.rint(mixed).astype(np.uint8)


def levels_of(explanation: Map, height: int, width: int) -> NDArray[np.uint8]:
    """Resize a map smoothly, from 0 to `LEVELS` - 1 at its peak: [height, width]."""
    values = pooled(explanation.values)
    peak = float(values.max())
    if peak <= 0:
        return np.zeros((height, width), np.uint8)
    shrinks = values.shape[0] > height or values.shape[1] > width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    # Cubic curves swing beyond the values that they go through.
    fine = np.clip(cv2.resize(values / peak, (width, height), interpolation=method), 0, 1)
    return np.rint(fine * (LEVELS - 1)).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One picture of a sheet."""

    picture: NDArray[np.uint8]
    """RGB, uint8 [H, W, 3]; all pictures of a sheet have one shape."""
    title: str
    note: str


def draw_sheet(
    heading: str, notes: Sequence[str], tiles: Sequence[Tile], unit: str | None
) -> Image.Image:
    """Lay out a sheet.

    Args:
        heading: A line or more, the largest.
        notes: Paragraphs below it.
        tiles: One at least.
        unit: Of the maps in the pictures, for the legend; None for pictures without maps.

    Returns:
        An RGB picture, 1280 pixels wide.
    """
    room = _WIDTH - 2 * _MARGIN
    columns = _columns(tiles[0].picture, len(tiles))
    width = (room - (columns - 1) * _GAP) // columns
    height = round(width * tiles[0].picture.shape[0] / tiles[0].picture.shape[1])
    if height > _TALLEST:
        width, height = max(1, round(width * _TALLEST / height)), _TALLEST
    texts = [(line, _HEADING, _INK) for line in _broken(heading, _HEADING, room)]
    texts += [(line, _NOTE, _GREY) for note in notes for line in _broken(note, _NOTE, room)]
    step = width + _GAP, height + _line(_TITLE) + _line(_NOTE) + _TEXT_GAP + _GAP
    top = _MARGIN + sum(_line(size) for _, size, _ in texts) + _GAP
    legend = top + -(-len(tiles) // columns) * step[1]
    below = _BAR[1] + 2 * _line(_NOTE) if unit is not None else 0
    sheet = Image.new("RGB", (_WIDTH, legend + below + _MARGIN), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    row = _MARGIN
    for line, size, colour in texts:
        draw.text((_MARGIN, row), line, colour, _font(size))
        row += _line(size)
    for index, tile in enumerate(tiles):
        place = _MARGIN + index % columns * step[0], top + index // columns * step[1]
        _draw_tile(sheet, tile, place, (width, height))
    if unit is not None:
        _draw_legend(sheet, unit, legend)
    return sheet


def _columns(picture: NDArray[np.uint8], tiles: int) -> int:
    """As many as make the pictures about a quarter of the sheet wide, tall ones narrower."""
    aspect = picture.shape[1] / picture.shape[0]
    return min(tiles, 3 if aspect > 2 else 4 if aspect > 0.9 else 5)


def _draw_tile(
    sheet: Image.Image, tile: Tile, place: tuple[int, int], size: tuple[int, int]
) -> None:
    left, top = place
    picture = Image.fromarray(tile.picture).resize(size, Image.Resampling.LANCZOS)
    sheet.paste(picture, place)
    draw = ImageDraw.Draw(sheet)
    top += size[1] + _TEXT_GAP
    draw.text((left, top), _cut(tile.title, _TITLE, size[0]), _INK, _font(_TITLE))
    note = _cut(tile.note, _NOTE, size[0])
    draw.text((left, top + _line(_TITLE)), note, _GREY, _font(_NOTE))


def _draw_legend(sheet: Image.Image, unit: str, top: int) -> None:
    """The ramp as it is over a grey picture, with what its ends and its middle stand for."""
    width, height = _BAR
    levels = np.linspace(0, len(COLOURS) - 1, width).round().astype(int)
    opacity = OPACITIES[levels][:, None] / MOST_OPAQUE
    row = np.array(_BACKGROUND) * (1 - opacity) + COLOURS[levels] * opacity
    bar = np.broadcast_to(np.rint(row).astype(np.uint8), (height, width, 3))
    sheet.paste(Image.fromarray(np.ascontiguousarray(bar)), (_MARGIN, top))
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((_MARGIN - 1, top - 1, _MARGIN + width, top + height), outline=_GREY)
    for part, text, anchor in ((0, "0", "la"), (0.5, "half", "ma"), (1, "peak", "ra")):
        at = (_MARGIN + part * (width - 1), top + height + 4)
        draw.text(at, text, _GREY, _font(_NOTE), anchor=anchor)
    meaning = f"of each map, by itself. Its unit: {unit}"
    draw.text((_MARGIN + width + _GAP, top + height + 4), meaning, _GREY, _font(_NOTE))


def _broken(text: str, size: int, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _font(size).getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _cut(text: str, size: int, width: int) -> str:
    if _font(size).getlength(text) <= width:
        return text
    while text and _font(size).getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _line(size: int) -> int:
    return sum(_font(size).getmetrics())


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType: install Pillow from its wheel")
    return font
