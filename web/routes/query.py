"""What a request asks for after the question mark, read strictly."""

import math
import re
from datetime import UTC, datetime

from aiohttp import web

from stream.history import LATEST, BadQuery, Wanted
from stream.settings import check_stream_name

_NUMBER = re.compile(r"\d{1,18}")


def check_known(request: web.Request, *names: str) -> None:
    """Refuse parameters that nobody knows: they were meant to be others.

    Raises:
        BadQuery: If there is one, or one comes twice.
    """
    for name in request.query:
        if name not in names:
            known = ", ".join(names) or "none"
            raise BadQuery(f"there is no parameter {name[:40]!r} here; there are: {known}")
        if len(request.query.getall(name)) > 1:
            raise BadQuery(f"{name} is given twice")


def number(request: web.Request, name: str, least: int, most: int) -> int | None:
    """Read a whole number; None if it is not given.

    Raises:
        BadQuery: If it is none, or out of bounds.
    """
    text = request.query.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text) or not text.isascii() or not least <= int(text) <= most:
        raise BadQuery(f"{name} is a whole number from {least} to {most}")
    return int(text)


def flag(request: web.Request, name: str) -> bool:
    """Read `true` or `false`, which it is if it is not given.

    Raises:
        BadQuery: If it is neither.
    """
    text = request.query.get(name, "false")
    if text not in ("true", "false"):
        raise BadQuery(f"{name} is true or false")
    return text == "true"


def time(request: web.Request, name: str) -> float | None:
    """Read a time: seconds since the Unix epoch, or as in RFC 3339; None if it is not given.

    Raises:
        BadQuery: If it is neither.
    """
    text = request.query.get(name)
    if text is None:
        return None
    try:
        seconds = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        seconds = _clock(text)
    if not 0 <= seconds <= LATEST:
        raise BadQuery(
            f"{name} is a time: seconds since the Unix epoch up to {LATEST:.0f}, or such as "
            "2026-01-31T09:00:00Z"
        )
    return seconds


def wanted(request: web.Request) -> Wanted:
    """Read `feed`, `from`, `to` and `q`.

    Raises:
        BadQuery: If one of them cannot be.
    """
    feed = request.query.get("feed")
    try:
        feed = feed and check_stream_name(feed)
    except ValueError as problem:
        raise BadQuery(f"feed: {problem}") from None
    if feed == "":
        raise BadQuery("feed is the name of a feed")
    return Wanted.of(feed, time(request, "from"), time(request, "to"), request.query.get("q"))


def _clock(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return math.nan
