"""Images of a report: embedded in the page as data URIs, and the image files beside it."""

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.captioning import Caption, Word, word_ranks
from inference.explanations import Check, Tile, draw_contact_sheet, paint
from inference.report.document import Contents, Explanation, MethodMaps, PaintedMaps
from inference.report.formatting import confidence_text, number, percent, verdict_text
from inference.webp import encode_webp

MAX_SIDE = 640
"""Pixels of the longer side of an image in the page, and of those that maps are painted on."""
MEDIUM_SIDE = 240
"""The same for the maps of a method."""
SMALL_SIDE = 180
"""The same for images of which there are many."""

_CHECK_NOTE = (
    "Below words: their confidence. Below objects also: whether the map holds up, the probability "
    "of the word as the next one, that after the top {share} of the map is blanked out, and the "
    "median after the same region elsewhere is. "
)
_SCORE_NOTE = (
    "Below each word: its rank by score, since its confidence is not calibrated. Below objects "
    "also: whether the map holds up, the factor by which the score changes after the top {share} "
    "of it is blanked out, and the median after the same region elsewhere is. "
)
_TEST_NOTE = (
    "p is the share of places in which the region stands out as much, corrected for the number of "
    "words. A map fails if the word is as unlikely with the region in most places elsewhere."
)
_TIMES = "\N{MULTIPLICATION SIGN}"
_DIMMED = 0.3
"""Lightness and contrast that remain outside highlighted regions."""


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """An encoded image."""

    src: str
    """Data URI of a WebP file."""
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class ReportImage:
    """An image of the page and its legend."""

    pixels: NDArray[np.uint8]
    """RGB, uint8 [H, W, 3]."""
    alt: str
    title: str = ""
    note: str = ""
    max_side: int = MAX_SIDE
    """Pixels of the longer side that a larger image is reduced to."""
    shape: tuple[int, int] | None = None
    """Height and width of the image that the captioner got as this square: it is shown in their
    ratio; None for the ratio of the pixels."""

    def embed(self) -> EmbeddedImage:
        """Encode the image, reduced to `max_side`."""
        pixels = self.pixels if self.shape is None else _stretch(self.pixels, self.shape)
        pixels = shrink(pixels, self.max_side)
        data = base64.b64encode(encode_webp(pixels)).decode()
        height, width = pixels.shape[:2]
        return EmbeddedImage(f"data:image/webp;base64,{data}", width, height)


def shrink(pixels: NDArray[np.uint8], max_side: int) -> NDArray[np.uint8]:
    """Reduce an image [H, W, 3] to a longer side of `max_side` pixels; smaller ones stay."""
    height, width = pixels.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _stretch(pixels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize an image [S, S, 3] to the ratio of a height and a width; the longer side is S."""
    longest = max(pixels.shape)
    height, width = (max(1, round(longest * each / max(shape))) for each in shape)
    resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def highlight_regions(
    pixels: NDArray[np.uint8], labels: NDArray[np.int32], highlighted: Sequence[int]
) -> NDArray[np.uint8]:
    """Outline regions of an image, and dim the rest to a dark grey.

    Args:
        pixels: RGB, uint8 [S, S, 3].
        labels: [S, S], the region of each pixel.
        highlighted: Labels of the regions.
    """
    inside = np.isin(labels, highlighted)
    grey = np.repeat(pixels.mean(axis=-1, keepdims=True) * _DIMMED, 3, axis=-1)
    drawn = np.where(inside[..., None], pixels, grey)
    padded = np.pad(inside, 1, mode="edge")
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    drawn[~inside & np.logical_or.reduce(neighbours)] = 255
    return np.asarray(drawn, np.uint8)


def painted_maps(contents: Contents) -> tuple[PaintedMaps, ...]:
    """Paint all maps of each method, with the check results of the method that was checked.

    As small as the page shows them: large ones take long.
    """
    small = replace(contents, image=shrink(contents.image, MEDIUM_SIDE))
    return tuple(
        _paint(small, each, each.explanations, checked=each.method.name == contents.checked_by)
        for each in contents.methods
        if each.explanations
    )


def word_sheet(contents: Contents) -> Image.Image | None:
    """Draw the maps of all words by the method that was checked; None without such maps."""
    for each in contents.methods:
        words = [found for found in each.explanations if found.target.kind == "word"]
        if words and each.method.name == contents.checked_by:
            return _draw_sheet(contents, _paint(contents, each, words, checked=True))
    return None


def method_sheets(contents: Contents) -> Iterator[tuple[MethodMaps, Image.Image]]:
    """Draw a sheet of all maps of each method that has some."""
    for each in contents.methods:
        if each.explanations:
            maps = _paint(contents, each, each.explanations, checked=False)
            yield each, _draw_sheet(contents, maps)


def _draw_sheet(contents: Contents, maps: PaintedMaps) -> Image.Image:
    tiles = [Tile(shrink(contents.image, MAX_SIDE), "Image", ""), *maps.tiles]
    notes = [f"{maps.title}: {maps.notes[0]}", *maps.notes[1:]]
    return draw_contact_sheet(_sheet_heading(contents.caption), notes, tiles, maps.unit)


def _sheet_heading(caption: Caption) -> str:
    confidence = f"({confidence_text(caption.confidence)})"
    if caption.fallback:
        return f"Not sure. Possibly: {caption.guess} {confidence}"
    return f"{caption.text} {confidence}"


def _paint(
    contents: Contents,
    maps: MethodMaps,
    explanations: Sequence[Explanation],
    *,
    checked: bool,
) -> PaintedMaps:
    image = shrink(contents.image, MAX_SIDE)
    tiles = tuple(
        Tile(paint(image, each.map), each.title, _note(contents, each, checked=checked))
        for each in explanations
    )
    notes = [maps.method.paper]
    if checked and contents.checks:
        share = percent(next(iter(contents.checks.values())).share)
        note = _SCORE_NOTE if contents.caption.confidence is None else _CHECK_NOTE
        notes.append(note.format(share=share) + _TEST_NOTE)
    notes += [f"{each.title}: {each.map.note}" for each in explanations if each.map.note]
    return PaintedMaps(maps.method.title, tuple(notes), maps.method.unit, tiles)


def _note(contents: Contents, explanation: Explanation, *, checked: bool) -> str:
    target = explanation.target
    if target.kind == "tag":
        (tag,) = (tag for tag in contents.caption.tags if tag.text == target.text)
        return f"object, {percent(tag.prob)}"
    if target.index is None:
        return "all words together"
    check = contents.checks.get(target.index) if checked else None
    if contents.caption.confidence is None:
        return _score_note(contents.words, target.index, check)
    confidence = contents.words[target.index].confidence
    known = "" if confidence is None else percent(confidence)
    if check is None:
        return known
    return f"{known}; {_check_note(check, percent, 1.0, f'next word {percent(check.prob)}, ')}"


def _score_note(words: Sequence[Word], index: int, check: Check | None) -> str:
    """Describe a word of a caption that is not calibrated, without its probability."""
    rank = word_ranks(words)[index]
    place = "" if rank is None else f"{rank} of {len(words)}"
    if check is None or not check.prob:
        return place
    return f"{place}; {_check_note(check, _factor, check.prob)}"


def _check_note(check: Check, text: Callable[[float], str], scale: float, before: str = "") -> str:
    """Describe a check, with probabilities divided by `scale`."""
    effects = f"{before}blanked {text(check.blanked / scale)}"
    if check.elsewhere is not None:
        effects += f", elsewhere {text(check.elsewhere[1] / scale)}"
    return f"{verdict_text(check)}: {effects}"


def _factor(value: float) -> str:
    return f"{_TIMES}{number(value)}"
