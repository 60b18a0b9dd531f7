"""Queries of the history: by feed, time and words, and by words that mean as much.

A word also finds its synonyms and more specific words: `puppy` finds "dog", `animal` finds "horse".
What is in quotes, cut off by `*` or excluded is looked for as it is.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from models.lexicon import similar_words
from stream.history.search_text import AllOf, AnyOf, BadQuery, Not, Search, Term, parse_search
from stream.history.span import MAX_AHEAD_S, MAX_DURATION_S, storable, to_microseconds

MAX_TIME = 4e9
"""Latest time of a query, in seconds since the Unix epoch. Its microseconds are exact as integers
of the databases and as JSON numbers."""

Match = Literal["exact", "similar", "partial"]
"""How a span fits a search: by its words in any form; by these or words that mean as much; by all
but one of three or more of these."""

MATCHES: tuple[Match, ...] = ("exact", "similar", "partial")
"""From the closest to the loosest."""

_MIN_PARTIAL, _MAX_PARTIAL = 3, 6
"""Number of words of which one may be missing. Of more, the search would become too long."""


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Criteria for spans; None for any."""

    feed: str | None = None
    begin: float | None = None
    """Spans that end at this time or later; in seconds since the Unix epoch."""
    end: float | None = None
    """Spans that start before this time; in seconds since the Unix epoch."""
    words: Search | None = None
    """What the spans' words must match."""
    pictured: bool = False
    """Whether the spans must have a picture."""

    @classmethod
    def parse(
        cls, feed: str | None, begin: float | None, end: float | None, words: str | None
    ) -> Self:
        """Create a query from user input.

        Args:
            feed: Name of a feed.
            begin: As the attribute.
            end: As the attribute.
            words: Any text, as for `parse_search`.

        Raises:
            BadQuery: If a time is out of range, or the words are unusable.
        """
        for time_s in (begin, end):
            if time_s is not None and not 0 <= time_s <= MAX_TIME:
                raise BadQuery(
                    f"a time must be between 0 and {MAX_TIME:.0f} s since the Unix epoch"
                )
        if begin is not None and end is not None and end < begin:
            raise BadQuery("to must not be before from")
        search = None if words is None else parse_search(words)
        return cls(None if feed is None else storable(feed), begin, end, search)

    def range_sql(self, id_column: str) -> tuple[list[str], list[Any]]:
        """Return the SQL conditions for feed, time and picture, and their parameters.

        Args:
            id_column: Column of the id, by which the database orders.
        """
        terms, values = list[str](), list[Any]()
        if self.feed is not None:
            terms.append("spans.feed = ?")
            values.append(self.feed)
        if self.begin is not None:
            # The first comparison can use an index; it is implied, because spans are bounded.
            terms.append(f"{id_column} >= ? AND spans.ended >= ?")
            values += (to_microseconds(self.begin - MAX_DURATION_S), self.begin)
        if self.end is not None:
            terms.append(f"{id_column} < ?")
            values.append(to_microseconds(self.end))
        if self.pictured:
            terms.append(f"EXISTS (SELECT 1 FROM pictures WHERE pictures.span = {id_column})")
        return terms, values

    def until_now(self) -> "HistoryQuery":
        """Return a query that ends now if this one has no end, and does not begin later."""
        limit = time.time() + MAX_AHEAD_S
        if self.end is None and (self.begin is None or self.begin <= limit):
            return replace(self, end=limit)
        return self


def with_match(query: HistoryQuery, match: Match) -> HistoryQuery | None:
    """Return a query for the spans that fit in this way, and in no closer one.

    Args:
        query: What to search for.
        match: How it may fit.

    Returns:
        None if there can be none.
    """
    if match == "exact" or query.words is None:
        return query if match == "exact" else None
    fixed, exact, similar = _parts(query.words)
    if match == "similar":
        found: tuple[Search, ...] | None = similar if similar != exact else None
        closer = exact
    else:
        found, closer = _with_one_missing(similar), similar
    if found is None:
        return None
    return replace(query, words=AllOf((*fixed, *found, Not(AllOf(closer)))))


def with_synonyms(query: HistoryQuery) -> HistoryQuery:
    """Return a query for the spans that fit exactly or by synonyms."""
    return query if query.words is None else replace(query, words=_widened(query.words))


def synonyms_in(query: HistoryQuery) -> list[str]:
    """Return the words that a query finds beside its own, in alphabetical order."""
    found: set[str] = set()

    def collect(term: Term) -> Search:
        found.update(_synonyms(term))
        return term

    if query.words is not None:
        _map_terms(query.words, collect)
    return sorted(found)


def _parts(search: Search) -> tuple[tuple[Search, ...], tuple[Search, ...], tuple[Search, ...]]:
    """Return the parts of a search that stay as they are, and the others: exact, and widened."""
    parts = search.significant if isinstance(search, AllOf) else (search,)
    exact = tuple(part for part in parts if _is_word(part) or _widened(part) != part)
    fixed = tuple(part for part in parts if part not in exact)
    return fixed, exact, tuple(map(_widened, exact))


def _widened(search: Search) -> Search:
    return _map_terms(search, _any_synonym)


def _map_terms(search: Search, change: Callable[[Term], Search]) -> Search:
    """Return a search in which the terms that must match are changed."""
    match search:
        case Term():
            return change(search)
        case Not():
            return search
        case AllOf():
            return AllOf(tuple(_map_terms(part, change) for part in search.parts))
        case AnyOf():
            return AnyOf(tuple(_map_terms(part, change) for part in search.parts))


def _any_synonym(term: Term) -> Search:
    synonyms = _synonyms(term)
    return AnyOf((term, *map(Term, synonyms))) if synonyms else term


def _synonyms(term: Term) -> tuple[str, ...]:
    return similar_words(term.words) if term.kind == "word" and term.is_content else ()


def _with_one_missing(parts: tuple[Search, ...]) -> tuple[Search, ...] | None:
    """Return what matches all but one of some parts; None if these are too few or too many."""
    if not _MIN_PARTIAL <= len(parts) <= _MAX_PARTIAL:
        return None
    numbers = range(len(parts))
    return (AnyOf(tuple(AllOf(parts[:number] + parts[number + 1 :]) for number in numbers)),)


def _is_word(part: Search) -> bool:
    return isinstance(part, Term) and part.kind == "word"
