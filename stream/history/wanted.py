"""Which spans are wanted: of a feed, of a time, with words."""

import re
from dataclasses import dataclass
from typing import Any, Self

from models.content_words import content_words
from models.vocabulary import tokenize
from stream.history.span import LONGEST_S, moment

_MOST_WORDS = 16
LATEST = 4e9
"""The latest time that may be asked for, in seconds since the Unix epoch; SQLite's integers and
JSON's numbers hold its microseconds exactly."""
_PART = re.compile(r'"([^"]*)"|([^"\s]+)')
_WORD = re.compile(r"[^\W_]+")
_ASKING = frozenset(tokenize("when what where who how did you i we see seen show find ever last"))


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
        for time in (begin, end):
            if time is not None and not 0 <= time <= LATEST:
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
