"""The logits that the z of a word, a contrast or a caption is a sum of."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.explanations.target import Target
from models.vocabulary import PAD, SPECIAL_WORDS, Vocabulary


class Terms(NamedTuple):
    """z is the sum over a caption's places of the logit of one word less that of another.

    Where there is no such term the word is `PAD`.
    """

    plus: NDArray[np.int32]
    """[T], of the words whose logits are added."""
    minus: NDArray[np.int32]
    """[T], of those whose logits are taken off."""


def terms(target: Target, words: Sequence[int], vocabulary: Vocabulary) -> Terms:
    """Resolve a target that is no tag.

    Args:
        target: Of the kinds `word`, `contrast` or `caption`.
        words: The caption's tokens, without its end.
        vocabulary: What they are ids of.

    Returns:
        The terms, T up to the last place that has one.

    Raises:
        ValueError: If there is no such place in the caption, or no such word.
    """
    if target.kind == "caption":
        if not words:
            raise ValueError("a caption without words cannot be explained")
        return Terms(np.array(words, np.int32), np.full(len(words), PAD, np.int32))
    place = _place(target, words)
    found = Terms(*(np.full(place + 1, PAD, np.int32) for _ in Terms._fields))
    found.plus[place] = words[place]
    if target.kind == "contrast":
        found.minus[place] = _other_word(target, words[place], vocabulary)
    return found


def _place(target: Target, words: Sequence[int]) -> int:
    if target.index is None or not 0 <= target.index < len(words):
        raise ValueError(f"the caption has {len(words)} words, none at {target.index}")
    return target.index


def _other_word(target: Target, said: int, vocabulary: Vocabulary) -> int:
    if target.text is None or target.text in SPECIAL_WORDS or target.text not in vocabulary.words:
        raise ValueError(f"the captioner does not know the word {target.text!r}")
    other = vocabulary.words.index(target.text)
    if other == said:
        raise ValueError(f"{target.text!r} is what it said: there is nothing to tell apart")
    return other
