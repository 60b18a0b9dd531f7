"""Error messages for wrong settings, with their source: file and line, variable or command line.

Python's TOML parser does not report line numbers, so a scanner finds them here.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

_MAX_ERRORS = 10
_PREFIX, _NESTED = "SIGHTLINE_", "__"

KeyPath = tuple[str, ...]
"""The names of the tables and the key, from the outermost."""

_REASONS = {
    "tuple_type": "must be a list, such as ['a', 'b']",
    "list_type": "must be a list, such as ['a', 'b']",
    "path_type": "must be a path in quotation marks",
    "dict_type": "must be a table with settings of its own",
    "model_type": "must be a table with settings of its own",
}
"""In the terms of TOML instead of Python's, by pydantic's type of error."""

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


def describe_errors(
    validation_error: ValidationError,
    model: type[BaseModel],
    file: Path | None,
    text: str,
    overrides: Mapping[str, Any],
) -> str:
    """Return a line for each of the first ten errors: source, setting and reason, never the value.

    Args:
        validation_error: The error of the model.
        model: The model of the settings.
        file: The configuration file, or None.
        text: Its content.
        overrides: The settings from the command line.
    """
    lines = key_lines(text)
    messages = []
    for error in validation_error.errors(include_url=False, include_input=False)[:_MAX_ERRORS]:
        path = tuple(str(part) for part in error["loc"])
        source = _other_source(path, overrides)
        if source is None and file and (line := find_line(lines, path)):
            source = f"{file}, line {line}"
        name = ".".join(path)
        reason = _REASONS.get(error["type"], error["msg"].removeprefix("Value error, "))
        if error["type"] == "extra_forbidden":
            reason = "unknown setting" + _suggestion(path, model)
        messages.append(
            f"{source}: setting {name!r}: {reason}" if source else f"{name!r}: {reason}"
        )
    return "\n".join(messages)


def _other_source(path: KeyPath, overrides: Mapping[str, Any]) -> str | None:
    """Return where the value comes from if not from the file."""
    value: Any = overrides
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is not None:
        return "command line"
    for variable in os.environ:
        named = variable.upper().removeprefix(_PREFIX).lower().split(_NESTED)
        if variable.upper().startswith(_PREFIX) and tuple(named) == path[: len(named)]:
            return f"environment, {variable}"
    return None


def _suggestion(path: KeyPath, model: type[BaseModel]) -> str:
    matches = difflib.get_close_matches(path[-1], _field_names(model, path[:-1]), 1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def _field_names(model: type[BaseModel], table: KeyPath) -> list[str]:
    """Return the names of a table's settings; none if the table is unknown."""
    fields = model.model_fields
    for part in table:
        kind = fields[part].annotation if part in fields else None
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return []
        fields = kind.model_fields
    return list(fields)


def key_lines(text: str) -> Mapping[KeyPath, int]:
    """Return the line, counted from 1, of each table and key of a valid TOML text (v1.0.0).

    Keys inside an inline table or an array are left out: they count as part of their key.
    """
    return dict(_Scanner(text).key_paths())


def find_line(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """Return the line of a key, or of the innermost table or key around it."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


class _Scanner:
    """Finds tables and keys, skipping comments, strings, arrays and inline tables."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def key_paths(self) -> Iterator[tuple[KeyPath, int]]:
        table: KeyPath = ()
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

    def _key(self) -> KeyPath:
        parts = []
        while part := _PART.match(self._text, self._at):
            self._at = part.end()
            parts.append(part["bare"] or part["basic"] or part["literal"] or "")
            if not self._skip(_DOT):
                break
        return tuple(parts)

    def _skip_value(self) -> None:
        """Skip to the end of the line where the value ends; arrays may span many lines."""
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
