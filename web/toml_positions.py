"""On which line of a TOML file each table and key stands; Python's parser does not tell."""

import re
from collections.abc import Iterator, Mapping

Position = tuple[str, ...]
"""The names of tables and key, from the outermost on."""

_SPACE = re.compile(r"(?:\s|#[^\n]*)*")
_PART = re.compile(
    r"""[ \t]*(?:(?P<bare>[A-Za-z0-9_-]+)|"(?P<basic>(?:[^"\\\n]|\\.)*)"|'(?P<literal>[^'\n]*)')"""
)
_DOT = re.compile(r"[ \t]*\.")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""+' + r"|'''(?:.|\n)*?'''+" + r'|"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*'",
    re.DOTALL,
)
_OTHER = re.compile(r"[^\s#\"'\[\]{}]+|[ \t]+")
_REST_OF_LINE = re.compile(r"[^\n]*")


def toml_positions(text: str) -> Mapping[Position, int]:
    """Find the lines, counted from 1, of a text that is known to be TOML (v1.0.0).

    What is inside an inline table or an array has the line of its key.
    """
    return dict(_Scanner(text).positions())


def line_of(positions: Mapping[Position, int], place: Position) -> int | None:
    """Say on which line something stands, or the innermost table or key around it."""
    while place:
        if place in positions:
            return positions[place]
        place = place[:-1]
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def positions(self) -> Iterator[tuple[Position, int]]:
        table: Position = ()
        while self._at < len(self._text):
            self._skip(_SPACE)
            if self._at >= len(self._text):
                return
            line = self._text.count("\n", 0, self._at) + 1
            if self._text[self._at] == "[":
                self._at += 2 if self._text.startswith("[[", self._at) else 1
                table = self._key()
                yield table, line
                self._skip(_REST_OF_LINE)
            else:
                yield (*table, *self._key()), line
                self._skip_value()

    def _key(self) -> Position:
        parts = []
        while part := _PART.match(self._text, self._at):
            self._at = part.end()
            parts.append(part["bare"] or part["basic"] or part["literal"] or "")
            if not self._skip(_DOT):
                break
        return tuple(parts)

    def _skip_value(self) -> None:
        """Go to the end of the line on which the value ends; brackets may hold many lines."""
        depth = 0
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == "\n" and depth == 0:
                return
            if character in "[{":
                depth += 1
            elif character in "]}":
                depth -= 1
            if not (self._skip(_STRING) or self._skip(_OTHER)):
                comment = character == "#"
                self._at += 0 if comment else 1
                if comment:
                    self._skip(_REST_OF_LINE)

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._text, self._at)
        if found is None or found.end() == self._at:
            return False
        self._at = found.end()
        return True
