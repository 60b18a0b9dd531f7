"""Which spans are wanted: of a feed, of a time, with words.

The history is read here: in pages, so that nobody holds all of it.
"""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from models.language import tokenize
from models.language.content_words import content_words
from stream.history.database import open_for_reading
from stream.history.span import COLUMNS, LONGEST_S, Span, moment

_MOST_WORDS = 16
LATEST = 4e9
"""The latest time that may be asked for, in seconds since the Unix epoch; SQLite's integers and
JSON's numbers hold its microseconds exactly."""

_PART = re.compile(r'"([^"]*)"|([^"\s]+)')
_WORD = re.compile(r"[^\W_]+")
_ASKING = frozenset(tokenize("when what where who how did you i we see seen show find ever last"))
MOST_SPANS = 500
"""Of one answer."""

MOST_BUCKETS = 200
_SAMPLE = 200
"""Spans of a bucket whose words are counted."""

_TOP_WORDS = 5
_PATIENCE_S = 5.0
_CHECK_EVERY = 20_000
"""Of SQLite's steps; some milliseconds."""

_COLUMNS = ", ".join(f"spans.{name}" for name in COLUMNS.split(", "))
_MICROSECONDS = 1_000_000


class BadQuery(ValueError):
    """What is asked for makes no sense; the message says why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A choice of spans; what is None does not narrow it."""

    feed: str | None = None
    begin: float | None = None
    """Spans that last until this time or longer; seconds since the Unix epoch."""
    end: float | None = None
    """Spans that begin before this time; seconds since the Unix epoch."""
    match: str | None = None
    """An expression of FTS5."""

    @classmethod
    def of(
        cls, feed: str | None, begin: float | None, end: float | None, words: str | None
    ) -> Self:
        """Choose by what a user asks for.

        Args:
            feed: The name of a feed.
            begin: As the attribute.
            end: As the attribute.
            words: Any text: all of its words must occur, in any form ("dog" finds "dogs"); those
                between quotes side by side. Of a question only the words that mean something
                count.

        Raises:
            BadQuery: If the times or the words cannot be.
        """
        for moment_s in (begin, end):
            if moment_s is not None and not 0 <= moment_s <= LATEST:
                raise BadQuery(f"a time is between 0 and {LATEST:.0f} s since the Unix epoch")
        if begin is not None and end is not None and end < begin:
            raise BadQuery("`to` lies before `from`")
        return cls(feed, begin, end, match_of(words) if words is not None else None)

    def where(self) -> tuple[str, list[Any]]:
        """Return what follows `FROM`, and its values; there is always a `WHERE`."""
        tables, terms, values = "spans", ["true"], list[Any]()
        if self.match is not None:
            tables = "words JOIN spans ON spans.id = words.rowid"
            terms.append("words MATCH ?")
            values.append(self.match)
        if self.feed is not None:
            terms.append("spans.feed = ?")
            values.append(self.feed)
        if self.begin is not None:
            # The first is what an index can be asked; it holds since no span lasts for longer.
            terms.append(f"{self.id} >= ? AND spans.ended >= ?")
            values += (moment(self.begin - LONGEST_S), self.begin)
        if self.end is not None:
            terms.append(f"{self.id} < ?")
            values.append(moment(self.end))
        return f"{tables} WHERE {' AND '.join(terms)}", values

    @property
    def id(self) -> str:
        """What the id is called in the query: FTS5 narrows and orders by its own row id."""
        return "spans.id" if self.match is None else "words.rowid"


def match_of(text: str) -> str:
    """Make an expression of FTS5 of any text: words and phrases in quotes, so never its syntax.

    Raises:
        BadQuery: If there is no word in it, or too many.
    """
    phrases = [
        " ".join(_WORD.findall(quoted or plain)) for quoted, plain in _PART.findall(text.lower())
    ]
    phrases = [phrase for phrase in phrases if phrase]
    if not phrases:
        raise BadQuery("name at least one word to look for")
    if len(phrases) > _MOST_WORDS:
        raise BadQuery(f"name {_MOST_WORDS} words at most")
    telling = [phrase for phrase in phrases if content_words(phrase) and phrase not in _ASKING]
    return " AND ".join(f'"{phrase}"' for phrase in telling or phrases)


class Reading:
    """Reads beside the writer; used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file, which the writer has opened before.

        Raises:
            HistoryError: If that cannot be done.
        """
        self._connection = open_for_reading(path)

    def newest(self, wanted: Wanted, limit: int, before: int | None) -> list[Span]:
        """Find spans, the newest first.

        Args:
            wanted: Which.
            limit: How many at most.
            before: Only those older than the one of this id.

        Raises:
            sqlite3.Error: If it cannot be read, or it takes too long.
        """
        order = ("<", before, "DESC")
        return self._page(wanted, limit, order)

    def oldest(self, wanted: Wanted, limit: int, after: int | None) -> list[Span]:
        """Find spans, the oldest first; otherwise as `newest`."""
        return self._page(wanted, limit, (">", after, "ASC"))

    def timeline(self, wanted: Wanted, buckets: int) -> dict[str, Any]:
        """Count spans and captions in equal parts of a time, with the words said most in each.

        Args:
            wanted: Which; without a beginning or an end from the first or to the last.
            buckets: How many parts.

        Raises:
            sqlite3.Error: If it cannot be read, or it takes too long.
        """
        with self._patience():
            first, last = self._extent(wanted)
            step = max(1, -(-(last - first) // buckets))
            counts = self._counts(wanted, first, step)
            found = [
                self._bucket(wanted, first + number * step, step, counts.get(number, (0, 0)))
                for number in range(buckets if last > first else 0)
            ]
            feeds = list(self._feeds())
        return {
            "from": first / _MICROSECONDS,
            "to": (first + buckets * step) / _MICROSECONDS if found else last / _MICROSECONDS,
            "feeds": feeds,
            "buckets": found,
        }

    def bytes(self) -> int:
        """Give the size of the file."""
        pages, size = self._connection.execute(
            "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size"
        ).fetchone()
        total: int = pages * size
        return total

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _page(self, wanted: Wanted, limit: int, order: tuple[str, int | None, str]) -> list[Span]:
        comparison, border, direction = order
        where, values = wanted.where()
        if border is not None:
            where += f" AND {wanted.id} {comparison} ?"
            values.append(border)
        query = f"SELECT {_COLUMNS} FROM {where} ORDER BY {wanted.id} {direction} LIMIT ?"
        with self._patience():
            rows = self._connection.execute(query, [*values, limit]).fetchall()
        return [Span.of_row(row) for row in rows]

    def _extent(self, wanted: Wanted) -> tuple[int, int]:
        """From when to when, in microseconds."""
        first, last = self._connection.execute(
            "SELECT (SELECT min(id) FROM spans), (SELECT max(ended) FROM "
            "(SELECT ended FROM spans ORDER BY id DESC LIMIT 100))"
        ).fetchone()
        first = (first or 0) if wanted.begin is None else moment(wanted.begin)
        last = moment(last or 0) + 1 if wanted.end is None else moment(wanted.end)
        return first, max(first, last)

    def _counts(self, wanted: Wanted, first: int, step: int) -> dict[int, tuple[int, int]]:
        where, values = wanted.where()
        # A span that began before counts where it goes on.
        bucket = f"(max({wanted.id}, ?) - ?) / ?"
        rows = self._connection.execute(
            f"SELECT {bucket} AS part, count(*), sum(spans.captions) FROM {where} GROUP BY part",
            [first, first, step, *values],
        )
        return {bucket: (spans, captions) for bucket, spans, captions in rows}

    def _bucket(
        self, wanted: Wanted, begin: int, step: int, counts: tuple[int, int]
    ) -> dict[str, Any]:
        spans, captions = counts
        return {
            "from": begin / _MICROSECONDS,
            "to": (begin + step) / _MICROSECONDS,
            "spans": spans,
            "captions": captions,
            "words": self._top_words(wanted, begin, step) if spans else [],
        }

    def _top_words(self, wanted: Wanted, begin: int, step: int) -> list[dict[str, Any]]:
        where, values = wanted.where()
        rows = self._connection.execute(
            f"SELECT spans.text FROM {where} AND {wanted.id} >= ? AND {wanted.id} < ? LIMIT ?",
            [*values, begin, begin + step, _SAMPLE],
        )
        counts: Counter[frozenset[str]] = Counter()
        forms: defaultdict[frozenset[str], Counter[str]] = defaultdict(Counter)
        for (text,) in rows:
            for word in set(tokenize(text)):
                if stem := content_words(word):
                    counts[stem] += 1
                    forms[stem][word] += 1
        return [
            {"text": forms[stem].most_common(1)[0][0], "spans": count}
            for stem, count in counts.most_common(_TOP_WORDS)
        ]

    def _feeds(self) -> Iterator[str]:
        """The names of all feeds that have a span; one look into the index for each."""
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
    def _patience(self) -> Iterator[None]:
        """Give up what takes too long: others wait."""
        until = time.monotonic() + _PATIENCE_S
        self._connection.set_progress_handler(lambda: time.monotonic() > until, _CHECK_EVERY)
        try:
            yield
        finally:
            self._connection.set_progress_handler(None, 0)
