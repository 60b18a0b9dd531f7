"""What a caption is about: its content words, whatever their form.

Two captions say the same, to whoever hears them, when they have the same content words: "A dog
runs through the grass" and "The dog is running in grass", but not "Two dogs run in the snow". The
page goes by the same notion (`web/static/meaning.js`) when it decides what to announce.

What training for a score does to the language, measured beside the score.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from models.language.vocabulary import tokenize

_FUNCTION_WORDS = frozenset(
    tokenize(
        """
    a an the this that these those some any other another
    of in on at to by for from with into onto over under above below near beside behind
    between through across along around against up down out off upon next front top side
    and or but while as who which what where there here
    is are was were be been being am has have having had do does doing
    it its he him his she her hers they them their very 's
    """
    )
)
"""Words that hold a sentence together, and those of place that captions use as freely."""

_IRREGULAR = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "feet": "foot",
    "teeth": "tooth",
    "mice": "mouse",
    "wolves": "wolf",
    "leaves": "leaf",
    "ran": "run",
    "sat": "sit",
    "stood": "stand",
    "held": "hold",
    "worn": "wear",
}

_OPEN = frozenset(
    tokenize(
        "a an the and or of in on at to with from by for into onto over under near behind through "
        "while as that which who is are was be being his her its their another some two"
    )
)
"""Words after which a caption cannot end."""


def content_words(caption: str) -> frozenset[str]:
    """Stems of the words of a caption that carry meaning."""
    return frozenset(_stem(word) for word in tokenize(caption) if word not in _FUNCTION_WORDS)


def _stem(word: str) -> str:
    """A crude stem: "rides", "riding" and "ride" become one; so do "carries" and "carrying"."""
    root = _without_verb_ending(_without_plural(_IRREGULAR.get(word, word)))
    return re.sub(r"(?<=..)y$", "i", re.sub(r"(?<=..)e$", "", root))


def _without_plural(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if re.search(r"[^suai]s$", word) and len(word) > 3 else word


def _without_verb_ending(word: str) -> str:
    root = re.sub(r"(ing|ed)$", "", word)
    if root == word or len(root) < 3 or not re.search(r"[aeiouy]", root):
        return word
    return re.sub(r"([bdgmnprt])\1$", r"\1", root)


@dataclass(frozen=True, slots=True)
class Language:
    """The shape of a set of captions."""

    distinct: float
    """Share of the captions that no other equals, counting equal ones once, in 0..1."""
    words: float
    """Words of a caption, on average."""
    bad_endings: float
    """Share of the captions that break off ("in a", "on the"), in 0..1."""


def is_open(word: str) -> bool:
    """Whether a phrase cannot end with a word: an article, a preposition, a conjunction."""
    return word in _OPEN


def describe(captions: Collection[str]) -> Language:
    """Measure captions, one at least."""
    words = [tokenize(caption) for caption in captions]
    return Language(
        distinct=len(set(captions)) / len(captions),
        words=sum(map(len, words)) / len(captions),
        bad_endings=sum(not said or is_open(said[-1]) for said in words) / len(captions),
    )
