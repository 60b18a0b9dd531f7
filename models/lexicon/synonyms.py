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

from models.language import content_words, stem, tokenize

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
    equal, specific, related, _ = _table()
    found: set[str] = set()
    waiting = {stem(word)}
    while waiting:
        same = {each := waiting.pop()} | equal.get(each, set())
        waiting |= set().union(*(specific.get(other, set()) for other in same)) - found
        found |= same
    for each in related.get(stem(word), set()):
        found |= {each} | equal.get(each, set())
    return frozenset(found)


def main_stem(word: str) -> str:
    """Return the stem that stands for a word, its inflections and its synonyms.

    Args:
        word: In lower case.
    """
    own = stem(word)
    return _table().main.get(own, own)


@cache
def _table() -> _Table:
    table = _Table({}, {}, {}, {})
    for line in _TABLE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            general, _, narrower = line.partition(" < ")
            words = [stem(word) for word in re.split(" [=~] ", general)]
            for word in words:
                relation = table.related if " ~ " in general else table.equal
                relation.setdefault(word, set()).update(words)
                if " = " in general and " ~ " not in general:
                    table.main.setdefault(word, words[0])
            table.specific.setdefault(words[0], set()).update(_stems(narrower))
    return table


def _stems(words: str) -> set[str]:
    return {stem(word) for word in words.split(", ") if word}
