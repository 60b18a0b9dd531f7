"""What is wrong with the settings, in words, with the place to correct."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from web.toml_positions import line_of, toml_positions

_MOST = 10
_PREFIX, _NESTED = "SIGHTLINE_", "__"


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
