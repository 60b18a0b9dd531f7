"""What is wrong with the settings, in words, with the place to correct.

On which line of a TOML file each table and key stands; Python's parser does not tell.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

_MOST = 10

_PREFIX, _NESTED = "SIGHTLINE_", "__"

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


def describe(
    problem: ValidationError,
    model: type[BaseModel],
    file: Path | None,
    text: str,
    overrides: Mapping[str, Any],
) -> str:
    """Name each mistake, where it was made, and what would do instead; values are not repeated.

    Args:
        problem: What the model says.
        model: Of the settings.
        file: The configuration, or None.
        text: What stands in it.
        overrides: What the command line said, which goes before all else.
    """
    positions = toml_positions(text)
    told = []
    for mistake in problem.errors(include_url=False, include_input=False)[:_MOST]:
        place = tuple(str(part) for part in mistake["loc"])
        origin = _elsewhere(place, overrides)
        if origin is None and file and (line := line_of(positions, place)):
            origin = f"{file}, line {line}"
        name = ".".join(place)
        reason = mistake["msg"].removeprefix("Value error, ")
        if mistake["type"] == "extra_forbidden":
            reason = "there is no such setting" + _nearest(place, model)
        told.append(f"{origin}: setting {name!r}: {reason}" if origin else f"{name!r}: {reason}")
    return "\n".join(told)


def _elsewhere(place: tuple[str, ...], overrides: Mapping[str, Any]) -> str | None:
    """Where the value came from, if it was not the file."""
    given: Any = overrides
    for part in place:
        given = given.get(part) if isinstance(given, Mapping) else None
    if given is not None:
        return "command line"
    for variable in os.environ:
        named = variable.upper().removeprefix(_PREFIX).lower().split(_NESTED)
        if variable.upper().startswith(_PREFIX) and tuple(named) == place[: len(named)]:
            return f"environment, {variable}"
    return None


def _nearest(place: tuple[str, ...], model: type[BaseModel]) -> str:
    names = _fields(model, place[:-1])
    near = difflib.get_close_matches(place[-1], names, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _fields(model: type[BaseModel], place: tuple[str, ...]) -> list[str]:
    """The settings that there are in a table."""
    fields = model.model_fields
    for part in place:
        kind = fields[part].annotation if part in fields else None
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return []
        fields = kind.model_fields
    return list(fields)


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
