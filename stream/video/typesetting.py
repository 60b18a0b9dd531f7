"""Typesetting: breaks a text into balanced lines that fit a width and a height."""

import functools
import math
from dataclasses import dataclass

from PIL import ImageFont

ELLIPSIS = "…"

_SIZE_FACTORS = (1.0, 0.9, 0.8)
"""Font sizes to try before a text is truncated, as factors of the requested size."""

_MAX_CHARACTERS = 600
"""More than fits on any frame; the rest is not measured."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text in lines, and its font."""

    lines: tuple[str, ...]
    font: ImageFont.FreeTypeFont

    @property
    def line_height(self) -> int:
        """Distance between two baselines, in pixels."""
        return sum(self.font.getmetrics())

    @property
    def height(self) -> int:
        """Height of all lines, in pixels."""
        return self.line_height * len(self.lines)


def typeset(text: str, width: int, height: int, size: int, max_lines: int) -> Paragraph:
    """Break a text into lines of about equal length.

    A text that needs too many lines is set up to a fifth smaller, and then truncated with an
    ellipsis. A word that is wider than a line is broken.

    Args:
        text: The text; runs of white space become one space, control characters a space.
        width: Maximum width of a line, in pixels.
        height: Maximum height of all lines, in pixels; a single line may exceed it.
        size: Font size, in pixels.
        max_lines: Maximum number of lines.

    Returns:
        The lines; none if there is nothing to print, or not even a letter fits the width.
    """
    printable = "".join(character if character.isprintable() else " " for character in text)
    words = " ".join(printable.split())[: _MAX_CHARACTERS + 1].split()
    is_complete = sum(map(len, words)) + len(words) - 1 <= _MAX_CHARACTERS
    for factor in _SIZE_FACTORS:
        font = _font(max(1, round(size * factor)))
        line_limit = max(1, min(max_lines, height // sum(font.getmetrics())))
        ruler = _Ruler(font)
        lines = _break(words, ruler, width)
        if len(lines) <= line_limit and is_complete:
            return Paragraph(tuple(_balance(lines, ruler, width)), font)
    return Paragraph(tuple(_truncate(lines[:line_limit], ruler, width)), font)


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType; install it from a wheel")
    return font


class _Ruler:
    """Measures lines, each word only once."""

    def __init__(self, font: ImageFont.FreeTypeFont) -> None:
        self._measure = functools.cache(font.getlength)

    def __call__(self, line: str) -> float:
        words = line.split(" ")
        return sum(map(self._measure, words)) + (len(words) - 1) * self._measure(" ")


def _break(words: list[str], ruler: _Ruler, width: float) -> list[str]:
    """Break words into lines greedily."""
    lines: list[str] = []
    line = ""
    for word in words:
        longer = f"{line} {word}" if line else word
        if ruler(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        *full, line = _break_word(word, ruler, width)
        lines += full
    return [*lines, line] if line else lines


def _break_word(word: str, ruler: _Ruler, width: float) -> list[str]:
    """Break a word into pieces that fit; letters wider than a line are dropped."""
    pieces = [""]
    for letter in word:
        if ruler(pieces[-1] + letter) <= width:
            pieces[-1] += letter
        elif ruler(letter) <= width:
            pieces.append(letter)
    return pieces


def _balance(lines: list[str], ruler: _Ruler, width: int) -> list[str]:
    """Break the text again at the narrowest width that needs no more lines."""
    if len(lines) < 2:
        return lines
    words = " ".join(lines).split(" ")
    narrow, wide = math.ceil(max(width / 2, *map(ruler, words))), width
    while narrow < wide:
        middle = (narrow + wide) // 2
        if len(_break(words, ruler, middle)) <= len(lines):
            wide = middle
        else:
            narrow = middle + 1
    return _break(words, ruler, wide)


def _truncate(lines: list[str], ruler: _Ruler, width: int) -> list[str]:
    """End the last line with an ellipsis, after a whole word if there are several."""
    *kept, last = lines
    while last and ruler(last + ELLIPSIS) > width:
        last = last.rpartition(" ")[0] or last[:-1]
    return [*kept, last + ELLIPSIS] if last else kept
