"""The syntax of searches: words, "phrases", word*, OR, -word, NOT word and parentheses.

Any text is a valid search. Signs that have no meaning where they stand are ignored, and so is the
case of letters, except that of the operators.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

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
class Term:
    """A word, a phrase in quotes, or the beginning of a word."""

    words: str
    """Folded words with a space between them."""
    kind: Literal["word", "phrase", "prefix"] = "word"
    """A word is found in any form, the others as they are written."""

    @property
    def needle(self) -> str:
        """The text to find in a folded text (see `contains_words`)."""
        return f" {self.words}" if self.kind == "prefix" else f" {self.words} "

    @property
    def is_content(self) -> bool:
        """Whether the term counts beside others: function words do not."""
        return self.kind != "word" or (
            bool(content_words(self.words)) and self.words not in _QUESTION_WORDS
        )


@dataclass(frozen=True, slots=True)
class Not:
    """What must not match."""

    part: "Search"


@dataclass(frozen=True, slots=True)
class AllOf:
    """What must all match."""

    parts: tuple["Search", ...]

    @property
    def significant(self) -> tuple["Search", ...]:
        """The parts that count; function words do only if there are no other words."""
        content = [part for part in self.parts if not isinstance(part, Term) or part.is_content]
        has_words = any(not isinstance(part, Not) for part in content)
        return tuple(content) if has_words else self.parts


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Of which one must match."""

    parts: tuple["Search", ...]


Search = Term | Not | AllOf | AnyOf
"""A parsed search; the backends turn it into conditions of their databases."""


def parse_search(text: str) -> Search:
    """Parse a search.

    Words must all occur, in any form ("dog" finds "dogs"); in a question only content words count.
    OR binds more strongly than the space between words, as in web search.

    Raises:
        BadQuery: If the text has no word, or too many.
    """
    node = _Parser(text).parse()
    if node is None:
        raise BadQuery("enter at least one word to search for")
    return node


class _Parser:
    """A recursive descent parser that accepts any text."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._terms = 0

    def parse(self) -> Search | None:
        parts = []
        while self._tokens:
            if part := self._all(0):
                parts.append(part)
            # What follows a closing parenthesis that none opened.
            self._take(")")
        return _combine(AllOf, parts)

    def _all(self, depth: int) -> Search | None:
        """Parse clauses up to a closing parenthesis or the end."""
        parts: list[Search] = []
        while self._tokens and self._tokens[0] != ")":
            if part := self._any(depth):
                parts.append(part)
        return _combine(AllOf, parts)

    def _any(self, depth: int) -> Search | None:
        parts = [self._clause(depth)]
        while self._tokens and self._take("OR"):
            if self._tokens and self._tokens[0] != ")":
                parts.append(self._clause(depth))
        return _combine(AnyOf, [part for part in parts if part])

    def _clause(self, depth: int) -> Search | None:
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
        return Not(part) if part and is_excluded else part

    def _group(self, depth: int) -> Search | None:
        if depth > _MAX_DEPTH:
            raise BadQuery(f"nest at most {_MAX_DEPTH} parentheses")
        part = self._all(depth)
        self._take(")")
        return part

    def _term(self, token: str) -> Term | None:
        words = " ".join(_WORD.findall(_fold_letters(token)))
        if not words:
            return None
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise BadQuery(f"enter at most {MAX_TERMS} words to search for")
        if token.endswith('"'):
            return Term(words, "phrase")
        return Term(words, "prefix" if token.endswith("*") else "word")

    def _take(self, token: str) -> bool:
        """Remove the next token if it is this one."""
        is_next = self._tokens[:1] == [token]
        if is_next:
            del self._tokens[0]
        return is_next


def _combine(kind: Callable[[tuple[Search, ...]], Search], parts: list[Search]) -> Search | None:
    return kind(tuple(parts)) if len(parts) > 1 else parts[0] if parts else None


def contains_words(needle: str, *texts: str) -> bool:
    """Return whether a text contains words as they are written; the SQL function of the same name.

    Args:
        needle: Folded words with a space before them, and one after them unless they may continue.
        texts: The texts.
    """
    # Most texts do not contain the word at all, and folding a text takes long.
    word = needle.split(maxsplit=1)[0]
    return any(needle in fold(text) for text in texts if not text.isascii() or word in text.lower())


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case without diacritics."""
    return fold(text).split()


@lru_cache(_FOLDED_TEXTS)
def fold(text: str) -> str:
    """Return the words of a text in lower case without diacritics, each between spaces."""
    return f" {' '.join(_WORD.findall(_fold_letters(text)))} "


def _fold_letters(text: str) -> str:
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFD", text.lower())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
