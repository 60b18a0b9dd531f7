"""The objects that a caption and its tags state, with inflections and synonyms merged.

What a caption mentions without saying that it is there does not count: the hat of "without a hat",
the horse of "a statue of a horse", the dog of "a hot dog" and of "a dog bed".
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from models.language import stem, tokenize
from models.lexicon import main_stem, right_stems
from models.tag_kinds import tag_kinds
from models.word_kinds import word_kind

_CACHED = 20_000
_CLAUSE = re.compile(r"[,;:.!?()]")

_NEGATIONS = frozenset({"no", "without", "not"})
_DEPICTIONS = frozenset(
    tokenize("statue sculpture painting drawing poster mural reflection shadow cartoon")
)
_PICTURES = frozenset(tokenize("picture photo photograph image"))
"""They depict something, unless the caption begins with them: "a photo of a dog" says no more than
"a dog"."""
_QUANTITIES = frozenset(tokenize("group couple crowd team herd bunch pair"))
"""Followed by "of" they are no objects."""

_NOUNS_IN_ING = frozenset(tokenize("building painting railing ceiling clothing wing swing"))
_VERBS = frozenset(
    tokenize(
        "bike board canoe drink face fish head kayak paddle race rock run sail shop skateboard ski "
        "slide snowboard step surf swing train"
    )
)
"""Words for objects that are verbs after a plural: "two men ski"."""
_UNLIKE_THEIR_HEAD = {"rock face": "rock", "cliff face": "cliff"}


class StatedObject(NamedTuple):
    """An object that a caption or a tag states."""

    key: str
    """The same for all inflections and synonyms."""
    text: str
    """As it is written, in lower case."""


@lru_cache(_CACHED)
def objects_of(text: str, tags: tuple[str, ...]) -> tuple[StatedObject, ...]:
    """Return the objects that a caption and its tags state, each once.

    Args:
        text: The caption; empty for the tags alone.
        tags: The names of the tags.
    """
    found: dict[str, str] = {}
    words_of_tags: dict[str, StatedObject] = {}
    for tag in tags:
        stated = StatedObject(_key(tag), tag)
        found.setdefault(*stated)
        words_of_tags.update(dict.fromkeys(_words_of_tag(tag), stated))
    for name in _mentions(text):
        # A tag and the word that mentions it in the caption are of the same object.
        key, shown = words_of_tags.get(name) or StatedObject(_key(name), name)
        found.setdefault(key, shown)
    return tuple(StatedObject(*each) for each in found.items())


def _mentions(text: str) -> Iterator[str]:
    """Yield the words and phrases for objects that are there according to a caption."""
    for number, clause in enumerate(_CLAUSE.split(text)):
        yield from _mentions_in(tokenize(clause), is_beginning=number == 0)


def _mentions_in(words: list[str], *, is_beginning: bool) -> Iterator[str]:
    terms = [*_terms(words), ""]
    is_absent, place = False, 0
    while place < len(terms) - 1:
        begin = place
        while _is_object(terms[place]) and not _is_verb(terms[place], terms[begin:place]):
            place += 1
        if place > begin:
            # Of nouns in succession the last one is what is there: a "tennis ball".
            head, is_of = _head(terms[begin:place]), terms[place] == "of"
            is_counted = not (is_of and head in _QUANTITIES)
            if is_counted and not is_absent:
                yield head
            is_absent = (is_of and head in _DEPICTIONS) or (
                is_absent and (not is_counted or terms[place] == "or")
            )
            # What follows an actor may be a verb that is a noun elsewhere: "a man skis".
            place += _is_object(terms[place])
        else:
            word, is_of = terms[place], terms[place + 1] == "of"
            is_absent |= word in _NEGATIONS
            is_absent |= word in _PICTURES and is_of and not (is_beginning and place <= 1)
            place += 1


def _terms(words: list[str]) -> Iterator[str]:
    """Yield the words, and phrases that name an object as one."""
    place = 0
    while place < len(words):
        length = next((n for n in (3, 2) if " ".join(words[place : place + n]) in _phrases()), 1)
        yield " ".join(words[place : place + length])
        place += length


def _is_object(term: str) -> bool:
    if term.endswith("ing") and term not in _NOUNS_IN_ING:
        return False
    return term in _phrases() or word_kind(term) == "object"


def _is_verb(word: str, before: list[str]) -> bool:
    """Return whether a word is what somebody does, rather than a thing."""
    if not before or stem(before[-1]) not in _actors() or stem(word) in _actors():
        return False
    is_plural = before[-1].endswith(("s", "men", "people", "children"))
    return word in _VERBS if is_plural else word.endswith("s") and not word.endswith("ss")


def _head(compound: list[str]) -> str:
    return _UNLIKE_THEIR_HEAD.get(" ".join(compound[-2:]), compound[-1])


@lru_cache(_CACHED)
def _key(name: str) -> str:
    first, *others = name.split()
    return " ".join(map(stem, (first, *others))) if others else main_stem(first)


@cache
def _actors() -> frozenset[str]:
    """Return the stems of people and animals."""
    return right_stems("person") | right_stems("animal")


@cache
def _phrases() -> frozenset[str]:
    return frozenset(word for kind in tag_kinds() for word in kind.words if " " in word)


@cache
def _words_of_tag(name: str) -> frozenset[str]:
    return next((kind.words for kind in tag_kinds() if kind.name == name), frozenset())
