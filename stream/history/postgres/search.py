"""Finding the first spans of a query in order, fast for rare and for frequent words."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from stream.history import HistoryQuery
from stream.history.postgres.lexemes import Lexemes
from stream.history.span import MAX_DURATION_S, to_microseconds

_MATCHES = "spans.words @@ ?::tsquery"

_LEAST, _GREATEST = -(2**63), 2**63 - 1

_WALKED = 5000
"""Number of spans that are read in order, to find frequent words among them."""

_BEGINS_S = 60.0
"""How long it is remembered where partitions begin; it need not be up to date."""

Row = tuple[Any, ...]
Fetch = Callable[[str, list[Any]], list[Row]]


@dataclass(frozen=True, slots=True)
class Range:
    """A range of ids: from `low` to below `high`."""

    low: int = _LEAST
    high: int = _GREATEST

    @classmethod
    def beyond(cls, boundary: int | None, *, descending: bool) -> "Range":
        """Return the ids on one side of another one; all if it is None."""
        if boundary is None:
            return cls()
        return cls(high=boundary) if descending else cls(low=boundary + 1)

    def restricted_to(self, query: HistoryQuery) -> "Range":
        """Return the part that spans of a query can be in."""
        low, high = self.low, self.high
        if query.begin is not None:
            low = max(low, to_microseconds(query.begin - MAX_DURATION_S))
        if query.end is not None:
            high = min(high, to_microseconds(query.end))
        return Range(low, high)

    def split(self, begins: list[int], *, descending: bool) -> Iterator["Range"]:
        """Yield parts in order: one partition at first, and then ever more at a time.

        Args:
            begins: Where the partitions begin, in order.
            descending: Whether the last part comes first.
        """
        if self.low >= self.high:
            return
        bounds = [self.low, *(each for each in begins if self.low < each < self.high), self.high]
        if descending:
            bounds.reverse()
        place, count = 0, 1
        while place < len(bounds) - 1:
            following = min(place + count, len(bounds) - 1)
            yield Range(*sorted((bounds[place], bounds[following])))
            count, place = (2 * count if place else 1), following


class OrderedSearch:
    """Searches partitions in turn, and as few of them as possible.

    How frequent words are is not known, and PostgreSQL's planner estimates it badly. So some spans
    are read in order first: frequent words are among them. If they are not, the words are so rare
    that the full-text index finds few spans in a partition.
    """

    def __init__(self, fetch: Fetch, find_begins: Callable[[], list[int]]) -> None:
        """Prepare searches.

        Args:
            fetch: Returns the rows of a statement.
            find_begins: Returns where the partitions begin, in order.
        """
        self._fetch, self._find_begins = fetch, find_begins
        self._begins, self._expire_at = list[int](), 0.0
        self._lexemes = Lexemes()

    def close(self) -> None:
        """Free what the search needs."""
        self._lexemes.close()

    def where(self, query: HistoryQuery) -> tuple[str, list[Any]]:
        """Return the SQL that follows `FROM`, always with a `WHERE`, and its parameters."""
        return where(query, self._lexemes)

    def first(
        self, columns: str, query: HistoryQuery, ids: Range, limit: int, *, descending: bool = False
    ) -> list[Row]:
        """Return columns of the first spans.

        Args:
            columns: What to select.
            query: The criteria.
            ids: The ids that the spans may have.
            limit: Maximum number of spans.
            descending: Whether the last spans are the first.
        """
        if time.monotonic() > self._expire_at:
            self._begins = self._find_begins()
            self._expire_at = time.monotonic() + _BEGINS_S
        statements = _Statements(self._fetch, columns, *self.where(query), descending=descending)
        rows, to_walk = list[Row](), 0 if query.words is None else _WALKED
        for part in ids.restricted_to(query).split(self._begins, descending=descending):
            if query.words is None:
                rows += statements.read(part, limit - len(rows))
            elif to_walk:
                found, walked, rest = statements.walk(part, to_walk, limit - len(rows))
                rows += found
                to_walk -= walked
                if not to_walk and len(rows) < limit:
                    rows += statements.find(rest, limit - len(rows))
            else:
                rows += statements.find(part, limit - len(rows))
            if len(rows) == limit:
                break
        return rows


class _Statements:
    """The statements of a search for one range of ids each."""

    def __init__(
        self, fetch: Fetch, columns: str, clause: str, values: list[Any], *, descending: bool
    ) -> None:
        self._fetch, self._columns, self._values = fetch, columns, values
        self._clause = f"{clause} AND spans.id >= ? AND spans.id < ?"
        self._descending = descending
        self._order = f"ORDER BY spans.id {'DESC' if descending else 'ASC'} LIMIT ?"

    def read(self, part: Range, limit: int) -> list[Row]:
        """Read spans in order."""
        sql = f"SELECT {self._columns} FROM {self._clause} {self._order}"
        return self._fetch(sql, [*self._values, part.low, part.high, limit])

    def find(self, part: Range, limit: int) -> list[Row]:
        """Find all spans of the range by the full-text index, and order them."""
        # OFFSET keeps the planner from reading in order.
        sql = (
            f"SELECT {self._columns} FROM (SELECT spans.* FROM {self._clause} OFFSET 0) AS spans "
            f"{self._order}"
        )
        return self._fetch(sql, [*self._values, part.low, part.high, limit])

    def walk(self, part: Range, to_walk: int, limit: int) -> tuple[list[Row], int, Range]:
        """Read spans in order, and match words only then.

        Returns:
            The rows, the number of spans that were read, and the rest of the range.
        """
        *values, words = self._values
        clause = self._clause.replace(f"{_MATCHES} AND ", "")
        sql = (
            f"WITH walked AS MATERIALIZED (SELECT spans.* FROM {clause} {self._order}), "
            f"found AS (SELECT true, {self._columns} FROM walked AS spans WHERE {_MATCHES} "
            f"{self._order}) "
            "SELECT walked_count, least_id, greatest_id, found.* FROM (SELECT count(*) AS "
            "walked_count, min(id) AS least_id, max(id) AS greatest_id FROM walked) AS summary "
            "LEFT JOIN found ON true"
        )
        rows = self._fetch(sql, [*values, part.low, part.high, to_walk, words, limit])
        count, least, greatest = rows[0][:3]
        found = [tuple(row) for _, _, _, is_found, *row in rows if is_found]
        if not count:
            return found, 0, part
        rest = Range(part.low, least) if self._descending else Range(greatest + 1, part.high)
        return found, count, rest


def where(query: HistoryQuery, lexemes: Lexemes) -> tuple[str, list[Any]]:
    """Return the SQL that follows `FROM`, always with a `WHERE`, and its parameters."""
    terms, values = query.range_sql("spans.id")
    if query.words is not None:
        terms.append(_MATCHES)
        values.append(lexemes.query(query.words))
    return f"spans WHERE {' AND '.join(terms) or 'true'}", values
