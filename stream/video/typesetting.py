"""Setting a text in lines that fit a width."""

import functools
import math
from dataclasses import dataclass

from PIL import ImageFont

ELLIPSIS = "…"


SHRINKING = (1.0, 0.9, 0.8)
"""The sizes tried, as parts of the one asked for, before a text is cut."""


MAX_CHARACTERS = 600
"""More than fits on any frame; what lies beyond is not even measured."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text in lines, none wider than asked for."""

    lines: tuple[str, ...]
    font: ImageFont.FreeTypeFont

    @property
    def line_height(self) -> int:
        """From one baseline to the next, in pixels."""
        return sum(self.font.getmetrics())

    @property
    def height(self) -> int:
        """In pixels."""
        return self.line_height * len(self.lines)


def typeset(text: str, width: int, height: int, size: int, max_lines: int) -> Paragraph:
    """Set a text as large as it fits, in lines of about one length.

    A text that takes too many lines is set a little smaller, and then cut, with an ellipsis. A
    word that is wider than a line is broken.

    Args:
        text: to set; runs of white space count as one space, and control characters as none.
        width: that no line exceeds, in pixels.
        height: that the lines together do not exceed, in pixels, unless a single one does.
        size: of the type, in pixels.
        max_lines: how many lines there may be.

    Returns:
        The lines; none where there is nothing to print, or not a letter fits into the width.
    """
    printable = "".join(character if character.isprintable() else " " for character in text)
    words = " ".join(printable.split())[: MAX_CHARACTERS + 1].split()
    whole = sum(map(len, words)) + len(words) - 1 <= MAX_CHARACTERS
    for part in SHRINKING:
        font = _font(max(1, round(size * part)))
        most = max(1, min(max_lines, height // sum(font.getmetrics())))
        ruler = _Ruler(font)
        lines = _break(words, ruler, width)
        if len(lines) <= most and whole:
            return Paragraph(tuple(_balance(lines, ruler, width)), font)
    return Paragraph(tuple(_cut(lines[:most], ruler, width)), font)


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType: install Pillow from its wheel")
    return font


class _Ruler:
    """Measures lines; each word is measured once."""

    def __init__(self, font: ImageFont.FreeTypeFont) -> None:
        self._measure = functools.cache(font.getlength)

    def __call__(self, line: str) -> float:
        words = line.split(" ")
        return sum(map(self._measure, words)) + (len(words) - 1) * self._measure(" ")


def _break(words: list[str], ruler: _Ruler, width: float) -> list[str]:
    """Fill line after line, each as full as it gets."""
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
    """Cut a word into pieces that fit; a letter that does not fit by itself is left out."""
    pieces = [""]
    for letter in word:
        if ruler(pieces[-1] + letter) <= width:
            pieces[-1] += letter
        elif ruler(letter) <= width:
            pieces.append(letter)
    return pieces


def _balance(lines: list[str], ruler: _Ruler, width: int) -> list[str]:
    """Break the same text anew, at the narrowest width that takes no more lines."""
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


def _cut(lines: list[str], ruler: _Ruler, width: int) -> list[str]:
    """End the last line with an ellipsis, after a whole word where there are several."""
    *kept, last = lines
    while last and ruler(last + ELLIPSIS) > width:
        last = last.rpartition(" ")[0] or last[:-1]
    return [*kept, last + ELLIPSIS] if last else kept
