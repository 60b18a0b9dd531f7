"""What is left to say of a caption that is too doubtful: its sure beginning, or the tags."""

from collections.abc import Sequence
from dataclasses import replace

from inference.caption import Caption, Word
from models.language import is_open
from models.vocabulary import sentence


def without_doubt(caption: Caption, beginning: float) -> Caption:
    """Reduce a caption to what is sure of it.

    Args:
        caption: The whole caption, with its tags.
        beginning: Of the product of the probabilities of the words of a beginning, the least that
            is sure.

    Returns:
        The caption with `fallback` and `guess`: the tags where there are any, otherwise its longest
        sure beginning that can stand alone; `text` is empty when there is neither.
    """
    doubtful = replace(caption, fallback="tags", guess=caption.text, words=())
    if caption.tags:
        return replace(doubtful, text=", ".join(tag.text for tag in caption.tags))
    words = _sure_beginning(caption.words, beginning)
    if not words:
        return replace(doubtful, text="")
    text = sentence(word.text for word in words)
    return replace(doubtful, fallback="shorter", text=text, words=words)


def _sure_beginning(words: Sequence[Word], least: float) -> tuple[Word, ...]:
    sure, product = 0, 1.0
    for count, word in enumerate(words, start=1):
        product *= word.prob
        if product < least:
            break
        # Only before a word that opens another phrase is the phrase before complete.
        if count < len(words) and _opens(words[count]) and not is_open(word.text):
            sure = count
    return tuple(words[:sure])


def _opens(word: Word) -> bool:
    """Whether a word begins a phrase of its own: a preposition, a conjunction, a participle."""
    return is_open(word.text) or word.text.endswith("ing")
