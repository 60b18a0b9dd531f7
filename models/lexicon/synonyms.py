"""Whether a word of a caption is one that people say of the image, or a synonym of one.

Words count by their stems. A word is right, too, if a person says a synonym or a more specific
word; `synonyms.txt` is a small table of those that captions of photographs use.
"""

import re
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from models.language import IRREGULAR_FORMS, content_words, stem, tokenize

_TABLE = Path(__file__).parent / "synonyms.txt"

Relation = dict[str, set[str]]
"""Stems by stem."""


class _Table(NamedTuple):
    """See `synonyms.txt`."""

    equal: Relation
    specific: Relation
    related: Relation
    main: dict[str, str]
    """The first stem of the line of equals in which a stem stands first."""
    forms: Relation
    """Words by their stems: those of the table, and irregular forms."""


def stated_stems(captions: Iterable[str]) -> frozenset[str]:
    """Return the stems of the content words that people say of an image.

    Two words in succession count as one word, too: some people write "surf board".
    """
    found: set[str] = set()
    for caption in captions:
        found |= content_words(caption)
        found |= {stem(first + second) for first, second in pairwise(tokenize(caption))}
    return frozenset(found)


def is_right(word: str, stated: frozenset[str]) -> bool:
    """Return whether people say a content word, or one that makes it right.

    Args:
        word: In lower case.
        stated: What they say, see `stated_stems`.
    """
    return not right_stems(word).isdisjoint(stated)


@cache
def right_stems(word: str) -> frozenset[str]:
    """Return the stems of the words that make a word right, its own stem among them."""
    equal, specific, related, *_ = _table()
    found: set[str] = set()
    waiting = {stem(word)}
    while waiting:
        same = {each := waiting.pop()} | equal.get(each, set())
        waiting |= set().union(*(specific.get(other, set()) for other in same)) - found
        found |= same
    for each in related.get(stem(word), set()):
        found |= {each} | equal.get(each, set())
    return frozenset(found)


@cache
def similar_words(word: str) -> tuple[str, ...]:
    """Return words that mean as much as a word or are more specific, one form of each.

    Irregular forms, of the word too, are words of their own.

    Args:
        word: In lower case.

    Returns:
        The words in alphabetical order, without the word itself.
    """
    forms = _table().forms
    found = set().union(*(forms.get(each, set()) for each in right_stems(word)))
    return tuple(sorted(found - {word}))


def main_stem(word: str) -> str:
    """Return the stem that stands for a word, its inflections and its synonyms.

    Args:
        word: In lower case.
    """
    own = stem(word)
    return _table().main.get(own, own)


@cache
def _table() -> _Table:
    table = _Table({}, {}, {}, {}, {})
    for line in _TABLE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            general, _, narrower = line.partition(" < ")
            written = re.split(" [=~] ", general)
            for word in (*written, *filter(None, narrower.split(", "))):
                table.forms.setdefault(stem(word), set()).add(word)
            words = [stem(word) for word in written]
            for word in words:
                relation = table.related if " ~ " in general else table.equal
                relation.setdefault(word, set()).update(words)
                if " = " in general and " ~ " not in general:
                    table.main.setdefault(word, words[0])
            table.specific.setdefault(words[0], set()).update(_stems(narrower))
    for word, root in IRREGULAR_FORMS.items():
        table.forms.setdefault(stem(root), set()).update((word, root))
    return table


def _stems(words: str) -> set[str]:
    return {stem(word) for word in words.split(", ") if word}
