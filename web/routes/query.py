"""Strict parsing of query parameters."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from aiohttp import web

from stream.history import MAX_SPANS, MAX_TIME, BadQuery, HistoryQuery
from stream.settings import validate_stream_name

DEFAULT_LIMIT = 50
"""Items that a page of a list has, unless `limit` says otherwise."""

MAX_ID = 10**18 - 1
"""The highest id of an item in the history, so the highest value of `before`."""

_NUMBER = re.compile(r"\d{1,18}")


def check_parameters(request: web.Request, *names: str) -> None:
    """Reject unknown and repeated parameters, which are likely typing errors.

    Raises:
        BadQuery: If a parameter is unknown or given twice.
    """
    for name in request.query:
        if name not in names:
            known = ", ".join(names) or "none"
            raise BadQuery(f"unknown parameter {name[:40]!r}; known parameters: {known}")
        if len(request.query.getall(name)) > 1:
            raise BadQuery(f"{name} is given twice")


def parse_int(request: web.Request, name: str, minimum: int, maximum: int) -> int | None:
    """Parse a whole number; None if it is absent.

    Raises:
        BadQuery: If it is not a whole number or is out of bounds.
    """
    text = request.query.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text) or not text.isascii() or not minimum <= int(text) <= maximum:
        raise BadQuery(f"{name} must be a whole number from {minimum} to {maximum}")
    return int(text)


def parse_page(request: web.Request) -> tuple[int, int | None]:
    """Parse `limit` and `before`: the size of a page, and the item that precedes it, if any.

    Raises:
        BadQuery: If one of them is invalid.
    """
    limit = parse_int(request, "limit", 1, MAX_SPANS) or DEFAULT_LIMIT
    return limit, parse_int(request, "before", 0, MAX_ID)


def parse_name(request: web.Request, name: str) -> str | None:
    """Parse the name of a feed or of a rule; None if it is absent.

    Raises:
        BadQuery: If it is not a valid name.
    """
    text = request.query.get(name)
    try:
        return None if text is None else validate_stream_name(text)
    except ValueError as error:
        raise BadQuery(f"{name}: {error}") from None


def parse_bool(request: web.Request, name: str) -> bool:
    """Parse `true` or `false`; False if it is absent.

    Raises:
        BadQuery: If it is neither.
    """
    text = request.query.get(name, "false")
    if text not in ("true", "false"):
        raise BadQuery(f"{name} must be true or false")
    return text == "true"


def parse_choice(request: web.Request, name: str, choices: Sequence[str]) -> str:
    """Parse one of several words; the first if it is absent.

    Raises:
        BadQuery: If it is none of them.
    """
    text = request.query.get(name, choices[0])
    if text not in choices:
        raise BadQuery(f"{name} must be one of {', '.join(choices)}")
    return text


def parse_time(request: web.Request, name: str) -> float | None:
    """Parse a time in seconds since the Unix epoch or in RFC 3339; None if it is absent.

    Raises:
        BadQuery: If it is neither, or is out of bounds.
    """
    text = request.query.get(name)
    if text is None:
        return None
    try:
        seconds = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        seconds = _parse_rfc3339(text)
    if not 0 <= seconds <= MAX_TIME:
        raise BadQuery(
            f"{name} must be a time: seconds since the Unix epoch, up to {MAX_TIME:.0f}, or "
            "RFC 3339, such as 2026-01-31T09:00:00Z"
        )
    return seconds


def parse_history_query(request: web.Request) -> HistoryQuery:
    """Parse `feed`, `from`, `to` and `q`.

    Raises:
        BadQuery: If one of them is invalid.
    """
    feed = parse_name(request, "feed")
    begin, end = parse_time(request, "from"), parse_time(request, "to")
    return HistoryQuery.parse(feed, begin, end, request.query.get("q"))


def _parse_rfc3339(text: str) -> float:
    """Return seconds since the Unix epoch, UTC if the text has no time zone; NaN if invalid."""
    try:
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return math.nan
