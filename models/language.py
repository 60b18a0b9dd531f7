"""What training for a score does to the language, measured beside the score."""

from collections.abc import Collection
from dataclasses import dataclass

from models.vocabulary import tokenize

_OPEN = frozenset(
    tokenize(
        "a an the and or of in on at to with from by for into onto over under near behind through "
        "while as that which who is are was be being his her its their another some two"
    )
)
"""Words after which a caption cannot end."""


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
