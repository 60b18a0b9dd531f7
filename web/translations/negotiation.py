"""The choice of a request's language: by its URL, else a cookie, else `Accept-Language`."""

from aiohttp import web

from web.translations.catalogue import ENGLISH, LANGUAGES

LANGUAGE_COOKIE = "sightline-language"
"""Set by the page when the user chooses a language."""
LANGUAGE_PARAMETER = "lang"
"""Of a page's URL; it may follow others."""

_TRADITIONAL = {"hant", "hk", "mo", "tw"}
"""Subtags of Chinese in traditional characters, which there is no catalogue for."""

_MAX_RANGES = 32
"""Of `Accept-Language`; browsers send fewer."""


def negotiated_language(request: web.Request) -> str:
    """Return one of `LANGUAGES` for a request; English if it names none of them."""
    chosen = (request.query.get(LANGUAGE_PARAMETER, ""), request.cookies.get(LANGUAGE_COOKIE, ""))
    accepted = _accepted_ranges(request.headers.get("Accept-Language", ""))
    found = (_lookup(tag) for tag in (*chosen, *accepted))
    return next((language for language in found if language), ENGLISH)


def _lookup(tag: str) -> str | None:
    """Return the language with the primary subtag of a tag: `de` for `de-AT`."""
    primary, *others = tag.strip().lower().split("-")
    if primary == "zh" and not _TRADITIONAL.isdisjoint(others):
        return None
    return next((each for each in LANGUAGES if each.partition("-")[0] == primary), None)


def _accepted_ranges(header: str) -> list[str]:
    """Return the language ranges of an `Accept-Language` header (RFC 9110, 12.5.4), best first."""
    weighted = [_weighted_range(part) for part in header.split(",")[:_MAX_RANGES]]
    # The sort is stable: of equal weights, the first comes first.
    ordered = sorted(weighted, key=lambda each: each[1], reverse=True)
    return [tag for tag, weight in ordered if weight > 0]


def _weighted_range(part: str) -> tuple[str, float]:
    tag, _, parameter = part.partition(";")
    name, _, value = parameter.partition("=")
    if name.strip().lower() != "q":
        return tag, 1.0
    try:
        weight = float(value)
    except ValueError:
        return tag, 0.0
    return tag, weight if 0 <= weight <= 1 else 0.0
