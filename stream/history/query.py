"""Queries of the history: by feed, time and words."""

import time
from dataclasses import dataclass, replace
from typing import Any, Self

from stream.history.search_text import BadQuery, Search, parse_search
from stream.history.span import MAX_AHEAD_S, MAX_DURATION_S, storable, to_microseconds

MAX_TIME = 4e9
"""Latest time of a query, in seconds since the Unix epoch. Its microseconds are exact as integers
of the databases and as JSON numbers."""


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
        """Return the SQL conditions for feed and time, and their parameters.

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
        return terms, values

    def until_now(self) -> "HistoryQuery":
        """Return a query that ends now if this one has no end, and does not begin later."""
        limit = time.time() + MAX_AHEAD_S
        if self.end is None and (self.begin is None or self.begin <= limit):
            return replace(self, end=limit)
        return self
