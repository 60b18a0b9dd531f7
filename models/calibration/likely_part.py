"""The part of a caption of low confidence that is likely to be right."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from models.language import is_dangling
from models.word_kinds import word_kind


class LikelyPart(NamedTuple):
    """What is left of a caption."""

    kind: Literal["shorter", "words"]
    """Its beginning, which can stand alone, or objects from anywhere in it."""
    places: tuple[int, ...]
    """The places of the words in the caption; none if nothing is likely."""


def likely_part(
    words: Sequence[str], confidences: Sequence[float | None], threshold: float
) -> LikelyPart:
    """Choose the words of a caption that are likely to be right.

    It is the longest beginning that can stand alone, names an object, and whose content words all
    have enough confidence; or else the objects that have.

    Args:
        words: The caption's, in lower case.
        confidences: Of each word; None for function words.
        threshold: Least confidence of a content word that is kept.
    """
    length, names_object = 0, False
    for count, (word, confidence) in enumerate(zip(words, confidences, strict=True), start=1):
        if confidence is None:
            continue
        if confidence < threshold:
            break
        names_object |= word_kind(word) == "object"
        # A phrase is only complete before a word that starts another one.
        if names_object and (count == len(words) or _starts_phrase(words[count])):
            length = count
    if length:
        return LikelyPart("shorter", tuple(range(length)))
    objects = {
        word: place
        for place, (word, confidence) in enumerate(zip(words, confidences, strict=True))
        if confidence is not None and confidence >= threshold and word_kind(word) == "object"
    }
    return LikelyPart("words", tuple(objects.values()))


def _starts_phrase(word: str) -> bool:
    """Whether a word starts a new phrase: a preposition, a conjunction or a participle."""
    return is_dangling(word) or word.endswith("ing")
