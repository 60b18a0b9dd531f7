"""Contact sheets: rows of images, each with a title and a note, under a heading."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from inference.explanations.heatmap import COLORMAP, MAX_OPACITY, OPACITIES

_WIDTH, _MARGIN, _GAP, _TEXT_GAP = 1280, 32, 20, 8
"""In pixels, as all sizes below."""

_MAX_IMAGE_HEIGHT = 420

_BAR = (320, 16)
"""Width and height of the legend's colour bar."""

_HEADING, _NOTE, _TITLE = 30, 17, 22
"""Font sizes."""

_BACKGROUND, _INK, _GREY = (255, 255, 255), (24, 24, 27), (95, 95, 102)


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """An image of a sheet."""

    image: NDArray[np.uint8]
    """RGB, uint8 [H, W, 3]; all images of a sheet have the same shape."""
    title: str
    note: str


def draw_contact_sheet(
    heading: str, notes: Sequence[str], tiles: Sequence[Tile], unit: str | None
) -> Image.Image:
    """Draw a contact sheet.

    Args:
        heading: The largest text, wrapped.
        notes: Paragraphs below it.
        tiles: At least one.
        unit: Unit of the maps in the images, for the legend; None for images without maps.

    Returns:
        An RGB image, 1280 pixels wide.
    """
    room = _WIDTH - 2 * _MARGIN
    columns = _columns(tiles[0].image, len(tiles))
    width = (room - (columns - 1) * _GAP) // columns
    height = round(width * tiles[0].image.shape[0] / tiles[0].image.shape[1])
    if height > _MAX_IMAGE_HEIGHT:
        width, height = max(1, round(width * _MAX_IMAGE_HEIGHT / height)), _MAX_IMAGE_HEIGHT
    texts = [(line, _HEADING, _INK) for line in _wrapped(heading, _HEADING, room)]
    texts += [(line, _NOTE, _GREY) for note in notes for line in _wrapped(note, _NOTE, room)]
    lines = max(len(_note_lines(tile, width)) for tile in tiles)
    step = width + _GAP, height + _line(_TITLE) + lines * _line(_NOTE) + _TEXT_GAP + _GAP
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


def _columns(image: NDArray[np.uint8], tiles: int) -> int:
    """Return the number of columns: 4 for usual aspect ratios, 3 for wide images, 5 for tall."""
    aspect = image.shape[1] / image.shape[0]
    return min(tiles, 3 if aspect > 2 else 4 if aspect > 0.9 else 5)


def _draw_tile(
    sheet: Image.Image, tile: Tile, place: tuple[int, int], size: tuple[int, int]
) -> None:
    left, top = place
    image = Image.fromarray(tile.image).resize(size, Image.Resampling.LANCZOS)
    sheet.paste(image, place)
    draw = ImageDraw.Draw(sheet)
    top += size[1] + _TEXT_GAP
    draw.text((left, top), _truncated(tile.title, _TITLE, size[0]), _INK, _font(_TITLE))
    top += _line(_TITLE)
    for line in _note_lines(tile, size[0]):
        draw.text((left, top), line, _GREY, _font(_NOTE))
        top += _line(_NOTE)


def _note_lines(tile: Tile, width: int) -> list[str]:
    """Wrap a note to two lines at most."""
    first, *rest = _wrapped(tile.note, _NOTE, width)
    return [_truncated(line, _NOTE, width) for line in (first, " ".join(rest)) if line] or [""]


def _draw_legend(sheet: Image.Image, unit: str, top: int) -> None:
    """Draw the colour map on the background, labelled at its ends and its middle."""
    width, height = _BAR
    levels = np.linspace(0, len(COLORMAP) - 1, width).round().astype(int)
    opacity = OPACITIES[levels][:, None] / MAX_OPACITY
    row = np.array(_BACKGROUND) * (1 - opacity) + COLORMAP[levels] * opacity
    bar = np.broadcast_to(np.rint(row).astype(np.uint8), (height, width, 3))
    sheet.paste(Image.fromarray(np.ascontiguousarray(bar)), (_MARGIN, top))
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((_MARGIN - 1, top - 1, _MARGIN + width, top + height), outline=_GREY)
    for part, text, anchor in ((0, "0", "la"), (0.5, "half", "ma"), (1, "peak", "ra")):
        at = (_MARGIN + part * (width - 1), top + height + 4)
        draw.text(at, text, _GREY, _font(_NOTE), anchor=anchor)
    scale = f"of each map on its own scale. Unit: {unit}"
    draw.text((_MARGIN + width + _GAP, top + height + 4), scale, _GREY, _font(_NOTE))


def _wrapped(text: str, size: int, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _font(size).getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _truncated(text: str, size: int, width: int) -> str:
    if _font(size).getlength(text) <= width:
        return text
    while text and _font(size).getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _line(size: int) -> int:
    """Return the line height of a font size."""
    return sum(_font(size).getmetrics())


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType; install the wheel of Pillow")
    return font
