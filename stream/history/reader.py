"""The reading side of the history: paged results and a timeline, the same for all databases."""

import json
import time
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from models.language import content_words, tokenize
from stream.history.firing import FIRING_COLUMNS, Firing, FiringQuery, RecordedFiring
from stream.history.pictures import Picture
from stream.history.query import MAX_TIME, HistoryQuery
from stream.history.span import MAX_DURATION_S, MAX_GAP_S, MICROSECONDS, Span, to_microseconds
from stream.history.summaries import Record, Summaries

MAX_SPANS = 500
"""Maximum number of spans in a page of results."""

MAX_BUCKETS = 200
"""Maximum number of buckets in a timeline."""

SAMPLED_SPANS = 200
"""Number of spans per bucket whose words are counted."""

TIMEOUT_S = 5.0
"""Time that a request may take."""

MAX_SUMMARY_S = 8 * 86_400.0
"""Maximum length of a summary's period, in seconds."""

MAX_HOURS_S = 49 * 3600.0
"""Maximum length of the period of a summary by the hour, in seconds: two days, and the hour that
one of them may have more."""

_AT = "CAST(1000000.0 * (began + {}) AS bigint)"
_FIRING_PICTURE = f"""
coalesce(
  (SELECT span FROM pictures WHERE span = (
    SELECT max(spans.id) FROM spans WHERE spans.feed = firings.feed
    AND spans.id >= {_AT.format(-MAX_DURATION_S)} AND spans.id <= {_AT.format(0.001)})),
  (SELECT span FROM pictures WHERE span = (
    SELECT min(spans.id) FROM spans WHERE spans.feed = firings.feed
    AND spans.id > {_AT.format(0.001)} AND spans.id <= {_AT.format(MAX_GAP_S)}))
)
"""
"""The span whose picture shows what a rule fired on: the one that lasted then or, if it has none,
the next, whose caption is pictured if a rule fires between two. Firings are rounded to ms."""

_TOP_WORDS = 5
_SUMMARY_PAGE = 5000
"""Spans that are read at a time for a summary."""


@dataclass(slots=True)
class Bucket:
    """A bucket of the timeline."""

    spans: int = 0
    captions: int = 0
    texts: list[str] = field(default_factory=list)
    """Of its first spans."""

    def to_json(self, begin: int, step: int) -> dict[str, Any]:
        """Return the bucket as JSON values; times in microseconds."""
        return {
            "from": begin / MICROSECONDS,
            "to": (begin + step) / MICROSECONDS,
            "spans": self.spans,
            "captions": self.captions,
            "words": _top_words(self.texts),
        }


class HistoryReader(ABC):
    """Reads the history while the store writes; for one thread at a time.

    A query without an end ends now, unless it begins later: spans that are dated ahead of the clock
    must neither come before all others nor stretch the timeline.
    """

    def newest(self, query: HistoryQuery, limit: int, before: int | None) -> list[Span]:
        """Return a page of spans, the newest first.

        Args:
            query: The criteria.
            limit: Maximum number of spans.
            before: Id that the spans must precede; None for the first page.

        Raises:
            HistoryError: If reading fails.
            HistoryBusy: If it takes too long.
        """
        return self._page(query, limit, before, descending=True)

    def oldest(self, query: HistoryQuery, limit: int, after: int | None) -> list[Span]:
        """Return a page of spans, the oldest first; otherwise as `newest`."""
        return self._page(query, limit, after, descending=False)

    def firings(self, query: FiringQuery, limit: int, before: int | None) -> list[RecordedFiring]:
        """Return a page of firings, the latest first; raises as `newest`.

        Args:
            query: The criteria.
            limit: Maximum number of firings.
            before: Number that the firings' numbers must precede; None for the first page.
        """
        clause, values = query.sql()
        if before is not None:
            clause += " AND id < ?"
            values.append(before)
        sql = (
            f"SELECT id, {_FIRING_PICTURE}, {FIRING_COLUMNS} FROM firings WHERE {clause} "
            "ORDER BY id DESC LIMIT ?"
        )
        with self._reading():
            rows = self._fetch(sql, [*values, limit])
        return [
            RecordedFiring(number, Firing.from_row(tuple(row)), picture)
            for number, picture, *row in rows
        ]

    def firing_picture(self, firing: Firing) -> Picture | None:
        """Return the picture of what a rule fired on, as `picture`; the firing may be unrecorded.

        Raises:
            HistoryError: If reading fails.
            HistoryBusy: If it takes too long.
        """
        given = "(SELECT CAST(? AS text) AS feed, CAST(? AS double precision) AS began) AS firings"
        with self._reading():
            ((span,),) = self._fetch(
                f"SELECT {_FIRING_PICTURE} FROM {given}", [firing.feed, firing.began]
            )
        return None if span is None else self.picture(span)

    def timeline(self, query: HistoryQuery, buckets: int) -> dict[str, Any]:
        """Count spans and captions in time buckets of equal length, with each one's top words.

        Args:
            query: The criteria; without begin or end, from the first or to the last span.
            buckets: Number of buckets.

        Returns:
            The buckets, none for an empty history, and as `ahead` the number of spans that are left
            out because they are dated ahead of the clock.

        Raises:
            HistoryError: If reading fails.
            HistoryBusy: If it takes too long.
        """
        with self._reading():
            first, last = self._extent(query)
            ahead = self._count_ahead(query)
            query = query.until_now()
            step = max(1, -(-(last - first) // buckets))
            counted = self._buckets(query, first, step)
            found = [
                counted.get(number, Bucket()).to_json(first + number * step, step)
                for number in range(buckets if last > first else 0)
            ]
            feeds = self._feeds()
        return {
            "from": first / MICROSECONDS,
            "to": (first + buckets * step) / MICROSECONDS if found else last / MICROSECONDS,
            "feeds": feeds,
            "buckets": found,
            "ahead": ahead,
        }

    def summary(self, query: HistoryQuery, *, by_hour: bool = False) -> dict[str, Any]:
        """Summarize which objects the captions stated, for how long, and what changed.

        Args:
            query: The criteria, with begin and end, at most `MAX_SUMMARY_S` apart.
            by_hour: Whether to summarize each hour, too; then at most `MAX_HOURS_S` apart.

        Returns:
            As `/api/history/summary`: a summary of each feed that has captions.

        Raises:
            HistoryError: If reading fails.
            HistoryBusy: If it takes too long.
        """
        assert query.begin is not None and query.end is not None
        summaries = Summaries(query.begin, query.end, by_hour=by_hour)
        where, values = self._where(query)
        column, after = self._id(query), -1
        sql = (
            f"SELECT {column}, spans.ended, spans.feed, spans.captions, spans.text, "
            f"spans.fallback, spans.confidence, spans.tags FROM {where} AND {column} > ? "
            f"ORDER BY {column} LIMIT {_SUMMARY_PAGE}"
        )
        with self._reading():
            while rows := self._fetch(sql, [*values, after]):
                for row in rows:
                    summaries.add(_record(*row))
                if len(rows) < _SUMMARY_PAGE:
                    break
                after = rows[-1][0]
        return {"from": query.begin, "to": query.end, "feeds": summaries.to_json()}

    def picture(self, span_id: int) -> Picture | None:
        """Return the picture of a span; None if it has none.

        Raises:
            HistoryError: If reading fails.
            HistoryBusy: If it takes too long.
        """
        with self._reading():
            rows = self._fetch("SELECT image, maps FROM pictures WHERE span = ?", [span_id])
        return Picture(span_id, *rows[0]) if rows else None

    @abstractmethod
    def bytes(self) -> int:
        """Return the size of the stored history; raises `HistoryError`."""

    @abstractmethod
    def close(self) -> None:
        """Close the database; safe to call more than once."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[None]:
        """Limit the time of what the context reads, and turn failures into the history's."""

    @abstractmethod
    def _fetch(self, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement with `?` for each parameter."""

    @abstractmethod
    def _where(self, query: HistoryQuery) -> tuple[str, list[Any]]:
        """Return the SQL that follows `FROM`, always with a `WHERE`, and its parameters."""

    @abstractmethod
    def _id(self, query: HistoryQuery) -> str:
        """Return the column of the id by which a query is filtered and ordered."""

    @abstractmethod
    def _select(
        self, query: HistoryQuery, limit: int, boundary: int | None, *, descending: bool
    ) -> list[tuple[Any, ...]]:
        """Return the columns of the first spans on one side of an id, in order of their ids."""

    @abstractmethod
    def _buckets(self, query: HistoryQuery, first: int, step: int) -> dict[int, Bucket]:
        """Return the buckets that have spans, by number; texts are those of their first spans.

        A span that started before the first bucket is counted there.
        """

    @abstractmethod
    def _feeds(self) -> list[str]:
        """Return the names of all feeds, in order of their code points."""

    def _page(
        self, query: HistoryQuery, limit: int, boundary: int | None, *, descending: bool
    ) -> list[Span]:
        with self._reading():
            rows = self._select(query.until_now(), limit, boundary, descending=descending)
            spans = [Span.from_row(row) for row in rows]
            pictured = self._pictured([span.id for span in spans])
        for span in spans:
            span.has_picture = span.id in pictured
        return spans

    def _pictured(self, ids: list[int]) -> set[int]:
        """Return which spans have a picture."""
        places = ", ".join("?" * len(ids)) or "NULL"
        rows = self._fetch(f"SELECT span FROM pictures WHERE span IN ({places})", ids)
        return {span for (span,) in rows}

    def _extent(self, query: HistoryQuery) -> tuple[int, int]:
        """Return the start and the end of a query, in microseconds."""
        limit = HistoryQuery(begin=query.begin).until_now().end or MAX_TIME
        limits = [to_microseconds(limit)] * 2
        ((first, last),) = self._fetch(
            "SELECT (SELECT min(id) FROM spans WHERE id < ?), (SELECT max(ended) FROM "
            "(SELECT ended FROM spans WHERE id < ? ORDER BY id DESC LIMIT 100) AS latest)",
            limits,
        )
        end = time.time() if last is None else last
        last = to_microseconds(end) + 1 if query.end is None else to_microseconds(query.end)
        if query.begin is not None:
            first = to_microseconds(query.begin)
        elif first is None:
            first = last
        return first, max(first, last)

    def _count_ahead(self, query: HistoryQuery) -> int:
        """Return the number of spans that `until_now` leaves out."""
        limit = query.until_now().end
        if query.end is not None or limit is None:
            return 0
        where, values = self._where(query)
        sql = f"SELECT count(*) FROM {where} AND {self._id(query)} >= ?"
        ((count,),) = self._fetch(sql, [*values, to_microseconds(limit)])
        return int(count)


def _record(
    started: int,
    ended: float,
    feed: str,
    captions: int,
    text: str,
    fallback: str | None,
    confidence: float | None,
    tags: str,
) -> Record:
    """Return what a summary needs of a span, from its columns."""
    has_confidence, names = confidence is not None, _tag_names(tags)
    return Record(
        started / MICROSECONDS, ended, feed, captions, text, fallback, has_confidence, names
    )


@lru_cache(1000)
def _tag_names(tags: str) -> tuple[str, ...]:
    return tuple(name for name, _ in json.loads(tags))


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
