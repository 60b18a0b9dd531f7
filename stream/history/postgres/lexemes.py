"""Words of spans and of searches for PostgreSQL's full-text index, as those of SQLite's.

SQLite's tokenizer and stemmer take the texts apart, so that a search finds the same spans in either
database. A word that equals its stem is one lexeme, as it is. Another one is two: its stem behind a
`~`, and itself behind a `=`, for searches of words as they are written.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import zip_longest

from stream.history.search_text import AllOf, AnyOf, Not, Search, Term, fold
from stream.history.sqlite import Stemmer

_CACHED_TEXTS = 5000
_MAX_LEXEME = 200
"""Characters of a word that count; a lexeme has at most 2046 bytes."""

_MAX_TOKENS = 4000
"""Words of a text that count: the positions of three texts fit into PostgreSQL's 16,383."""

_NOTHING = "'!'"
"""A lexeme that no span has."""


class Lexemes:
    """Turns texts into values of `tsvector`, and searches into `tsquery`; for one thread."""

    def __init__(self) -> None:
        """Prepare SQLite's tokenizer; raises `HistoryError` if this Python's has none."""
        self._stemmer = Stemmer()
        self.vector: Callable[..., str] = lru_cache(_CACHED_TEXTS)(self._vector)
        """Returns the lexemes of a span's texts as a `tsvector`; phrases do not span two texts."""

    def close(self) -> None:
        """Close the tokenizer."""
        self._stemmer.close()

    def _vector(self, *texts: str) -> str:
        places: dict[str, list[int]] = {}
        begin = 1
        for text in texts:
            stems, words = self._stems(text), fold(text).split()[:_MAX_TOKENS]
            pairs = list(zip_longest(stems, words))
            for place, (stem, word) in enumerate(pairs, begin):
                forms = [stem] if stem == word else [stem and f"~{stem}", word and f"={word}"]
                for form in filter(None, forms):
                    places.setdefault(form[:_MAX_LEXEME], []).append(place)
            begin += len(pairs) + 1
        return " ".join(
            f"'{lexeme}':{','.join(map(str, found))}" for lexeme, found in places.items()
        )

    def query(self, search: Search) -> str:
        """Return a search as a `tsquery`."""
        match search:
            case Term():
                return self._term(search)
            case Not():
                return f"!({self.query(search.part)})"
            case AllOf():
                return f"({' & '.join(map(self.query, search.significant))})"
            case AnyOf():
                return f"({' | '.join(map(self.query, search.parts))})"

    def _term(self, term: Term) -> str:
        # As FTS5 does, which takes the words for a phrase.
        stems = _phrase((stem, f"~{stem}") for stem in self._stems(term.words))
        if term.kind == "word":
            return stems
        *words, last = term.words.split()
        alternatives = [(word, f"={word}") for word in words]
        written = _phrase([*alternatives, (last, f"={last}")], is_prefix=term.kind == "prefix")
        return written if term.kind == "prefix" else f"({stems} & {written})"

    def _stems(self, text: str) -> list[str]:
        """Return the stems of a text's words in order."""
        # White space of ASCII never is a part of a word, and words repeat.
        stems_of = self._stemmer.stems_of
        return [stem for part in text.split() for stem in stems_of(part)][:_MAX_TOKENS]


def _phrase(words: Iterable[tuple[str, ...]], *, is_prefix: bool = False) -> str:
    """Return a `tsquery` for words one after another, each in one of several forms."""
    forms = [[f"'{form[:_MAX_LEXEME]}'" for form in alternatives] for alternatives in words]
    if not forms:
        return _NOTHING
    if is_prefix:
        forms[-1] = [f"{form}:*" for form in forms[-1]]
    alternatives = [f"({' | '.join(each)})" for each in forms]
    return f"({' <-> '.join(alternatives)})"
