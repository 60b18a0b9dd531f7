"""The syntax of searches: words, "phrases", word*, OR, -word, NOT word and parentheses.

Any text is a valid search. Signs that have no meaning where they stand are ignored, and so is the
case of letters, except that of the operators.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from models.language import content_words, tokenize

MAX_TERMS = 16
_MAX_DEPTH = 8
_TOKEN = re.compile(r'-?"[^"]*"|-?\(|\)|[^\s"(),;:/|&+]+')
_WORD = re.compile(r"[^\W_]+")
_QUESTION_WORDS = frozenset(
    tokenize("when what where who how did you i we see seen show find ever last")
)
_FOLDED_TEXTS = 10_000


class BadQuery(ValueError):
    """A query is invalid; the message says why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What the words of a search mean to the database."""

    match: str | None = None
    """An FTS5 expression that must match; it finds the spans by the full-text index."""
    sql: str = ""
    """A further condition on `spans`; empty for none."""
    values: tuple[str, ...] = ()
    """The parameters of `sql`."""


@dataclass(frozen=True, slots=True)
class _Term:
    """A word, a phrase in quotes, or the beginning of a word."""

    words: str
    kind: str = "word"

    @property
    def match(self) -> str | None:
        return None if self.kind == "prefix" else f'"{self.words}"'

    @property
    def needle(self) -> str:
        """The text to find in a folded text."""
        return f" {self.words}" if self.kind == "prefix" else f" {self.words} "

    @property
    def is_content(self) -> bool:
        return self.kind != "word" or (
            bool(content_words(self.words)) and self.words not in _QUESTION_WORDS
        )

    def condition(self) -> Condition:
        if self.kind == "word":
            return Condition(self.match)
        return Condition(
            self.match, "contains_words(?, spans.text, spans.guess, spans.objects)", (self.needle,)
        )


@dataclass(frozen=True, slots=True)
class _Not:
    part: "_Node"

    def condition(self) -> Condition:
        sql, values = _as_sql(self.part.condition())
        return Condition(None, f"NOT {sql}", values)


@dataclass(frozen=True, slots=True)
class _All:
    parts: tuple["_Node", ...]

    def condition(self) -> Condition:
        """Combine the conditions; function words count only if there are no other words."""
        content = [part for part in self.parts if not isinstance(part, _Term) or part.is_content]
        words = [part for part in content if not isinstance(part, _Not)]
        conditions = [part.condition() for part in (content if words else self.parts)]
        matches = [each.match for each in conditions if each.match]
        return Condition(
            " AND ".join(matches) or None,
            " AND ".join(each.sql for each in conditions if each.sql),
            tuple(value for each in conditions for value in each.values),
        )


@dataclass(frozen=True, slots=True)
class _Any:
    parts: tuple["_Node", ...]

    def condition(self) -> Condition:
        conditions = [part.condition() for part in self.parts]
        matches = [each.match for each in conditions if each.match and not each.sql]
        if len(matches) == len(conditions):
            return Condition(f"({' OR '.join(matches)})")
        pairs = [_as_sql(each) for each in conditions]
        return Condition(
            None,
            f"({' OR '.join(sql for sql, _ in pairs)})",
            tuple(value for _, values in pairs for value in values),
        )


_Node = _Term | _Not | _All | _Any


def parse_search(text: str) -> Condition:
    """Parse a search.

    Words must all occur, in any form ("dog" finds "dogs"); in a question only content words count.
    OR binds more strongly than the space between words, as in web search.

    Raises:
        BadQuery: If the text has no word, or too many.
    """
    node = _Parser(text).parse()
    if node is None:
        raise BadQuery("enter at least one word to search for")
    return node.condition()


class _Parser:
    """A recursive descent parser that accepts any text."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._terms = 0

    def parse(self) -> _Node | None:
        parts = []
        while self._tokens:
            if part := self._all(0):
                parts.append(part)
            # What follows a closing parenthesis that none opened.
            self._take(")")
        return _combine(_All, parts)

    def _all(self, depth: int) -> _Node | None:
        """Parse clauses up to a closing parenthesis or the end."""
        parts: list[_Node] = []
        while self._tokens and self._tokens[0] != ")":
            if part := self._any(depth):
                parts.append(part)
        return _combine(_All, parts)

    def _any(self, depth: int) -> _Node | None:
        parts = [self._clause(depth)]
        while self._tokens and self._take("OR"):
            if self._tokens and self._tokens[0] != ")":
                parts.append(self._clause(depth))
        return _combine(_Any, [part for part in parts if part])

    def _clause(self, depth: int) -> _Node | None:
        if self._take("AND") or self._take("OR"):
            return None
        is_excluded = False
        while self._take("NOT"):
            is_excluded = not is_excluded
        if not self._tokens or self._tokens[0] == ")":
            return None
        token = self._tokens.pop(0)
        is_excluded ^= token.startswith("-")
        part = self._group(depth + 1) if token.endswith("(") else self._term(token)
        return _Not(part) if part and is_excluded else part

    def _group(self, depth: int) -> _Node | None:
        if depth > _MAX_DEPTH:
            raise BadQuery(f"nest at most {_MAX_DEPTH} parentheses")
        part = self._all(depth)
        self._take(")")
        return part

    def _term(self, token: str) -> _Term | None:
        words = " ".join(_WORD.findall(_fold_letters(token)))
        if not words:
            return None
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise BadQuery(f"enter at most {MAX_TERMS} words to search for")
        kind = "phrase" if token.endswith('"') else "prefix" if token.endswith("*") else "word"
        return _Term(words, kind)

    def _take(self, token: str) -> bool:
        """Remove the next token if it is this one."""
        is_next = self._tokens[:1] == [token]
        if is_next:
            del self._tokens[0]
        return is_next


def _combine(kind: Callable[[tuple[_Node, ...]], _Node], parts: list[_Node]) -> _Node | None:
    return kind(tuple(parts)) if len(parts) > 1 else parts[0] if parts else None


def _as_sql(condition: Condition) -> tuple[str, tuple[str, ...]]:
    """Return a condition as SQL alone, in parentheses, and its parameters."""
    if condition.match is None:
        return f"({condition.sql})", condition.values
    found = "spans.id IN (SELECT rowid FROM words WHERE words MATCH ?)"
    if not condition.sql:
        return f"({found})", (condition.match,)
    return f"({found} AND {condition.sql})", (condition.match, *condition.values)


def contains_words(needle: str, *texts: str) -> bool:
    """Return whether a text contains words as they are written; the SQL function of the same name.

    Args:
        needle: Folded words with a space before them, and one after them unless they may continue.
        texts: The texts.
    """
    # Most texts do not contain the word at all, and folding a text takes long.
    word = needle.split(maxsplit=1)[0]
    return any(
        needle in _fold(text) for text in texts if not text.isascii() or word in text.lower()
    )


@lru_cache(_FOLDED_TEXTS)
def _fold(text: str) -> str:
    """Return the words of a text in lower case without diacritics, each between spaces."""
    return f" {' '.join(_WORD.findall(_fold_letters(text)))} "


def _fold_letters(text: str) -> str:
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFD", text.lower())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
