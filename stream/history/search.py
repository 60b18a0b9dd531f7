"""Search in the history: queries by feed, time and words, paged results, and a timeline."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from models.language import content_words, tokenize
from stream.history.database import open_read_only
from stream.history.search_text import BadQuery, Condition, parse_search
from stream.history.span import (
    COLUMNS,
    MAX_AHEAD_S,
    MAX_SPAN_S,
    MICROSECONDS,
    Span,
    to_microseconds,
)

MAX_TIME = 4e9
"""Latest time of a query, in seconds since the Unix epoch. Its microseconds are exact as SQLite
integers and as JSON numbers."""

MAX_SPANS = 500
"""Maximum number of spans in a page of results."""

MAX_BUCKETS = 200
"""Maximum number of buckets in a timeline."""

_SAMPLED_SPANS = 200
"""Number of spans per bucket whose words are counted."""

_TOP_WORDS = 5
_TIMEOUT_S = 5.0
_TIMEOUT_CHECK_STEPS = 20_000
"""Number of SQLite's virtual machine steps between checks of the timeout; some milliseconds."""

_ANY_WORDS = Condition()
_COLUMNS = ", ".join(f"spans.{name}" for name in COLUMNS.split(", "))


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Criteria for spans; None for any."""

    feed: str | None = None
    begin: float | None = None
    """Spans that end at this time or later; in seconds since the Unix epoch."""
    end: float | None = None
    """Spans that start before this time; in seconds since the Unix epoch."""
    words: Condition = _ANY_WORDS
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
        return cls(feed, begin, end, _ANY_WORDS if words is None else parse_search(words))

    def sql(self) -> tuple[str, list[Any]]:
        """Return the SQL that follows `FROM`, always with a `WHERE`, and its parameters."""
        tables, terms, values = "spans", ["true"], list[Any]()
        if self.words.match is not None:
            tables = "words JOIN spans ON spans.id = words.rowid"
            terms.append("words MATCH ?")
            values.append(self.words.match)
        if self.feed is not None:
            terms.append("spans.feed = ?")
            values.append(self.feed)
        if self.begin is not None:
            # The first comparison can use an index; it is implied, because spans are bounded.
            terms.append(f"{self.id_column} >= ? AND spans.ended >= ?")
            values += (to_microseconds(self.begin - MAX_SPAN_S), self.begin)
        if self.end is not None:
            terms.append(f"{self.id_column} < ?")
            values.append(to_microseconds(self.end))
        if self.words.sql:
            terms.append(self.words.sql)
            values += self.words.values
        return f"{tables} WHERE {' AND '.join(terms)}", values

    @property
    def id_column(self) -> str:
        """Column of the id: FTS5 filters and orders efficiently only by its own row id."""
        return "spans.id" if self.words.match is None else "words.rowid"


@dataclass(slots=True)
class _Bucket:
    """A bucket of the timeline."""

    spans: int = 0
    captions: int = 0
    texts: list[str] = field(default_factory=list)
    """Of up to 200 spans."""

    def to_json(self, begin: int, step: int) -> dict[str, Any]:
        """Return the bucket as JSON values; times in microseconds."""
        return {
            "from": begin / MICROSECONDS,
            "to": (begin + step) / MICROSECONDS,
            "spans": self.spans,
            "captions": self.captions,
            "words": _top_words(self.texts),
        }


class HistoryReader:
    """Reads the history while the store writes; for one thread at a time.

    A query without an end ends now, unless it begins later: spans that are dated ahead of the clock
    must neither come before all others nor stretch the timeline.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, which the store must have opened before.

        Raises:
            HistoryError: If it cannot be opened.
        """
        self._connection = open_read_only(path)

    def newest(self, query: HistoryQuery, limit: int, before: int | None) -> list[Span]:
        """Return a page of spans, the newest first.

        Args:
            query: The criteria.
            limit: Maximum number of spans.
            before: Id that the spans must precede; None for the first page.

        Raises:
            sqlite3.Error: If reading fails or times out.
        """
        return self._page(query, limit, ("<", before, "DESC"))

    def oldest(self, query: HistoryQuery, limit: int, after: int | None) -> list[Span]:
        """Return a page of spans, the oldest first; otherwise as `newest`."""
        return self._page(query, limit, (">", after, "ASC"))

    def timeline(self, query: HistoryQuery, buckets: int) -> dict[str, Any]:
        """Count spans and captions in time buckets of equal length, with each one's top words.

        Args:
            query: The criteria; without begin or end, from the first or to the last span.
            buckets: Number of buckets.

        Returns:
            The buckets, none for an empty history, and as `ahead` the number of spans that are left
            out because they are dated ahead of the clock.

        Raises:
            sqlite3.Error: If reading fails or times out.
        """
        with self._timeout():
            first, last = self._extent(query)
            ahead = self._count_ahead(query)
            query = _until_now(query)
            step = max(1, -(-(last - first) // buckets))
            counted = self._buckets(query, first, step)
            found = [
                counted.get(number, _Bucket()).to_json(first + number * step, step)
                for number in range(buckets if last > first else 0)
            ]
            feeds = list(self._feeds())
        return {
            "from": first / MICROSECONDS,
            "to": (first + buckets * step) / MICROSECONDS if found else last / MICROSECONDS,
            "feeds": feeds,
            "buckets": found,
            "ahead": ahead,
        }

    def bytes(self) -> int:
        """Return the size of the file."""
        pages, size = self._connection.execute(
            "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size"
        ).fetchone()
        total: int = pages * size
        return total

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _page(
        self, query: HistoryQuery, limit: int, order: tuple[str, int | None, str]
    ) -> list[Span]:
        comparison, boundary, direction = order
        where, values = _until_now(query).sql()
        if boundary is not None:
            where += f" AND {query.id_column} {comparison} ?"
            values.append(boundary)
        sql = f"SELECT {_COLUMNS} FROM {where} ORDER BY {query.id_column} {direction} LIMIT ?"
        with self._timeout():
            rows = self._connection.execute(sql, [*values, limit]).fetchall()
        return [Span.from_row(row) for row in rows]

    def _extent(self, query: HistoryQuery) -> tuple[int, int]:
        """Return the start and the end of a query, in microseconds."""
        limit = _until_now(HistoryQuery(begin=query.begin)).end or MAX_TIME
        first, last = self._connection.execute(
            "SELECT (SELECT min(id) FROM spans WHERE id < :limit), (SELECT max(ended) FROM "
            "(SELECT ended FROM spans WHERE id < :limit ORDER BY id DESC LIMIT 100))",
            {"limit": to_microseconds(limit)},
        ).fetchone()
        end = time.time() if last is None else last
        last = to_microseconds(end) + 1 if query.end is None else to_microseconds(query.end)
        if query.begin is not None:
            first = to_microseconds(query.begin)
        elif first is None:
            first = last
        return first, max(first, last)

    def _count_ahead(self, query: HistoryQuery) -> int:
        """Return the number of spans that `_until_now` leaves out."""
        limit = _until_now(query).end
        if query.end is not None or limit is None:
            return 0
        where, values = query.sql()
        sql = f"SELECT count(*) FROM {where} AND {query.id_column} >= ?"
        count: int = self._connection.execute(sql, [*values, to_microseconds(limit)]).fetchone()[0]
        return count

    def _buckets(self, query: HistoryQuery, first: int, step: int) -> dict[int, _Bucket]:
        """Return the buckets that have spans, by number."""
        where, values = query.sql()
        # A span that started before the first bucket is counted there.
        number = f"(max({query.id_column}, ?) - ?) / ?"
        values = [first, first, step, *values]
        buckets: defaultdict[int, _Bucket] = defaultdict(_Bucket)
        if query.words.sql:
            # In one pass: to evaluate the condition for each bucket would take long.
            sql = f"SELECT {number}, spans.captions, spans.text FROM {where}"
            for index, captions, text in self._connection.execute(sql, values):
                bucket = buckets[index]
                bucket.spans += 1
                bucket.captions += captions
                if len(bucket.texts) < _SAMPLED_SPANS:
                    bucket.texts.append(text)
            return buckets
        sql = f"SELECT {number}, count(*), sum(spans.captions) FROM {where} GROUP BY 1"
        for index, spans, captions in self._connection.execute(sql, values):
            texts = self._texts(query, first + index * step, step)
            buckets[index] = _Bucket(spans, captions, texts)
        return buckets

    def _texts(self, query: HistoryQuery, begin: int, step: int) -> list[str]:
        """Return some texts of a bucket."""
        where, values = query.sql()
        rows = self._connection.execute(
            f"SELECT spans.text FROM {where} AND {query.id_column} >= ? AND {query.id_column} < ? "
            "LIMIT ?",
            [*values, begin, begin + step, _SAMPLED_SPANS],
        )
        return [text for (text,) in rows]

    def _feeds(self) -> Iterator[str]:
        """Yield the names of all feeds, with one index lookup each (a loose index scan)."""
        name = ""
        while True:
            row = self._connection.execute(
                "SELECT feed FROM spans WHERE feed > ? ORDER BY feed LIMIT 1", (name,)
            ).fetchone()
            if row is None:
                return
            (name,) = row
            yield name

    @contextmanager
    def _timeout(self) -> Iterator[None]:
        """Interrupt queries that take too long, because other queries wait for this thread."""
        deadline = time.monotonic() + _TIMEOUT_S
        self._connection.set_progress_handler(
            lambda: time.monotonic() > deadline, _TIMEOUT_CHECK_STEPS
        )
        try:
            yield
        finally:
            self._connection.set_progress_handler(None, 0)


def _until_now(query: HistoryQuery) -> HistoryQuery:
    """Return a query that ends now if it has no end, and does not begin later."""
    limit = time.time() + MAX_AHEAD_S
    if query.end is None and (query.begin is None or query.begin <= limit):
        return replace(query, end=limit)
    return query


def _top_words(texts: Iterable[str]) -> list[dict[str, Any]]:
    counts: Counter[frozenset[str]] = Counter()
    forms: defaultdict[frozenset[str], Counter[str]] = defaultdict(Counter)
    for text in texts:
        for word in set(tokenize(text)):
            if stem := content_words(word):
                counts[stem] += 1
                forms[stem][word] += 1
    return [
        {"text": forms[stem].most_common(1)[0][0], "spans": count}
        for stem, count in counts.most_common(_TOP_WORDS)
    ]
